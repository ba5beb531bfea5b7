"""An answer as a writer wrote it and the gates let it through; the passages' own sentences where it failed or left off."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from knowledge.errors import WriterUnavailable
from knowledge.pointed_questions import load_pointed_questions
from knowledge.replies import AnswerPiece, CitedAnswer
from rag.evidence import AnswerPart, DraftSentence, Evidence
from rag.gates import Admitted, answer_sentence, citation_of, judge
from rag.pointed_questions import PointedQuestion
from rag.sentence_choice import is_danger_line, own_question
from rag.words import share_covered, tokens_of
from rag.writers import ExtractiveWriter, Writer

_NOTES = {
    "unavailable": {
        "zh": "语言模型暂时用不了，以下是资料原文中的句子。",
        "en": "The language model is unavailable just now; these are sentences of the documents themselves.",
    },
    "too_little": {
        "zh": "语言模型写的内容没有通过核对，以下是资料原文中的句子。",
        "en": "What the language model wrote did not pass the checks; these are sentences of the documents themselves.",
    },
    "broke_off": {
        "zh": "语言模型没有写完。写出来的每一句都核对过，后面补上的是资料原文中的句子。",
        "en": "The language model did not finish. Every sentence it wrote was checked; those added are the documents' own.",
    },
}
TOLD_FOR_IT = 2  # sentences of the passages that tell what was asked, where a model left it out
LONE_COVERED = 0.2  # of the question's words by rarity, that a lone sentence must hold under its heading
_LEFT_OUT: frozenset[AnswerPart] = frozenset({"danger"})  # told in any case: when to hurry
_BROKEN_OFF: frozenset[AnswerPart] = frozenset({"where", "do", "danger"})  # what a model comes to last

_log = logging.getLogger("daozhen.writer")  # kinds of fault only; what patients say is never logged


def written_answer(writer: Writer, evidence: Evidence) -> Generator[AnswerPiece, None, CitedAnswer | None]:
    """The writer's sentences as they pass the gates; returns the whole answer, None where the passages give none.

    Where a model fails or too little of it passes, the passages' own sentences take its place, numbered from the first
    again; where it breaks off, they complete it. What to hurry for is told whatever the model left out.
    """
    if isinstance(writer, ExtractiveWriter):
        return (yield from _extractive(evidence, ""))
    pointed, passed, kept_back = evidence.pointed, _Passed(evidence), _Passed(evidence)
    note, lacking = "", _LEFT_OUT
    try:
        for draft in writer.write(evidence):
            if pointed is None or passed.pieces:
                yield from passed.of([draft])
                continue
            kept_back.take([draft])  # until the sentence comes that tells what was asked
            if kept_back.drafts[-1:] == [draft] and _tells(draft, pointed):
                passed.refused = kept_back.refused
                first = [draft] if draft.part == "answer" else []  # when to hurry keeps its place
                yield from passed.of([*first, *kept_back.drafts])
    except WriterUnavailable as fault:
        _log.warning("daozhen: %s; the documents' own sentences are given", fault)
        note, lacking = "broke_off", _BROKEN_OFF
    told = passed if passed.pieces else kept_back
    if not told.stand():
        return (yield from _extractive(evidence, "unavailable" if note else "too_little"))
    if not note and told.tells_danger():
        lacking = frozenset()
    if pointed and told is kept_back:
        passed = _to_the_point(told.drafts, evidence, pointed)
        yield from passed.pieces
    yield from passed.of(draft for draft in ExtractiveWriter().write(evidence) if draft.part in lacking)
    return _whole(passed.pieces, writer.name, note, evidence)


def _extractive(evidence: Evidence, note: str) -> Generator[AnswerPiece, None, CitedAnswer | None]:
    """The passages' own sentences; where none tells the one thing asked for, that is said first."""
    writer, passed = ExtractiveWriter(), _Passed(evidence)
    passed.take(writer.write(evidence))
    if not passed.pieces:
        return None
    if evidence.pointed and not any(_tells(draft, evidence.pointed) for draft in passed.drafts):
        passed.say_that_none_tells()
    yield from passed.pieces
    return _whole(passed.pieces, writer.name, note, evidence)


