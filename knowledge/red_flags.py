"""Signs, and the red flags made of them: which words of a patient force which urgency."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from knowledge.errors import InvalidKnowledge
from knowledge.hotlines import HotlineKind
from knowledge.records import (
    KNOWLEDGE_DIR,
    Bilingual,
    BilingualList,
    Record,
    RecordId,
    Reviewed,
    read_yaml,
    validated,
    yaml_files,
)
from knowledge.urgency import UrgencyLevel

OWN_PATTERNS = "this"
SEXES = ("female", "male")
VITALS = (
    "temperature",
    "spo2",
    "systolic",
    "diastolic",
    "heart_rate",
    "respiratory_rate",
    "glucose",
    "gcs",
    "pain_score",
)
YEARS_PER_UNIT = {"years": 1.0, "months": 1 / 12, "weeks": 1 / 52.18, "days": 1 / 365.25}
HOURS_PER_UNIT = {"minutes": 1 / 60, "hours": 1.0, "days": 24.0, "weeks": 168.0, "months": 730.5, "years": 8766.0}

_NUMBER = r"(?P<number>\d+(?:\.\d+)?)"
_COMPARISON = r"(?P<comparison><=|>=|<|>)"
_AGE = re.compile(rf"age {_COMPARISON} {_NUMBER} (?P<unit>years|months|weeks|days)")
_VITAL = re.compile(rf"(?P<subject>{'|'.join(VITALS)}) {_COMPARISON} {_NUMBER}")
_LASTING = re.compile(
    rf"(?P<subject>[a-z][a-z0-9_]*) lasting {_COMPARISON} {_NUMBER} (?P<unit>minutes|hours|days|weeks|months|years)"
)
_SIGNS = re.compile(r"[a-z][a-z0-9_]*(?: \| [a-z][a-z0-9_]*)*")


class Sign(Record):
    """Something a patient can say of themselves, with the phrases that say it.

    kind `sign`: felt now; denied by "没有". `condition`: a disease's name; worry and family history do not count.
    `background`: true for good once true (pregnant, takes warfarin, kidney transplant); the past counts.
    `event`: happens in a moment, as a sign is felt; fear of it is none.
    hides: ids of signs that are not said by words inside this one's ("collapsed lung" is no collapse).
    Phrases: see knowledge/SCHEMA.md (alternatives, optional parts, gaps, word endings).
    """

    id: RecordId
    name: Bilingual
    kind: Literal["sign", "condition", "background", "event"] = "sign"
    zh: tuple[str, ...]
    en: tuple[str, ...]
    hides: tuple[RecordId, ...] = ()


class Term(Record):
    """One thing a red flag needs: signs, an age, a vital sign, how long a sign has lasted, or a sex.

    limit: years for `age`, hours for `lasting`, the vital's own unit for `vital`.
    """

    kind: Literal["signs", "age", "vital", "lasting", "sex"]
    subjects: tuple[str, ...] = ()
    comparison: str = ""
    limit: float = 0.0
    written: str

    @classmethod
    def parse(cls, written: Any) -> Term:
        """A term as the records write it, e.g. `fever | chills`, `age < 3 months`, `spo2 < 90`, `fever lasting >= 5 days`."""
        if isinstance(written, Term):
            return written
        text = str(written).strip()
        if text in SEXES:
            return cls(kind="sex", subjects=(text,), written=text)
        if match := _AGE.fullmatch(text):
            years = float(match["number"]) * YEARS_PER_UNIT[match["unit"]]
            return cls(kind="age", comparison=match["comparison"], limit=years, written=text)
        if match := _VITAL.fullmatch(text):
            return cls(
                kind="vital",
                subjects=(match["subject"],),
                comparison=match["comparison"],
                limit=float(match["number"]),
                written=text,
            )
        if match := _LASTING.fullmatch(text):
            hours = float(match["number"]) * HOURS_PER_UNIT[match["unit"]]
            return cls(
                kind="lasting", subjects=(match["subject"],), comparison=match["comparison"], limit=hours, written=text
            )
        if _SIGNS.fullmatch(text):
            return cls(kind="signs", subjects=tuple(text.split(" | ")), written=text)
        raise ValueError(
            f"cannot read the term {text!r}; write `sign_id`, `a | b`, `age < 3 months`, `spo2 < 90`, `fever lasting >= 5 days`, `female`"
        )

    def holds(self, value: float) -> bool:
        """Whether a measured value meets the comparison."""
        return {"<": value < self.limit, "<=": value <= self.limit, ">": value > self.limit, ">=": value >= self.limit}[
            self.comparison
        ]


R = TypeVar("R", "Sign", "RedFlag")
ParsedTerm = Annotated[Term, BeforeValidator(Term.parse)]
Combination = tuple[ParsedTerm, ...]
ForcedLevel = Annotated[UrgencyLevel, BeforeValidator(lambda label: UrgencyLevel.from_label(str(label)))]


class RedFlag(Reviewed):
    """A combination of signs that forces an urgency level, with the advice given for it.

    It is raised when every term of any one combination in `when` holds, unless a combination of `unless` does.
    hotline: the number (knowledge/hotlines.yaml) told with the advice.
    """

    id: RecordId
    level: ForcedLevel
    name: Bilingual
    patterns: BilingualList = BilingualList()
    when: tuple[Combination, ...] = Field(default=((Term.parse(OWN_PATTERNS),),), min_length=1)
    unless: tuple[Combination, ...] = ()
    advice: Bilingual
    departments: tuple[RecordId, ...] = ()
    hotline: HotlineKind | None = None
    triggers: BilingualList
    near_misses: BilingualList

    @model_validator(mode="after")
    def _own_patterns_are_there_when_used(self) -> RedFlag:
        uses_own = OWN_PATTERNS in self.sign_ids()
        has_own = bool(self.patterns.zh or self.patterns.en)
        if uses_own and not has_own:
            raise ValueError("`when` says `this` (its default), but there are no `patterns`")
        if has_own and not uses_own:
            raise ValueError("`patterns` are never used; say `this` in `when`")
        if self.level is UrgencyLevel.HOME:
            raise ValueError("a red flag cannot send anybody home")
        return self

    def sign_ids(self) -> set[str]:
        """Every sign its terms name, `this` among them."""
        terms = [term for combination in (*self.when, *self.unless) for term in combination]
        return {subject for term in terms if term.kind in ("signs", "lasting") for subject in term.subjects}


@cache
def load_signs() -> dict[str, Sign]:
    """Every shipped sign by id, validated."""
    return signs_in(KNOWLEDGE_DIR / "signs")


@cache
def load_red_flags() -> dict[str, RedFlag]:
    """Every shipped red flag by id, validated. A fault raises InvalidKnowledge: without the red flags nothing is safe."""
    folder = KNOWLEDGE_DIR / "red_flags"
    flags = red_flags_in(folder, load_signs())
    if not flags:
        raise InvalidKnowledge(f"{folder}: no red flags; without them nothing is safe; reinstall daozhen")
    return flags


def signs_in(folder: Path) -> dict[str, Sign]:
    """The signs of a folder's YAML files by id; none where the folder is not there."""
    return _by_id(Sign, folder)


def red_flags_in(folder: Path, known_signs: Collection[str]) -> dict[str, RedFlag]:
    """The red flags of a folder's YAML files by id. Raises InvalidKnowledge for a sign that nobody defined."""
    flags = _by_id(RedFlag, folder)
    for flag in flags.values():
        if unknown := flag.sign_ids() - {*known_signs, OWN_PATTERNS}:
            raise InvalidKnowledge(
                f"red flag {flag.id}: unknown sign {sorted(unknown)[0]!r}; add it to knowledge/signs or mend the name"
            )
    return flags


def _by_id(kind: type[R], folder: Path) -> dict[str, R]:
    records: dict[str, R] = {}
    for path in yaml_files(folder):
        for values in _list_in(path):
            record = validated(kind, values, path)
            if record.id in records:
                raise InvalidKnowledge(f"{path.name}: {record.id!r} is defined twice; rename one")
            records[record.id] = record
    return records


def _list_in(path: Path) -> Iterable[Any]:
    values = read_yaml(path)
    if values is None:
        return ()
    if not isinstance(values, list):
        raise InvalidKnowledge(f"{path.name}:1: expected a list of records, each beginning with `- id:`")
    return values
