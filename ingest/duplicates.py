"""Passages that say the same are kept once, with all their sources."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rag.passages import Passage


def keep_once(passages: Iterable[Passage]) -> list[Passage]:
    """The passages in order, the first of each set of near-duplicates with the other sources in `also_in`."""
    kept: list[Passage] = []
    place: dict[str, int] = {}
    for passage in passages:
        known = place.setdefault(passage.text, len(kept))
        if known == len(kept):
            kept.append(passage)
        elif passage.source_id not in (kept[known].source_id, *kept[known].also_in):
            kept[known] = replace(kept[known], also_in=(*kept[known].also_in, passage.source_id))
    return kept
