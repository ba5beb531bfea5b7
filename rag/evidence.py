"""What an answer may rest on, and what a writer hands over: both plain records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from knowledge.prompts import NumberedPassage
from knowledge.records import Language
from knowledge.urgency import UrgencyLevel
from rag.passages import Passage, RetrievedPassage
from rag.pointed_questions import PointedQuestion
from rag.topics import Aspect

AnswerPart = Literal["answer", "why", "where", "do", "danger"]


@dataclass(frozen=True)
class Evidence:
    """The passages an answer may rest on, and who asks what.

    told: everything the patient has said. weights: the question's words by rarity. guide: every passage of the guide that
    fits best, none where none does. topics: the sections of a guide the question asks about, as keys of SECTIONS.
    danger_labels: how a danger line may begin at this urgency. named: the words of the subject's names in the question;
    particulars: its other words, apart from those by which it is put; aspects: what is asked for more nearly; pointed: the
    one thing asked for, where it is one. shown: the passages a model reads, in its order (rag/reading_order.py); none: those
    found.
    """

    question: str
    language: Language
    urgency: UrgencyLevel
    department: str
    weights: Mapping[str, float]
    passages: tuple[RetrievedPassage, ...]
    guide: tuple[Passage, ...] = ()
    topics: tuple[str, ...] = ()
    danger_labels: frozenset[str] = frozenset()
    told: str = ""
    rarity: Mapping[str, float] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    particulars: frozenset[str] = frozenset()
    aspects: tuple[Aspect, ...] = ()
    pointed: PointedQuestion | None = None
    shown: tuple[Passage, ...] = ()

    def words(self) -> dict[str, float]:
        """The question's words with their rarity, as `named` and `particulars` write them (rag.subjects.words_of)."""
        return {word.replace("疼", "痛"): weight for word, weight in self.weights.items()}

    def keyed(self) -> dict[str, Passage]:
        """The passages by the key a model cites them with: "1", "2", ..."""
        shown = self.shown or tuple(found.passage for found in self.passages)
        return {str(number): passage for number, passage in enumerate(shown, 1)}

    def numbered(self) -> list[NumberedPassage]:
        """The passages as a model is shown them."""
        return [
            NumberedPassage(key, " · ".join(part for part in (passage.title, passage.section) if part), passage.text)
            for key, passage in self.keyed().items()
        ]

    def allowed(self) -> dict[str, Passage]:
        """Every passage that may be cited, by its id."""
        return {passage.passage_id: passage for passage in (*(found.passage for found in self.passages), *self.guide)}


@dataclass(frozen=True)
class DraftSentence:
    """A sentence and the passages it claims to rest on; part: which part of the answer it belongs to."""

    text: str
    passages: Sequence[Passage]
    part: AnswerPart = "answer"
