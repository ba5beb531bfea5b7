"""Writers turn evidence into an answer. The default one chooses and orders the passages' own sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from knowledge.guidelines import SECTIONS
from knowledge.records import Language
from rag.lexical import share_covered, tokens_of
from rag.passages import Passage, RetrievedPassage
from rag.sentences import split_sentences

MAX_SENTENCES = 7
MIN_COVERED = 0.25  # share of the question's words a sentence must hold, under its heading, to answer it directly
MIN_SENTENCE_CHARS = {"zh": 8, "en": 25}


@dataclass(frozen=True)
class Evidence:
    """What an answer may rest on. weights: the question's words by rarity; guide: all passages of the guide that fits best."""

    question: str
    language: Language
    weights: dict[str, float]
    passages: tuple[RetrievedPassage, ...]
    guide: tuple[Passage, ...]
    danger_labels: frozenset[str]  # how a danger line may begin at this urgency


@dataclass(frozen=True)
class DraftSentence:
    """A sentence and the passage it claims to rest on."""

    text: str
    passage: Passage


class Writer(Protocol):
    """Writes from evidence alone; every sentence names its passage."""

    name: str

    def write(self, evidence: Evidence) -> list[DraftSentence]:
        """The answer's sentences in reading order; none when the evidence does not answer."""
        ...


@dataclass(frozen=True)
class _Slot:
    """A part of the answer: which section of the guide it is filled from, and with how many sentences."""

    section: str
    sentences: int


_GUIDE_SLOTS = (_Slot("what", 1), _Slot("department", 1), _Slot("self_care", 2), _Slot("danger", 2))


class ExtractiveWriter:
    """Sentences of the passages, word for word: what fits the question best, then what it is, where to go, what to do, when to hurry."""

    name = "extractive"

    def write(self, evidence: Evidence) -> list[DraftSentence]:
        direct = self._best(evidence, [found.passage for found in evidence.passages], 2, MIN_COVERED)
        draft = list(direct)
        for slot in _GUIDE_SLOTS:
            headings = SECTIONS[slot.section]
            passages = [passage for passage in evidence.guide if passage.section in headings]
            draft += self._best(evidence, passages, slot.sentences, ordered=True)
        unique = {sentence.text: sentence for sentence in reversed(draft)}
        return [sentence for sentence in draft if unique.pop(sentence.text, None) is not None][:MAX_SENTENCES]

    def _best(
        self,
        evidence: Evidence,
        passages: Sequence[Passage],
        count: int,
        min_covered: float = 0.0,
        ordered: bool = False,
    ) -> list[DraftSentence]:
        """The sentences that hold most of the question's words, earlier passages first among equals.

        min_covered: the share of the question's words a sentence must hold under its heading.
        """
        candidates = []
        for rank, passage in enumerate(passages):
            for sentence in split_sentences(passage.text):
                text = sentence.text.removeprefix("- ").strip()
                if not self._may_stand(text, passage, evidence):
                    continue
                covered = share_covered(evidence.weights, tokens_of(f"{passage.section} {text}"))
                if covered >= min_covered:
                    candidates.append((covered - 0.03 * rank, DraftSentence(text, passage)))
        best = sorted(candidates, key=lambda candidate: -candidate[0])[:count]
        if ordered:
            best = [candidate for candidate in candidates if candidate in best]
        return [sentence for _, sentence in best]

    def _may_stand(self, text: str, passage: Passage, evidence: Evidence) -> bool:
        if len(text) < MIN_SENTENCE_CHARS[evidence.language] or text.endswith(("？", "?", "：", ":")):
            return False
        label = text.replace("：", ":").partition(":")[0].strip().casefold()
        is_danger_line = passage.section in SECTIONS["danger"]
        return not is_danger_line or label in evidence.danger_labels
