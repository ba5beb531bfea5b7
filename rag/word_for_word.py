"""The passages' own sentences: which of them a model may quote, and which passage one that it wrote stands in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from knowledge.prompts import abstention
from knowledge.script import BETWEEN_SENTENCES
from rag.citations import reads_back
from rag.evidence import DraftSentence, Evidence
from rag.gates import Admitted, judge
from rag.passages import Passage
from rag.quoting import Quotable
from rag.sentence_choice import candidates, is_danger_line
from rag.sentences import split_sentences
from rag.writers import PARTS

SHORTEST = 6  # letters and digits of a sentence that can be known by its words alone


def quotable(evidence: Evidence, telling: Iterable[DraftSentence]) -> Quotable:
    """The sentences of the passages shown that tell what was asked, or something of it, and pass the gates as they stand;
    each with its key. When to hurry is among them only where it was asked for: that is told in any case."""
    keys = {passage: key for key, passage in evidence.keyed().items()}
    others = [one for one in candidates(evidence, list(keys)) if one.answers() and not is_danger_line(one.passage)]
    drafts = [*telling, *(DraftSentence(one.text, (one.passage,)) for one in others)]
    gap = BETWEEN_SENTENCES[evidence.language]
    sentences = [
        f"{draft.text}{gap}[{keys[draft.passages[0]]}]"
        for draft in drafts
        if draft.passages[0] in keys and may_be_quoted(draft, evidence)
    ]
    return Quotable(tuple(dict.fromkeys(sentences)), abstention(evidence.language), gap)


def may_be_quoted(draft: DraftSentence, evidence: Evidence) -> bool:
    """Let through as it is, not replaced by the advice to ask; and read back from a model's text as the one sentence it is."""
    judged = judge(draft, evidence)
    return isinstance(judged, Admitted) and judged.sentence is draft and reads_back(draft.text)


def in_parts(drafts: Iterable[DraftSentence], telling: Sequence[DraftSentence]) -> list[DraftSentence]:
    """Quoted sentences as the parts of an answer follow each other: what was asked, why, where to go, what to do, when to
    hurry; the last in the order the passages' own answer tells them, whatever order a model chose."""
    parts = {draft.text: draft.part for draft in telling}
    places = {draft.text: place for place, draft in enumerate(telling) if draft.part == "danger"}
    told = [replace(draft, part=parts.get(draft.text, draft.part)) for draft in drafts]
    return sorted(told, key=lambda draft: (PARTS.index(draft.part), places.get(draft.text, 0)))


def where_it_stands(text: str, cited: Sequence[Passage], shown: Iterable[Passage]) -> list[Passage]:
    """The passages a written sentence rests on.

    Those it cites, unless none of them has it as a sentence of its own and another of the passages shown has: then the
    first that has. A sentence in other words keeps its citation, and the gates judge that.
    """
    said = _letters(text)
    if len(said) < SHORTEST or any(said in _sentences(one.text) for one in cited):
        return list(cited)
    home = next((one for one in shown if said in _sentences(one.text)), None)
    return list(cited) if home is None else [home]


@lru_cache(maxsize=256)
def _sentences(text: str) -> frozenset[str]:
    return frozenset(_letters(sentence.text) for sentence in split_sentences(text))


def _letters(text: str) -> str:
    """What is said without marks, blanks and capitals."""
    return "".join(filter(str.isalnum, text)).casefold()
