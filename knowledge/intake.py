"""What is worth asking beside the departments' own questions: the history, and danger signs one of which is missing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from knowledge.departments import FollowUpQuestion, PatientLimits
from knowledge.errors import InvalidKnowledge
from knowledge.records import KNOWLEDGE_DIR, Bilingual, Language, Record, RecordId, Text, read_yaml, validated


class DangerSign(Record):
    """A danger sign that can be asked for. signs: what its statement affirms. says: how it is stated for the rules, where the option's words will not do.

    rate: the share of those asked who are expected to say yes, 0-1. patients: whom one may ask; what is unknown excludes.
    """

    id: RecordId
    signs: tuple[RecordId, ...] = Field(min_length=1)
    option: Bilingual
    says: Bilingual | None = None
    rate: float = Field(gt=0, lt=1)
    patients: PatientLimits = PatientLimits()

    def statement(self, language: Language) -> str:
        """The sign as the patient would say it."""
        return (self.says or self.option).in_language(language)

    def may_be_asked(self, age_years: float | None, sex: str | None, pregnant: bool | None) -> bool:
        """Whether the question suits the patient; a limit on something unknown does not."""
        limits = self.patients
        limited_by_age = limits.min_age_years is not None or limits.max_age_years is not None
        unknown = (
            (limited_by_age and age_years is None)
            or (limits.sex != "any" and sex is None)
            or (limits.pregnancy == "only" and pregnant is not True)
        )
        return not unknown and limits.admits(age_years, sex, pregnant)


class DangerQuestion(Record):
    """The words around the danger signs that are put to the patient together."""

    ask: Bilingual
    why: Bilingual
    none: Bilingual


class Background(Record):
    """A long illness or a kind of medicine that belongs into the history; phrases as in knowledge/SCHEMA.md."""

    id: RecordId
    group: Literal["chronic", "medicines"]
    name: Bilingual
    zh: tuple[Text, ...]
    en: tuple[Text, ...]


class IntakeKnowledge(Record):
    """Everything in intake.yaml. {sign} and {signs} in an option's `says` are filled with the patient's own words."""

    history_questions: tuple[FollowUpQuestion, ...]
    same_complaint: FollowUpQuestion
    danger_question: DangerQuestion
    danger_signs: tuple[DangerSign, ...]
    background: tuple[Background, ...]


@cache
def load_intake(path: Path = KNOWLEDGE_DIR / "intake.yaml") -> IntakeKnowledge:
    """The questions and the background, validated. Raises InvalidKnowledge for an id that stands there twice."""
    intake = validated(IntakeKnowledge, read_yaml(path), path)
    lists = {
        "history_questions": [question.id for question in intake.history_questions],
        "danger_signs": [sign.id for sign in intake.danger_signs],
        "background": [record.id for record in intake.background],
    }
    for name, ids in lists.items():
        twice = next((one for one in ids if ids.count(one) > 1), None)
        if twice:
            raise InvalidKnowledge(f"{path.name}: {name}: {twice!r} is there twice; rename one")
    return intake
