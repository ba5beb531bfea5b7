"""Kinds of questions that guides never answer, and whom to ask instead, read from not_answered.yaml."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated

from pydantic import StringConstraints

from knowledge.records import KNOWLEDGE_DIR, Bilingual, Record, RecordId, read_yaml, validated

Pattern = Annotated[str, StringConstraints(strip_whitespace=True)]


class NotAnswered(Record):
    """A kind of question. zh, en: patterns it is known by, empty where code knows it; says: whom to ask, `{department}` filled in.

    even_with_documents: also where a hospital's own document was found for the question.
    """

    id: RecordId
    zh: Pattern
    en: Pattern
    says: Bilingual
    even_with_documents: bool = False

    def asked_in(self, plain: str) -> bool:
        """Whether a normalised question is of this kind."""
        return any(pattern and re.search(pattern, plain) for pattern in (self.zh, self.en))


@cache
def load_not_answered() -> dict[str, NotAnswered]:
    """Every kind by id. Raises InvalidKnowledge naming file and line."""
    path = KNOWLEDGE_DIR / "not_answered.yaml"
    kinds = [validated(NotAnswered, row, path) for row in read_yaml(path)]
    return {kind.id: kind for kind in kinds}
