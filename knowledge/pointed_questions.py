"""What patients ask for in a question that wants one answer, and by what a sentence that tells it is known."""

from __future__ import annotations

from functools import cache

from knowledge.records import KNOWLEDGE_DIR, Bilingual, Record, RecordId, read_yaml, validated


class AskedThing(Record):
    """A thing asked for. asked: how; told: by what a sentence that tells it is known; regular expressions.

    outcome: what happens to one, rather than what one may or must do. daily: what the well do too, so that asking for it says
    nothing of the illness.
    """

    id: RecordId
    asked: Bilingual
    told: Bilingual
    outcome: bool = False
    daily: bool = False


class WaysOfAsking(Record):
    """How such a question is put. advice: may and must, for anything; other: the rest, for listed things alone."""

    advice: Bilingual
    other: Bilingual


class PointedQuestions(Record):
    """All of pointed_questions.yaml. says: what is told where no sentence tells what was asked, `{title}` filled in."""

    asks: WaysOfAsking
    advises: Bilingual
    generic: Bilingual
    says: Bilingual
    things: tuple[AskedThing, ...]


@cache
def load_pointed_questions() -> PointedQuestions:
    """The shipped wording. Raises InvalidKnowledge naming file and line."""
    path = KNOWLEDGE_DIR / "pointed_questions.yaml"
    return validated(PointedQuestions, read_yaml(path), path)
