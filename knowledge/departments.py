"""Departments: what each treats, in patients' own words, and where its borders run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from knowledge.errors import InvalidKnowledge
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

EMERGENCY_ID = "emergency"

Group = Literal[
    "emergency",
    "internal_medicine",
    "surgery",
    "obstetrics_gynaecology",
    "paediatrics",
    "ophthalmology",
    "ent",
    "dentistry",
    "skin",
    "mental_health",
    "traditional_chinese_medicine",
    "rehabilitation_and_care",
    "prevention",
    "diagnostics_and_support",
]


class PatientLimits(Record):
    """Whom the department sees. Ages in completed years; a missing limit is no limit."""

    min_age_years: float | None = Field(default=None, ge=0, le=120)
    max_age_years: float | None = Field(default=None, ge=0, le=120)
    sex: Literal["any", "female", "male"] = "any"
    pregnancy: Literal["any", "only", "never"] = "any"

    def admits(self, age_years: float | None, sex: str | None, pregnant: bool | None) -> bool:
        """Whether a patient may be sent there. What is unknown excludes nobody."""
        too_young = age_years is not None and self.min_age_years is not None and age_years < self.min_age_years
        too_old = age_years is not None and self.max_age_years is not None and age_years >= self.max_age_years + 1
        wrong_sex = sex is not None and self.sex != "any" and sex != self.sex
        wrong_state = (self.pregnancy == "only" and pregnant is False) or (
            self.pregnancy == "never" and pregnant is True
        )
        return not (too_young or too_old or wrong_sex or wrong_state)


class Boundary(Record):
    """A complaint that looks like this department's but belongs to a named other."""

    complaint: Bilingual
    belongs_to: RecordId
    decides: Bilingual


class AnswerOption(Bilingual):
    """One answer a patient can tap.

    effect: department id -> change of that department's log-odds, -3 (speaks strongly against) to 3 (for);
    3 for the emergency department forces level II, 2 level III.
    says: what the answer states, in words the rules read; by default its own words (rag/statements.py).
    """

    says: Bilingual | None = None
    effect: dict[RecordId, int] = Field(default_factory=dict)


class FollowUpQuestion(Record):
    """A closed question that separates this department from its neighbours."""

    id: RecordId
    ask: Bilingual
    why: Bilingual
    options: tuple[AnswerOption, ...] = Field(min_length=2, max_length=5)


class Department(Reviewed):
    """One department of a hospital, as patients need to know it."""

    id: RecordId
    name: Bilingual
    aliases: BilingualList
    group: Group
    referral_only: bool = False
    about: Bilingual
    treats: BilingualList
    complaints: BilingualList = BilingualList()
    patients: PatientLimits = PatientLimits()
    boundaries: tuple[Boundary, ...] = ()
    questions: tuple[FollowUpQuestion, ...] = ()
    bring: BilingualList
    prepare: BilingualList
    first_tests: BilingualList

    def all_names(self) -> tuple[str, ...]:
        return (self.name.zh, self.name.en, *self.aliases.both())


@cache
def load_departments(folder: Path = KNOWLEDGE_DIR / "departments") -> dict[str, Department]:
    """Every department by id. Raises InvalidKnowledge, naming file and line, on the first bad record."""
    departments: dict[str, Department] = {}
    for path in yaml_files(folder):
        department = validated(Department, read_yaml(path), path)
        if department.id != path.stem:
            raise InvalidKnowledge(f"{path.name}:1: id is {department.id!r}; rename the file to {department.id}.yaml")
        departments[department.id] = department
    if EMERGENCY_ID not in departments:
        raise InvalidKnowledge(f"{folder}: no {EMERGENCY_ID}.yaml; without it no emergency has a destination")
    return departments