def _to_the_point(drafts: Sequence[DraftSentence], evidence: Evidence, pointed: PointedQuestion) -> _Passed:
    """A model's sentences, none of which tells the one thing asked for, behind the passages' own that do; where there are
    none either, that is said first. When to hurry tells it too, at its own place."""
    own = _Passed(evidence)
    own.take(draft for draft in ExtractiveWriter().write(evidence) if _tells(draft, pointed))
    passed = _Passed(evidence)
    passed.take([*[draft for draft in own.drafts if draft.part == "answer"][:TOLD_FOR_IT], *drafts])
    if not own.drafts:
        passed.say_that_none_tells()
    return passed


def _tells(draft: DraftSentence, pointed: PointedQuestion) -> bool:
    """Whether a sentence, or the guide's own question that it answers, is about what was asked."""
    question = own_question(draft.passages[0])
    if (question and pointed.is_asked_in(question)) or (pointed.asks_to_hurry and draft.part == "danger"):
        return True
    return draft.part == "answer" and pointed.touched_by(draft.text)


def _whole(pieces: Sequence[AnswerPiece], writer: str, note: str, evidence: Evidence) -> CitedAnswer:
    sentences, citations = (piece.sentence for piece in pieces), (piece.citation for piece in pieces)
    return CitedAnswer(tuple(sentences), tuple(citations), writer, _NOTES[note][evidence.language] if note else "")


class _Passed:
    """The sentences that passed the gates, each once, numbered through; and how many were refused.

    One in whose place the advice to ask about a medicine is shown counts as neither.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.pieces: list[AnswerPiece] = []
        self.drafts: list[DraftSentence] = []  # as they were written
        self._kept: list[Admitted] = []
        self._shown: set[str] = set()
        self.refused = 0

    def take(self, drafts: Iterable[DraftSentence]) -> None:
        """Judges them all."""
        for _ in self.of(drafts):
            pass

    def of(self, drafts: Iterable[DraftSentence]) -> Iterator[AnswerPiece]:
        for draft in drafts:
            judged = judge(draft, self.evidence)
            if not isinstance(judged, Admitted):
                self.refused += 1
            elif judged.sentence.text not in self._shown:
                self._shown.add(judged.sentence.text)
                self.drafts.append(draft)
                if judged.sentence.text == draft.text:
                    self._kept.append(judged)
                key = str(len(self._shown))
                self.pieces.append(AnswerPiece(answer_sentence(judged, key), citation_of(judged, key)))
                yield self.pieces[-1]

    def stand(self) -> bool:
        """Whether they are an answer: at least as many as were refused, and a lone one speaks of what was asked.

        Scattered sentences left over from a text that was mostly refused are no answer, however true each is.
        """
        count = len(self._kept)
        return 0 < count >= self.refused and (count > 1 or self._answers(self._kept[0]))

    def _answers(self, lone: Admitted) -> bool:
        """As the extractive writer asks of a sentence: enough of the question's words, under its heading."""
        if not self.evidence.weights:
            return True
        heading = f"{lone.passage.title} {lone.passage.section}"
        covered = share_covered(self.evidence.weights, tokens_of(f"{heading} {lone.sentence.text}"))
        return covered >= LONE_COVERED

    def say_that_none_tells(self) -> None:
        """Before the first sentence: that the documents do not say what was asked, and what they are about."""
        first = self.pieces[0]
        words = load_pointed_questions().says.in_language(self.evidence.language).format(title=first.citation.title)
        self.pieces[0] = replace(first, sentence=replace(first.sentence, before=words))

    def tells_danger(self) -> bool:
        """Whether one of them rests on what the guide that fits best says of when to hurry."""
        best = {passage.source_id for passage in self.evidence.guide}
        return any(is_danger_line(kept.passage) and (not best or kept.passage.source_id in best) for kept in self._kept)
