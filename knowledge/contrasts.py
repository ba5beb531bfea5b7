"""Words by which two sentences can contradict each other, read from contrasts.yaml."""

from __future__ import annotations

from functools import cache

from knowledge.records import KNOWLEDGE_DIR, Bilingual, Record, Text, read_yaml, validated


class Opposites(Record):
    """Pairs of expressions; a text that has only one of a pair contradicts one that has only the other."""

    zh: tuple[tuple[Text, Text], ...]
    en: tuple[tuple[Text, Text], ...]


class Contrasts(Record):
    """All of contrasts.yaml."""

    negation: Bilingual
    not_negation: Bilingual
    interchangeable: Bilingual
    restriction: Bilingual
    opposites: Opposites
    absolute: Bilingual
    hedges: Bilingual
    populations: dict[str, Bilingual]
    waiting: Bilingual


@cache
def load_contrasts() -> Contrasts:
    """The shipped wording. Raises InvalidKnowledge naming file and line."""
    path = KNOWLEDGE_DIR / "contrasts.yaml"
    return validated(Contrasts, read_yaml(path), path)
