"""What a model reads first is what tells what was asked; nothing found is lost for it but what was last."""

from __future__ import annotations

import pytest

from rag.evidence_search import Asked, gather_evidence
from rag.reading_order import in_reading_order, telling_sentences
from rag.writers import ExtractiveWriter

QUESTIONS = [
    ("高血压患者每天能吃多少盐", "zh"),
    ("发烧到多少度要去医院", "zh"),
    ("感冒了平时要注意什么", "zh"),
    ("Can I exercise with asthma?", "en"),
    ("my knee hurts when I climb stairs", "en"),
]


@pytest.fixture(scope="module", params=QUESTIONS, ids=[question for question, _ in QUESTIONS])
def evidence(request, assistant):
    question, language = request.param
    found = gather_evidence(Asked.alone(question, language), assistant.search.current(), 6)
    assert found is not None
    return found


def test_the_passages_that_tell_what_was_asked_come_first_in_the_order_they_are_told(evidence):
    telling = list(dict.fromkeys(draft.passages[0] for draft in telling_sentences(evidence)))
    assert (
        telling
        and list(in_reading_order(evidence, telling_sentences(evidence)).keyed().values())[: len(telling)] == telling
    )


def test_as_many_are_shown_as_were_found_and_those_behind_keep_their_order(evidence):
    telling = {draft.passages[0] for draft in telling_sentences(evidence)}
    found = [entry.passage for entry in evidence.passages]
    shown = list(in_reading_order(evidence, telling_sentences(evidence)).keyed().values())
    assert len(shown) == len(set(shown)) == max(len(telling), len(found))
    rest = [passage for passage in found if passage not in telling]
    behind = [passage for passage in shown if passage not in telling]
    assert behind == rest[: len(behind)]


def test_every_passage_shown_may_be_cited_and_the_answer_of_the_passages_themselves_stays_as_it_was(evidence):
    ordered = in_reading_order(evidence, telling_sentences(evidence))
    assert set(ordered.keyed().values()) <= set(evidence.allowed().values())
    assert list(ExtractiveWriter().write(ordered)) == list(ExtractiveWriter().write(evidence))


def test_when_to_hurry_is_shown_where_it_was_asked_for_and_else_told_by_itself(evidence):
    dangers = [draft for draft in telling_sentences(evidence) if draft.part == "danger"]
    assert bool(dangers) <= ("danger" in evidence.topics or bool(evidence.pointed and evidence.pointed.asks_to_hurry))
