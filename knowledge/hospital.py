"""What a hospital says of itself: its department names, what it has and has not, and flags it adds or raises.

Folder layout (all optional):
    departments.yaml or departments.csv   its list, mapped to ours
    red_flags/*.yaml, signs/*.yaml        added or raised, never removed or lowered
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import Field

from knowledge.departments import Department
from knowledge.errors import InvalidKnowledge
from knowledge.records import Record, RecordId, Text, read_yaml, validated
from knowledge.red_flags import Combination, RedFlag, Sign, load_red_flags, load_signs, red_flags_in, signs_in

COLUMNS = ("id", "name_zh", "name_en", "available", "instead", "place", "hours")
_YES = {
    "": True,
    "yes": True,
    "true": True,
    "1": True,
    "是": True,
    "有": True,
    "no": False,
    "false": False,
    "0": False,
    "否": False,
    "无": False,
}


class HospitalDepartment(Record):
    """One line of a hospital's list. id: ours; instead: where to go when it is not available, also ours."""

    id: RecordId
    name_zh: Text | None = None
    name_en: Text | None = None
    available: bool = True
    instead: RecordId | None = None
    place: str = ""
    hours: str = ""


class Hospital(Record):
    """A hospital's own list; departments it does not mention are taken to exist under our names."""

    departments: dict[RecordId, HospitalDepartment] = Field(default_factory=dict)

    def destination(self, department_id: str) -> str:
        """Where a patient meant for that department goes here: itself, or what the hospital names instead."""
        visited: set[str] = set()
        while (line := self.departments.get(department_id)) and not line.available and line.instead:
            if department_id in visited:
                break
            visited.add(department_id)
            department_id = line.instead
        return department_id

    def renamed(self, department: Department) -> Department:
        """The department under the name this hospital gives it; our own name stays as an alias."""
        line = self.departments.get(department.id)
        if line is None or not (line.name_zh or line.name_en):
            return department
        name = department.name.model_copy(
            update={"zh": line.name_zh or department.name.zh, "en": line.name_en or department.name.en}
        )
        aliases = department.aliases.model_copy(
            update={
                "zh": (department.name.zh, *department.aliases.zh),
                "en": (department.name.en, *department.aliases.en),
            }
        )
        return department.model_copy(update={"name": name, "aliases": aliases})


@cache
def load_hospital(folder: Path | None, known: tuple[str, ...]) -> Hospital:
    """The hospital's list. known: our department ids. Raises InvalidKnowledge naming file and line."""
    if folder is None:
        return Hospital()
    if not folder.is_dir():
        raise InvalidKnowledge(f"{folder}: no such folder; mend hospital_dir in config.toml")
    lines: dict[str, HospitalDepartment] = {}
    for path in (folder / "departments.yaml", folder / "departments.csv"):
        if not path.is_file():
            continue
        for number, values in _rows_of(path):
            line = validated(HospitalDepartment, values, path, f" (row {number})")
            _check_line(line, path, number, known, lines)
            lines[line.id] = line
    return Hospital(departments=lines)


def with_hospital_flags(folder: Path | None) -> tuple[Mapping[str, RedFlag], Mapping[str, Sign]]:
    """Our flags and signs with the hospital's added. A flag of ours may be raised, never lowered; a sign only gains phrases."""
    flags, signs = dict(load_red_flags()), dict(load_signs())
    if folder is None:
        return flags, signs
    for sign in signs_in(folder / "signs").values():
        ours = signs.get(sign.id)
        signs[sign.id] = (
            sign if ours is None else ours.model_copy(update={"zh": ours.zh + sign.zh, "en": ours.en + sign.en})
        )
    for flag in red_flags_in(folder / "red_flags", known_signs=signs).values():
        ours_flag = flags.get(flag.id)
        if ours_flag is not None and flag.level < ours_flag.level:
            raise InvalidKnowledge(
                f"{folder / 'red_flags'}: {flag.id} is level {flag.level.label}, ours is {ours_flag.level.label}; a flag may be raised, never lowered"
            )
        flags[flag.id] = (
            flag
            if ours_flag is None
            else ours_flag.model_copy(update={"level": flag.level, "when": ours_flag.when + _shared_only(flag)})
        )
    return flags, signs


def _shared_only(flag: RedFlag) -> tuple[Combination, ...]:
    """A raised flag's combinations that need no patterns of its own: they widen ours."""
    return tuple(line for line in flag.when if not any("this" in term.subjects for term in line))


def _rows_of(path: Path) -> list[tuple[int, dict[str, object]]]:
    if path.suffix == ".yaml":
        rows = read_yaml(path)
        if not isinstance(rows, list):
            raise InvalidKnowledge(f"{path.name}:1: expected a list of departments, each beginning with `- id:`")
        return [(number, row) for number, row in enumerate(rows, 1)]
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if unknown := set(reader.fieldnames or ()) - set(COLUMNS):
            raise InvalidKnowledge(f"{path.name}:1: unknown column {sorted(unknown)[0]!r}; known: {', '.join(COLUMNS)}")
        return [(number, _typed(row, path, number)) for number, row in enumerate(reader, 2)]


def _typed(row: dict[str, str], path: Path, number: int) -> dict[str, object]:
    written = (row.get("available") or "").strip().lower()
    if written not in _YES:
        raise InvalidKnowledge(f"{path.name}:{number}: available is {written!r}; write yes or no")
    return {**{key: value for key, value in row.items() if value}, "available": _YES[written]}


def _check_line(
    line: HospitalDepartment, path: Path, number: int, known: tuple[str, ...], lines: dict[str, HospitalDepartment]
) -> None:
    for named in (line.id, line.instead):
        if named is not None and named not in known:
            raise InvalidKnowledge(
                f"{path.name}:{number}: no department {named!r}; `daozhen knowledge check` lists ours"
            )
    if line.id in lines:
        raise InvalidKnowledge(f"{path.name}:{number}: {line.id} stands twice; remove one")
    if line.id == "emergency" and not line.available and line.instead is None and not line.place:
        raise InvalidKnowledge(
            f"{path.name}:{number}: no emergency department here; say in `place` where emergencies go"
        )
    if not line.available and line.instead is None and line.id != "emergency":
        raise InvalidKnowledge(
            f"{path.name}:{number}: {line.id} is not available; say in `instead` which department takes its patients"
        )
