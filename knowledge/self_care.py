"""Minor complaints that may be watched at home first: the only way to the level `home`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field

from knowledge.errors import InvalidKnowledge
from knowledge.records import KNOWLEDGE_DIR, Bilingual, BilingualList, RecordId, Reviewed, read_yaml, validated


class SelfCare(Reviewed):
    """A minor complaint. signs: what shows it; also_fine: other signs that do not speak against watching at home.

    Any other sign, any red flag, a word of trouble that no rule understands, a child below min_age, old age, pregnancy
    or a weakened patient rules it out; so does lasting longer than max_days.
    """

    id: RecordId
    name: Bilingual
    signs: tuple[RecordId, ...] = Field(min_length=1)
    also_fine: tuple[RecordId, ...] = ()
    min_age: float = Field(default=5, ge=5)
    max_days: int = Field(ge=1, le=30)
    watch_for: Bilingual
    examples: BilingualList


@cache
def load_self_care(path: Path = KNOWLEDGE_DIR / "self_care.yaml") -> tuple[SelfCare, ...]:
    """Every self-care record, validated."""
    rows = read_yaml(path)
    if not isinstance(rows, list):
        raise InvalidKnowledge(f"{path.name}:1: expected a list of records, each beginning with `- id:`")
    return tuple(validated(SelfCare, row, path) for row in rows)
