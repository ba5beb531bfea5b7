"""A right sentence under a wrong number is cited to the passage that says it; nothing else is changed."""

from __future__ import annotations

import pytest
from langchain_core.language_models import FakeListChatModel

from knowledge.urgency import UrgencyLevel
from rag.evidence import Evidence
from rag.model_writer import ModelWriter
from rag.passages import Passage, RetrievedPassage
from rag.word_for_word import where_it_stands


def passage(name: str, text: str) -> Passage:
    return Passage(f"guidelines/{name}:p0:0", f"guidelines/{name}", name, "是什么", None, 0, text, "zh", "guide")


COUGH = passage("cough", "咳嗽是身体把痰赶出去的反应。咳嗽超过8周是慢性咳嗽。")
FEVER = passage("fever", "发烧要多喝水。不是所有发烧都要吃退烧药。")
SHOWN = (FEVER, COUGH)


def test_a_sentence_of_another_passage_is_cited_to_that_one():
    assert where_it_stands("咳嗽超过8周是慢性咳嗽。", [FEVER], SHOWN) == [COUGH]


def test_a_sentence_keeps_a_passage_that_has_it():
    assert where_it_stands("发烧要多喝水", [COUGH, FEVER], SHOWN) == [COUGH, FEVER]


@pytest.mark.parametrize(
    "text",
    ["所有发烧都要吃退烧药。", "咳嗽超过3周是慢性咳嗽。", "咳嗽多喝水。", "多喝水"],
    ids=["cut out of a sentence", "another number", "other words", "a few words"],
)
def test_what_no_passage_has_as_a_sentence_of_its_own_keeps_its_citation_for_the_gates_to_judge(text):
    assert where_it_stands(text, [COUGH], SHOWN) == [COUGH]


def written(*answer: str):
    found = tuple(RetrievedPassage(one, 1.0) for one in SHOWN)
    evidence = Evidence("咳嗽多久算慢性", "zh", UrgencyLevel.IV, "呼吸科", {}, found, told="咳嗽多久算慢性")
    writer = ModelWriter(FakeListChatModel(responses=["".join(answer)]), "fake", remote=False, seconds=20)
    return list(writer.write(evidence))


def test_a_model_that_numbers_wrongly_still_cites_what_it_copied():
    drafts = written("咳嗽超过8周是慢性咳嗽。[1]", "发烧要多喝水。")
    assert [list(draft.passages) for draft in drafts] == [[COUGH], [FEVER]]


def test_a_model_that_repeats_itself_is_heard_once_and_then_stopped():
    drafts = written(*["咳嗽超过8周是慢性咳嗽。[2]"] * 5, "发烧要多喝水。[1]")
    assert [draft.text for draft in drafts] == ["咳嗽超过8周是慢性咳嗽。"]
