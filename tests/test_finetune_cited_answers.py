"""Cited answers and spoiled ones made by rule: what serving would show, what its gates would let through."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from finetune.asked_questions import answered_records, questions_in
from finetune.cited_answers import cited_records, cited_rows
from finetune.grounding import Grounded, GroundingRules
from finetune.grounding_check import admitted_share
from finetune.records import as_row, from_row
from finetune.spoiled_answers import SPOILERS, cited_preferences
from finetune.stage_rows import SHAPES
from knowledge.errors import InvalidUsage
from knowledge.prompts import ABSTAINS

RULES = GroundingRules(at_most=24, abstain_share=0.3, seed=5)


@pytest.fixture(scope="module")
def rows(assistant):
    import random

    return list(cited_rows(assistant, RULES, random.Random(5), Grounded(left_out=Counter()), lambda *_: None))


def test_the_gates_of_serving_let_every_cited_answer_through(rows):
    answered = [row for row in rows if row.answer]
    assert len(answered) > 8
    for row in answered:
        passages = [passage.text for passage in row.evidence.keyed().values()]
        assert admitted_share(row.text, passages) == 1.0, row.text


def test_where_no_passage_answers_the_row_abstains_and_names_none(assistant):
    records = [one for one in cited_records(assistant, RULES).records if "abstains" in one.tags]
    assert records
    assert all(not one.passages and one.targets[0].rstrip("。.") in ABSTAINS.values() for one in records)


def test_a_record_keeps_its_passages_on_disk_and_a_verifiable_reward_is_given_them(assistant):
    record = next(one for one in cited_records(assistant, RULES).records if "answers" in one.tags)
    row = as_row(record)
    assert from_row(json.loads(json.dumps(row))) == record
    asked = SHAPES["ppo"](row)
    assert tuple(asked["passages"]) == record.passages and asked["prompt"][-1]["role"] == "user"


@pytest.mark.parametrize("name", sorted(SPOILERS))
def test_a_spoiled_answer_is_worse_than_the_right_one_by_the_gates_or_by_what_was_asked(rows, name):
    import random

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
    made = answered_records(assistant, list(questions_in(file)))
    assert len(made.records) == 1 and made.left_out["the documents do not answer"] == 1
    assert admitted_share(made.records[0].targets[0], made.records[0].passages) == 1.0


def test_a_row_without_a_question_is_named_by_file_and_line(tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "好"}\n{"ask": "x"}\n', encoding="utf-8")
    with pytest.raises(InvalidUsage, match="questions.jsonl:2"):
        list(questions_in(file))
