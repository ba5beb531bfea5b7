"""What a model leaves out of a question that wants one answer is told all the same, and first."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from knowledge.errors import WriterUnavailable
from knowledge.replies import CitedAnswer
from rag.evidence import DraftSentence
from rag.evidence_search import Asked, gather_evidence
from rag.gates import Admitted, judge
from rag.sentence_choice import own_question, sentences_of
from rag.writers import ExtractiveWriter
from rag.written_answer import written_answer

QUESTIONS = ["高血压能不能喝酒", "哮喘患者可以跑步吗", "糖尿病能吃西瓜吗", "甲亢治了眼珠子还是鼓出来，能缩回去不"]


HURRY = [
    ("heart keeps skipping a beat at night, is that anything to worry about", "en"),
    ("When should I worry about a headache?", "en"),
    ("头疼要不要紧", "zh"),
]


@dataclass(frozen=True)
class Says:
    """A model that says these sentences."""

    drafts: tuple[DraftSentence, ...]
    name = "fake"
    remote = False

    def write(self, _evidence):
        yield from self.drafts


@pytest.fixture(scope="module", params=QUESTIONS)
def evidence(request, assistant):
    found = gather_evidence(Asked.alone(request.param, "zh"), assistant.search.current(), 6)
    assert found is not None and found.pointed is not None
    return found


def whole(writer, evidence) -> CitedAnswer:
    said, pieces = written_answer(writer, evidence), []
    while True:
        try:
            pieces.append(next(said))
        except StopIteration as end:
            assert [piece.sentence for piece in pieces] == list(end.value.sentences)
            return end.value


def tells(evidence, draft: DraftSentence) -> bool:
    question = own_question(draft.passages[0])
    return evidence.pointed.touched_by(draft.text) or bool(question and evidence.pointed.is_asked_in(question))


def beside_the_point(evidence) -> list[DraftSentence]:
    """Sentences of the guide that pass the gates and do not tell what was asked."""
    drafts = (DraftSentence(text, (passage,)) for passage in evidence.guide for text in sentences_of(passage))
    admitted = (
        draft for draft in drafts if isinstance(found := judge(draft, evidence), Admitted) and found.sentence is draft
    )
    return [draft for draft in admitted if len(draft.text) > 12 and not tells(evidence, draft)][:3]


def telling(evidence) -> list[DraftSentence]:
    return [draft for draft in ExtractiveWriter().write(evidence) if draft.part == "answer" and tells(evidence, draft)]


def test_what_a_model_left_out_comes_first_or_it_is_said_that_nothing_tells_it(evidence):
    drafts = beside_the_point(evidence)
    answer = whole(Says(tuple(drafts)), evidence)
    first, told = answer.sentences[0], telling(evidence)
    assert answer.writer == "fake" and {draft.text for draft in drafts} <= {one.text for one in answer.sentences}
    assert (first.text, bool(first.before)) == ((told[0].text, False) if told else (drafts[0].text, True))


def test_what_a_model_tells_last_is_moved_to_the_front_and_nothing_is_added(evidence):
    told = telling(evidence)[:1]
    answer = whole(Says((*beside_the_point(evidence), *told)), evidence)
    said = [one.text for one in answer.sentences if one.part == "answer"]
    assert said == [draft.text for draft in (*told, *beside_the_point(evidence))]
    assert [one.key for one in answer.sentences] == [str(number) for number in range(1, len(answer.sentences) + 1)]


def test_a_model_that_is_mostly_refused_is_not_saved_by_what_is_added(evidence):
    passage = evidence.guide[0]
    made_up = [DraftSentence(f"每天吃{number}个苹果就能根治。", (passage,)) for number in (3, 4)]
    answer = whole(Says((*made_up, *beside_the_point(evidence)[:1])), evidence)
    assert answer.note and [one.text for one in answer.sentences] == [
        one.text for one in whole(ExtractiveWriter(), evidence).sentences
    ]


def test_once_it_is_told_every_sentence_is_shown_as_it_comes(evidence):
    told = telling(evidence)[:1]
    drafts, taken = [*told, *beside_the_point(evidence)], []

    @dataclass(frozen=True)
    class Slow(Says):
        def write(self, _evidence):
            for draft in self.drafts:
                taken.append(draft)
                yield draft

    first = next(written_answer(Slow(tuple(drafts)), evidence))
    if told:
        assert first.sentence.text == told[0].text and taken == told
    else:
        assert first.sentence.before and taken == drafts


@pytest.fixture(scope="module", params=HURRY, ids=[question for question, _ in HURRY])
def asked_to_hurry(request, assistant):
    found = gather_evidence(Asked.alone(*request.param), assistant.search.current(), 6)
    assert found is not None and found.pointed is not None and found.pointed.asks_to_hurry
    return found


def dangers_of(sentences) -> list[str]:
    return [one.text for one in sentences if one.part == "danger"]


def test_where_when_to_hurry_was_asked_its_lines_tell_it_and_keep_their_place(asked_to_hurry):
    own = whole(ExtractiveWriter(), asked_to_hurry)
    answer = whole(Says(tuple(beside_the_point(asked_to_hurry))), asked_to_hurry)
    assert dangers_of(own.sentences) and dangers_of(answer.sentences) == dangers_of(own.sentences)
    assert not any(one.before for one in answer.sentences)


def test_danger_lines_a_model_tells_are_no_lesser_ones_and_nothing_comes_behind_their_first(asked_to_hurry):
    lines = [draft for draft in ExtractiveWriter().write(asked_to_hurry) if draft.part == "danger"]
    answer = whole(Says((*beside_the_point(asked_to_hurry), *lines)), asked_to_hurry)
    parts = [one.part for one in answer.sentences]
    assert parts == sorted(parts, key=lambda part: part == "danger") and not answer.sentences[0].before
    assert dangers_of(answer.sentences) == [draft.text for draft in lines]


@pytest.mark.parametrize("pointed", [True, False])
def test_what_came_before_a_model_failed_stays(evidence, pointed):
    @dataclass(frozen=True)
    class Breaks(Says):
        def write(self, _evidence):
            yield from self.drafts
            raise WriterUnavailable("gone")

    asked = evidence if pointed else replace(evidence, pointed=None)
    drafts = [*telling(evidence)[:1], *beside_the_point(evidence)]
    answer = whole(Breaks(tuple(drafts)), asked)
    assert answer.writer == "fake" and answer.note
    assert {draft.text for draft in drafts} <= {one.text for one in answer.sentences}
