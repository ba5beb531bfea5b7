"""The order in which a language model reads its evidence: what tells what was asked comes first, the rest as it was found.

A search ranks passages; what was asked is told by sentences, and often by one of the guide's passages that the search has
put seventh. Models use best what stands at the beginning or the end of what they read (Liu et al., 2023, Lost in the
Middle, arXiv 2307.03172).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rag.evidence import DraftSentence, Evidence
from rag.writers import ExtractiveWriter


def in_reading_order(evidence: Evidence, telling: Iterable[DraftSentence]) -> Evidence:
    """The evidence with the passages a model is shown: those the sentences that tell what was asked stand in, in their
    order, then those found; as many as were found, more only where the telling ones are."""
    first = list(dict.fromkeys(draft.passages[0] for draft in telling))
    found = [entry.passage for entry in evidence.passages]
    count = max(len(first), len(found))
    return replace(evidence, shown=tuple(dict.fromkeys((*first, *found)))[:count])


def telling_sentences(evidence: Evidence) -> list[DraftSentence]:
    """The passages' own sentences that tell what was asked, in reading order. When to hurry is left out unless it was
    asked for: that is told in any case, whatever a model writes."""
    to_hurry = "danger" in evidence.topics or (evidence.pointed is not None and evidence.pointed.asks_to_hurry)
    return [draft for draft in ExtractiveWriter().write(evidence) if to_hurry or draft.part != "danger"]
