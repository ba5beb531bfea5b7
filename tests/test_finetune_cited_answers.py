"""Cited answers and spoiled ones made by rule: what serving would show, what its gates would let through."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import pytest

from finetune.asked_questions import answered_records, answered_row, in_any_order, questions_in
from finetune.cited_answers import cited_records, cited_rows, with_altered_words
from finetune.cleaning import prescribing
from finetune.grounding import Grounded, GroundingRules
from finetune.grounding_check import admitted_share
from finetune.records import as_row, from_row
from finetune.spoiled_answers import SPOILERS, cited_preferences
from finetune.stage_rows import SHAPES
from knowledge.errors import InvalidUsage
from knowledge.prompts import ABSTAINS, ANSWER_SYSTEM

RULES = GroundingRules(at_most=24, abstain_share=0.3, seed=5)


@pytest.fixture(scope="module")
def rows(assistant):
    return list(cited_rows(assistant, RULES, random.Random(5), Grounded(), lambda *_: None))


@pytest.fixture(scope="module")
def records(assistant):
    return cited_records(assistant, RULES).records


def test_the_gates_of_serving_let_every_cited_answer_through(rows):
    answered = [row for row in rows if row.answer]
    assert len(answered) > 8
    for row in answered:
        passages = [passage.text for passage in row.evidence.keyed().values()]
        assert admitted_share(row.text, passages) == 1.0, row.text


def test_where_no_passage_answers_the_row_abstains_and_names_none(records):
    abstaining = [one for one in records if "abstains" in one.tags]
    assert abstaining
    assert all(not one.passages and one.targets[0].rstrip("。.") in ABSTAINS.values() for one in abstaining)


def test_in_a_share_of_the_rows_every_other_passage_is_of_another_guide(rows):
    answered = [row for row in rows if row.answer]
    alone = [
        row
        for row in answered
        if [found.passage.source_id for found in row.evidence.passages].count(row.answer[0][1].source_id) == 1
    ]
    assert 0 < len(alone) < len(answered)
    assert all(len(row.evidence.passages) > 1 for row in alone)


def test_the_prompt_is_the_one_of_serving_and_no_target_prescribes(records):
    assert {record.system for record in records} <= set(ANSWER_SYSTEM.values())
    assert not any(prescribing(target) for record in records for target in record.targets)


def assert_every_sentence_stands_where_it_is_cited(record):
    cited = re.findall(r"(.+?)\s?\[(\d)\]\s?", record.targets[0])
    assert cited and all(sentence in record.passages[int(key) - 1] for sentence, key in cited)
    shown = dict(re.findall(r"^\[(\d)\] .*\n((?:.+\n)+)", record.asked, re.MULTILINE))
    assert all(sentence in shown[key].replace("＜", "<").replace("＞", ">") for sentence, key in cited)


def test_an_answer_is_cited_word_for_word_from_a_passage_shown(records):
    for record in records:
        if "answers" in record.tags:
            assert_every_sentence_stands_where_it_is_cited(record)


def test_altered_words_stand_in_answer_and_passage_alike_and_abstentions_stay(assistant, records):
    others = cited_records(assistant, replace(RULES, altered_share=1.0)).records
    for record, other in zip(records, others, strict=True):
        if "abstains" in record.tags:
            assert other == record
        else:
            assert_every_sentence_stands_where_it_is_cited(other)
            assert not prescribing(other.targets[0])
            assert ("altered" in other.tags) == (other.targets != record.targets)
    assert sum("altered" in other.tags for other in others) > 0.8 * sum("answers" in one.tags for one in records)


def test_a_share_is_altered_the_same_for_the_same_seed_and_none_by_default(records):
    half = replace(RULES, altered_share=0.5)
    once = list(with_altered_words(records, half))
    assert once == list(with_altered_words(records, half))
    changed = sum(record != other for record, other in zip(records, once, strict=True))
    assert 0 < changed < sum("answers" in one.tags for one in records)
    assert list(with_altered_words(records, RULES)) == records


def test_a_record_keeps_its_passages_on_disk_and_a_verifiable_reward_is_given_them(records):
    record = next(one for one in records if "answers" in one.tags)
    row = as_row(record)
    assert from_row(json.loads(json.dumps(row))) == record
    asked = SHAPES["ppo"](row)
    assert tuple(asked["passages"]) == record.passages and asked["prompt"][-1]["role"] == "user"


@pytest.mark.parametrize("name", sorted(SPOILERS))
def test_a_spoiled_answer_is_worse_than_the_right_one_by_the_gates_or_by_what_was_asked(rows, name):
    tried, still_whole = 0, 0
    for row in (row for row in rows if row.answer):
        spoiled = SPOILERS[name](row, random.Random(1))
        if not spoiled or spoiled == row.text:
            continue
        tried += 1
        passages = [passage.text for passage in row.evidence.keyed().values()]
        still_whole += admitted_share(spoiled, passages) == 1.0
    if name in ("wrong_key", "no_key", "gives_up"):
        assert still_whole <= tried / 10
    assert tried or name in ("another_number", "denied")


def test_every_pair_prefers_the_cited_answer(assistant):
    pairs = cited_preferences(assistant, RULES).records
    assert len(pairs) > 15
    assert all(pair.chosen != pair.rejected and any(tag.startswith("spoiled:") for tag in pair.tags) for pair in pairs)


def test_a_real_question_is_answered_as_serving_would_and_an_unanswerable_one_gives_no_row(assistant, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "高血压平时要注意什么？"}\n{"question": "今天股票会涨吗"}\n', encoding="utf-8")
    made = answered_records(assistant, list(questions_in(file)), RULES)
    assert len(made.records) == 1 and made.left_out["the documents do not answer"] == 1
    assert admitted_share(made.records[0].targets[0], made.records[0].passages) == 1.0


def test_a_row_in_another_order_cites_the_same_passages_by_their_new_numbers(assistant):
    import random

    row = answered_row(assistant, "感冒了平时要注意什么", 6)
    assert row is not None
    others = [in_any_order(row, random.Random(seed)) for seed in range(6)]
    assert {other.answer for other in others} == {row.answer} and len({other.text for other in others}) > 1
    for other in others:
        assert admitted_share(other.text, [one.text for one in other.evidence.keyed().values()]) == 1.0


def test_a_row_without_a_question_is_named_by_file_and_line(tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "好"}\n{"ask": "x"}\n', encoding="utf-8")
    with pytest.raises(InvalidUsage, match="questions.jsonl:2"):
        list(questions_in(file))
