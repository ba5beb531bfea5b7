"""A sentence passes only where its passage says the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.guidelines import load_guides
from rag.quantities import Quantity, quantities_in, unsupported_quantities
from rag.sentences import split_sentences
from rag.support import Claim, is_quoted, unsupported

PASSAGE = "发烧是体温超过38℃。3个月以下的婴儿发烧要当天去急诊。孩子发烧多数由病毒引起，一般3～5天自己好。发烧时不要捂汗，可以少穿一点。退热药由医生决定。"
PAIRS = Path(__file__).parent / "data" / "support_pairs.jsonl"


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("孩子发烧多数由病毒引起，3～5天会好", None),
        ("发烧时可以少穿一点，不要捂汗", None),
        ("孩子发烧多数由细菌引起", "changed word"),
        ("孩子发烧由病毒引起，3～5天好", "certainty"),
        ("发烧时要捂汗", "negation"),
        ("发烧超过39℃", "number"),
        ("3岁以下的婴儿发烧要当天去急诊", "number"),
        ("孩子发烧可以用布洛芬", "medicine"),
        ("成人发烧要当天去急诊", "population"),
        ("医生说“发烧要捂汗”", "quotation"),
        ("发烧的人要多吃水果和蔬菜", "words"),
    ],
)
def test_what_the_passage_does_not_say_is_refused_with_the_reason(sentence, reason):
    assert unsupported(Claim(sentence, PASSAGE)) == reason


def test_part_of_a_sentence_is_no_quotation():
    assert is_quoted("3个月以下的婴儿发烧要当天去急诊。", PASSAGE)
    assert not is_quoted("发烧要当天去急诊", PASSAGE)


@given(st.sampled_from(sorted(load_guides())), st.data())
def test_every_whole_sentence_of_a_passage_is_supported_by_it(guide_id, data):
    section = data.draw(st.sampled_from(load_guides()[guide_id].sections))
    for sentence in split_sentences(section.text):
        assert unsupported(Claim(sentence.text, section.text)) is None


@pytest.mark.parametrize("split", ["dev", "test"])
def test_hand_made_pairs_are_told_apart(split):
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["split"] == split]
    passed = [row for row in rows if unsupported(Claim(row["sentence"], row["passage"])) is None]
    right = sum(row["supported"] for row in passed)
    assert right / len(passed) >= 0.78
    assert right / sum(row["supported"] for row in rows) >= 0.45


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("超过38.5℃", Quantity("38.5", "celsius", ">")),
        ("三天内", Quantity("3", "day", "<")),
        ("within three days", Quantity("3", "day", "<")),
        ("2～3周", Quantity("2-3", "week")),
        ("血压140/90 mmHg", Quantity("140/90", "mmhg")),
        ("百分之二十", Quantity("20", "percent")),
        ("65岁以上", Quantity("65", "year", ">")),
        ("不超过3次", Quantity("3", "times", "<")),
        ("1,000 ml", Quantity("1000", "ml")),
    ],
)
def test_numbers_are_read_with_unit_and_bound(text, quantity):
    assert quantities_in(text) == [quantity]


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [("半小时", "30分钟"), ("两天", "48小时"), ("three weeks", "3周"), ("38.5度", "38.5℃"), ("一两天", "1到2天")],
)
def test_the_same_number_in_another_spelling_is_the_same(sentence, passage):
    assert unsupported_quantities(sentence, passage) == []


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [("3天", "3周"), ("超过3天", "不超过3天"), ("140", "38"), ("38.5℃", "38.5"), ("3天", "3～5天")],
)
def test_another_unit_bound_or_value_is_another_number(sentence, passage):
    assert unsupported_quantities(sentence, passage)
