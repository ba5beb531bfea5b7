"""Solved cases: what patients said and the departments they were rightly sent to, as a hospital exports them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge.errors import InvalidCases

MAX_DIALOGUE_CHARS = 20_000
FORM = '{"dialogue": "…", "departments": ["…"]}, one a line'
_BETWEEN_NAMES = re.compile(r"[,，、;；/\n]")
_ENDINGS = ("专业", "专科", "门诊", "科室", "科", " department", " clinic", " unit")
_BEGINNINGS = ("department of ", "dept of ", "the ")
_TURN = re.compile(r"^\s*([^：:\n]{1,12})[：:]\s*", re.MULTILINE)
_DOCTORS = frozenset({"医生", "医师", "大夫", "护士", "doctor", "nurse", "clinician", "assistant"})


@dataclass(frozen=True)
class SolvedCase:
    """departments: as written, one at least; candidates: the names one could choose from, or none given."""

    dialogue: str
    departments: tuple[str, ...]
    candidates: tuple[str, ...] = ()

    def department_keys(self) -> frozenset[str]:
        """The departments under the spelling in which they are compared."""
        return frozenset(name_key(name) for name in self.departments)


def name_key(name: str) -> str:
    """One spelling of a department's name: 妇科专业, 妇科门诊 and 妇科 are one department, as are Cardiology and its clinic.

    Hospitals write the same department with and without the ending of the national register of clinical
    subjects (医疗机构诊疗科目名录: "妇科专业"); endings that say only "department" are taken off.
    """
    key = re.sub(r"\s+", " ", name.strip(" \t,，、;；.。")).casefold()
    for beginning in _BEGINNINGS:
        key = key.removeprefix(beginning)
    while ending := next((end for end in _ENDINGS if key.endswith(end) and len(key) > len(end)), None):
        key = key.removesuffix(ending)
    return key


def names_in(written: str) -> list[str]:
    """The names in one cell; some exports put several into it, separated by commas."""
    return [name.strip() for name in _BETWEEN_NAMES.split(written) if name_key(name)]


def usual_spellings(cases: Iterable[SolvedCase]) -> dict[str, str]:
    """For every department met, the spelling met most often, by key."""
    counts = Counter(name for case in cases for name in case.departments)
    spellings: dict[str, str] = {}
    for name, _ in counts.most_common():
        spellings.setdefault(name_key(name), name)
    return spellings


def read_cases(path: Path, skip_bad: bool = False) -> tuple[list[SolvedCase], list[str]]:
    """The cases of a JSON-lines file, and a line on each row left out.

    Raises InvalidCases naming file and line on the first bad row, unless skip_bad; and when no row is left.
    """
    cases: list[SolvedCase] = []
    left_out: list[str] = []
    for number, row in read_rows(path):
        try:
            cases.append(_case(row))
        except ValueError as fault:
            line = f"{path}:{number}: {fault}"
            if not skip_bad:
                raise InvalidCases(line) from None
            left_out.append(line)
    if not cases:
        raise InvalidCases(f"{path}: holds no solved case; each is {FORM}")
    return cases, left_out


def read_rows(path: Path) -> list[tuple[int, str]]:
    """(line number, line) of the lines that are not empty. Raises InvalidCases when the file cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        reason = "not UTF-8 text" if isinstance(fault, UnicodeDecodeError) else "no such file, or not readable"
        raise InvalidCases(f"{path}: {reason}; give a JSON-lines file in UTF-8") from None
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def parsed(line: str) -> dict[str, Any]:
    """One JSON object. Raises ValueError saying what is wrong."""
    try:
        row = json.loads(line)
    except ValueError as fault:
        raise ValueError(f"not JSON ({fault}); give one object a line") from None
    except RecursionError:
        raise ValueError("nested too deep; give one flat object a line") from None
    if not isinstance(row, dict):
        raise ValueError("not an object; give one object a line")
    return row


def _case(line: str) -> SolvedCase:
    row = parsed(line)
    dialogue = row.get("dialogue")
    if not isinstance(dialogue, str) or not dialogue.strip():
        raise ValueError(f"no text in 'dialogue'; each row is {FORM}")
    if len(dialogue) > MAX_DIALOGUE_CHARS:
        raise ValueError(f"'dialogue' has {len(dialogue):,} characters; at most {MAX_DIALOGUE_CHARS:,}")
    departments = _names(row.get("departments"), "departments")
    if not departments:
        raise ValueError(f"no name in 'departments'; each row is {FORM}")
    return SolvedCase(dialogue, departments, _names(row.get("candidates") or [], "candidates"))


def _names(value: Any, field: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"'{field}' is no list of names; each row is {FORM}")
    return tuple(dict.fromkeys(name for written in value for name in names_in(written)))


def patient_words(dialogue: str) -> str:
    """What was said by anybody but a doctor or nurse; the whole text where no line names its speaker."""
    return "\n".join(words for speaker, words in turns(dialogue) if speaker not in _DOCTORS)


def clinician_words(dialogue: str) -> str:
    """What a doctor or nurse said."""
    return "\n".join(words for speaker, words in turns(dialogue) if speaker in _DOCTORS)


def turns(dialogue: str) -> Sequence[tuple[str, str]]:
    """(speaker in lower case or "", words) of each line; a line without a speaker continues the one before."""
    found: list[tuple[str, str]] = []
    speaker = ""
    for line in dialogue.splitlines():
        named = _TURN.match(line)
        if named:
            speaker = named[1].strip().casefold()
            line = line[named.end() :]
        found.append((speaker, line))
    return found
