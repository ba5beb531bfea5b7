"""Writers turn evidence into an answer. The default one chooses, orders and joins the passages' own sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from knowledge.guidelines import SECTIONS
from rag.evidence import AnswerPart, DraftSentence, Evidence
from rag.passages import Passage
from rag.sentence_choice import Candidate, best, candidates, dangers, first, own_question, sentences_of, words_of
from rag.topics import asks
from rag.words import share_covered

MIN_QUESTION_MATCH = 0.6  # F1 of words, by rarity, from which a guide's own question is the patient's in other words
ANSWER_SENTENCES = 3


class Writer(Protocol):
    """Writes from evidence alone; every sentence names its passages. remote: whether words leave this machine."""

    name: str
    remote: bool

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        """The answer's sentences in reading order, as they are ready; none when the evidence does not answer."""
        ...


@dataclass(frozen=True)
class _Slot:
    """A part of the answer: which section of the guide fills it, and with how many sentences."""

    part: AnswerPart
    section: str
    sentences: int


# told after a direct answer, and after none
_AFTER_ANSWER = (_Slot("where", "department", 1), _Slot("danger", "danger", 1))
_PARTS: tuple[AnswerPart, ...] = ("answer", "why", "where", "do", "danger")  # in reading order
_OVERVIEW = (
    _Slot("why", "what", 2),
    _Slot("where", "department", 1),
    _Slot("do", "self_care", 2),
    _Slot("danger", "danger", 3),
)
# what answers a question for a whole section, besides what is told after any answer
_SECTION_ASKED: dict[str, tuple[_Slot, ...]] = {
    "danger": (_Slot("answer", "what", 1), _Slot("danger", "danger", 3)),
    "department": (_Slot("where", "department", 2),),
    "what": (_Slot("answer", "what", 3),),
}
# not searched for an answer unless asked for: told at their own place
_APART = ("danger", "department")


class ExtractiveWriter:
    """Sentences of the passages, word for word: the answer to what was asked, then where to go, what to do, when to hurry."""

    name = "extractive"
    remote = False

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        direct = self._own_answer(evidence) or self._direct(evidence)
        slots = _AFTER_ANSWER if direct and asks(evidence.question) else _OVERVIEW
        draft = [*direct, *self._filled(slots, evidence)]
        unique = {sentence.text: sentence for sentence in reversed(draft)}
        yield from sorted(reversed(unique.values()), key=lambda sentence: _PARTS.index(sentence.part))

    def _own_answer(self, evidence: Evidence) -> list[DraftSentence]:
        """The whole answer of a question in a guide that is the patient's question in other words.

        A question of another guide must name the subject too: words shared besides it are those by which one asks.
        """
        closest: tuple[float, Passage] | None = None
        own = {passage.source_id for passage in evidence.guide}
        for passage in dict.fromkeys((*evidence.guide, *(found.passage for found in evidence.passages))):
            if not (question := own_question(passage)):
                continue
            subject = words_of(passage.title) | evidence.named if passage.source_id in own else set[str]()
            match = _mutual_match(evidence, subject, question)
            if match >= MIN_QUESTION_MATCH and (closest is None or match > closest[0]):
                closest = (match, passage)
        if closest is None:
            return []
        return [DraftSentence(text, (closest[1],)) for text in sentences_of(closest[1])][:4]

    def _direct(self, evidence: Evidence) -> list[DraftSentence]:
        """The sentences that tell what is asked; where none or few do, how the sections asked for begin."""
        wanted = {heading for topic in evidence.topics for heading in SECTIONS[topic]}
        apart = {heading for section in _APART if section not in evidence.topics for heading in SECTIONS[section]}
        searched = [
            passage
            for passage in dict.fromkeys((*evidence.guide, *(found.passage for found in evidence.passages)))
            if passage.section not in apart and passage.kind != "department"
        ]
        if not evidence.guide and not searched:
            searched = [found.passage for found in evidence.passages]
        found = candidates(evidence, searched, wanted)
        answering = best((candidate for candidate in found if candidate.answers()), ANSWER_SENTENCES)
        direct = [_draft(candidate) for candidate in answering]
        if not asks(evidence.question):
            return direct[:2]
        if len(direct) < 2:
            direct += self._filled(_slots_asked(evidence), evidence)
        if not evidence.guide and not direct:
            direct = [_draft(candidate) for candidate in first(candidates(evidence, searched), ANSWER_SENTENCES)]
        return direct

    def _filled(self, slots: Iterable[_Slot], evidence: Evidence) -> Iterator[DraftSentence]:
        for slot in slots:
            passages = [passage for passage in evidence.guide if passage.section in SECTIONS[slot.section]]
            found = candidates(evidence, passages)
            is_danger = slot.section == "danger"
            for candidate in dangers(found, slot.sentences, evidence) if is_danger else first(found, slot.sentences):
                yield _draft(candidate, slot.part)


def _slots_asked(evidence: Evidence) -> list[_Slot]:
    """How the sections a question asks for are told: all of one, or something of two."""
    topics = evidence.topics[:2]
    count = ANSWER_SENTENCES if len(topics) == 1 else 2
    return [slot for topic in topics for slot in _SECTION_ASKED.get(topic, (_Slot("answer", topic, count),))]


def _draft(candidate: Candidate, part: AnswerPart = "answer") -> DraftSentence:
    """A danger line keeps its place at the end even where it answers the question."""
    is_danger_line = candidate.passage.section in SECTIONS["danger"]
    return DraftSentence(candidate.text, (candidate.passage,), "danger" if is_danger_line else part)


def _mutual_match(evidence: Evidence, subject: set[str], question: str) -> float:
    """F1 of the words two questions share, by rarity, apart from the subject that both name."""
    asked = {word: weight for word, weight in evidence.words().items() if word not in subject}
    rarest = max(evidence.rarity.values(), default=1.0)
    theirs = {word: evidence.rarity.get(word, rarest) for word in words_of(question) if word not in subject}
    held, own = share_covered(asked, list(theirs)), share_covered(theirs, list(asked))
    return 2 * held * own / (held + own) if held + own else 0.0
