"""Writers turn evidence into an answer. The default one chooses, orders and joins the passages' own sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from knowledge.guidelines import SECTIONS
from rag.evidence import AnswerPart, DraftSentence, Evidence
from rag.passages import Passage
from rag.patient import told_of
from rag.pointed_questions import PointedQuestion, besides_things, things_in
from rag.sentence_choice import (
    Candidate,
    best,
    candidates,
    dangers,
    first,
    is_danger_line,
    is_for_others,
    own_question,
    sentences_of,
    words_of,
)
from rag.topics import asks
from rag.words import share_covered

MIN_QUESTION_MATCH = 0.6  # F1 of words, by rarity, from which a guide's own question is the patient's in other words
ANSWER_SENTENCES = 3
TELLING_SENTENCES = 2
MIN_SAME_THING = 0.5  # share of what a guide's question asks besides the thing that the patient's holds


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
_DANGERS = _Slot("danger", "danger", 3)
_AFTER_ANSWER = (_Slot("where", "department", 1), _Slot("danger", "danger", 1))
PARTS: tuple[AnswerPart, ...] = ("answer", "why", "where", "do", "danger")  # in reading order
_OVERVIEW = (
    _Slot("why", "what", 2),
    _Slot("where", "department", 1),
    _Slot("do", "self_care", 2),
    _DANGERS,
)
# what answers a question for a whole section, besides what is told after any answer
_SECTION_ASKED: dict[str, tuple[_Slot, ...]] = {
    "danger": (_Slot("answer", "what", 1), _DANGERS),
    "department": (_Slot("where", "department", 2),),
    "what": (_Slot("answer", "what", 3),),
}
# not searched for an answer unless asked for: told at their own place
_APART = ("danger", "department")
_TESTS = frozenset({"scan", "blood_test", "endoscopy"})  # told where the doctor's questions and tests are


class ExtractiveWriter:
    """Sentences of the passages, word for word: the answer to what was asked, then where to go, what to do, when to hurry."""

    name = "extractive"
    remote = False

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        direct = self._telling(evidence) or self._own_answer(evidence) or self._direct(evidence)
        slots = _AFTER_ANSWER if direct and asks(evidence.question) else _OVERVIEW
        if evidence.pointed and evidence.pointed.asks_to_hurry:
            slots = (*slots, _DANGERS)
        draft = [*direct, *self._filled(slots, evidence)]
        unique = {sentence.text: sentence for sentence in reversed(draft)}
        yield from sorted(reversed(unique.values()), key=lambda sentence: PARTS.index(sentence.part))

    def _telling(self, evidence: Evidence) -> list[DraftSentence]:
        """What tells the one thing asked for: the whole answer of a question in a guide that asks for it and for nothing
        the patient does not, else the sentences that fit best; none where none tells it."""
        pointed = evidence.pointed
        if pointed is None:
            return []
        silent = {heading for section in _not_telling(pointed) for heading in SECTIONS[section]}
        told = told_of(evidence.told)
        others = tuple(found.passage for found in evidence.passages if not is_for_others(found.passage.title, told))
        places = (evidence.guide, others)
        if evidence.passages[0].passage.kind == "document":  # the hospital's own comes first
            places = (others, evidence.guide)
        found = [
            list(candidates(evidence, [passage for passage in passages if passage.section not in silent]))
            for passages in places
        ]
        for place in found:
            same = {one.passage for one in place if _asks_the_same(evidence, pointed, one.passage)}
            if same:
                return _whole_answer(max(same, key=lambda passage: self._match(evidence, passage)), pointed)
        for place in found:
            telling = [one for one in place if pointed.told_by(one.text)]
            if telling:
                return [_draft(one) for one in sorted(telling, key=lambda one: -one.tells)[:TELLING_SENTENCES]]
        return []

    def _own_answer(self, evidence: Evidence) -> list[DraftSentence]:
        """The whole answer of a question in a guide that is the patient's question in other words."""
        closest: tuple[float, Passage] | None = None
        for passage in _read(evidence):
            if not own_question(passage):
                continue
            match = self._match(evidence, passage)
            if match >= MIN_QUESTION_MATCH and (closest is None or match > closest[0]):
                closest = (match, passage)
        return _whole_answer(closest[1]) if closest else []

    def _match(self, evidence: Evidence, passage: Passage) -> float:
        """How much a passage's own question is the patient's.

        A question of another guide must name the subject too: words shared besides it are those by which one asks.
        """
        is_own = passage.source_id in {own.source_id for own in evidence.guide}
        subject = words_of(passage.title) | evidence.named if is_own else set[str]()
        return _mutual_match(evidence, subject, own_question(passage))

    def _direct(self, evidence: Evidence) -> list[DraftSentence]:
        """The sentences that tell what is asked; where none or few do, how the sections asked for begin."""
        wanted = {heading for topic in evidence.topics for heading in SECTIONS[topic]}
        apart = {heading for section in _APART if section not in evidence.topics for heading in SECTIONS[section]}
        searched = [
            passage for passage in _read(evidence) if passage.section not in apart and passage.kind != "department"
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


def _not_telling(pointed: PointedQuestion) -> Iterator[str]:
    """Sections of a guide that tell no such thing, or tell it at their own place."""
    yield from ("danger", "department", "described")
    if not _TESTS.intersection(pointed.things):
        yield "doctor"
    if pointed.asks_to_hurry:
        yield "causes"


def _asks_the_same(evidence: Evidence, pointed: PointedQuestion, passage: Passage) -> bool:
    """Whether a guide's own question asks for the same thing of the same subject, and for nothing besides."""
    question = own_question(passage)
    if not question or not pointed.is_asked_in(question):
        return False
    heading = words_of(f"{passage.title} {question}")
    is_own = evidence.guide and passage.source_id == evidence.guide[0].source_id
    if not is_own and not evidence.named <= heading:
        return False
    besides = besides_things(question, pointed.language) - words_of(passage.title)
    return len(besides & set(evidence.words())) >= MIN_SAME_THING * len(besides)


def _whole_answer(passage: Passage, pointed: PointedQuestion | None = None) -> list[DraftSentence]:
    """The sentences of a passage that answers a question, short ones too: half an answer may say the contrary.

    Where its question asks for other things as well, what tells the thing asked for comes first.
    """
    texts = sentences_of(passage)
    if pointed and len(things_in(own_question(passage), pointed.language)) > 1:
        texts.sort(key=lambda text: not pointed.told_by(text))
    return [DraftSentence(text, (passage,)) for text in texts][:4]


def _read(evidence: Evidence) -> list[Passage]:
    """The guide's passages, then the others found."""
    return list(dict.fromkeys((*evidence.guide, *(found.passage for found in evidence.passages))))


def _slots_asked(evidence: Evidence) -> list[_Slot]:
    """How the sections a question asks for are told: all of one, or something of two."""
    topics = evidence.topics[:2]
    count = ANSWER_SENTENCES if len(topics) == 1 else 2
    return [slot for topic in topics for slot in _SECTION_ASKED.get(topic, (_Slot("answer", topic, count),))]


def _draft(candidate: Candidate, part: AnswerPart = "answer") -> DraftSentence:
    """A danger line keeps its place at the end even where it answers the question."""
    return DraftSentence(candidate.text, (candidate.passage,), "danger" if is_danger_line(candidate.passage) else part)


def _mutual_match(evidence: Evidence, subject: set[str], question: str) -> float:
    """F1 of the words two questions share, by rarity, apart from the subject that both name."""
    asked = {word: weight for word, weight in evidence.words().items() if word not in subject}
    rarest = max(evidence.rarity.values(), default=1.0)
    theirs = {word: evidence.rarity.get(word, rarest) for word in words_of(question) if word not in subject}
    held, own = share_covered(asked, list(theirs)), share_covered(theirs, list(asked))
    return 2 * held * own / (held + own) if held + own else 0.0
