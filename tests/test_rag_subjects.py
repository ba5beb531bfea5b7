"""What a question is about: the names of guides in it, what is left, and names mistyped."""

from __future__ import annotations

import pytest

from rag.passages import Passage
from rag.subjects import SubjectNames

KNOWN_ZH = {"带状", "状疱", "疱疹", "湿疹", "咳嗽", "感冒", "脱发", "会传", "传染", "孩子", "子湿", "疹怎"}


def source(source_id: str, title: str, names: str, language: str) -> Passage:
    return Passage(f"{source_id}:p0:0", source_id, title, "", None, 0, "text", language, "guide", search_terms=names)


CHINESE = SubjectNames(
    [
        source("common_cold", "感冒", "着凉\n伤风", "zh"),
        source("shingles", "带状疱疹", "缠腰龙", "zh"),
        source("knee_pain", "膝盖痛", "膝关节痛", "zh"),
        source("eczema", "湿疹与特应性皮炎", "奶癣", "zh"),
        source("rash_in_children", "孩子出疹子", "湿疹\n孩子皮疹", "zh"),
        source("cough", "咳嗽", "干咳", "zh"),
        source("cough_in_children", "孩子咳嗽", "宝宝咳嗽", "zh"),
    ],
    "zh",
    KNOWN_ZH.__contains__,
)
ENGLISH = SubjectNames(
    [
        source("ankle_sprain", "Ankle sprain", "twisted ankle", "en"),
        source("low_back_pain", "Low back pain", "back ache", "en"),
        source("psoriasis", "Psoriasis", "scaly patches", "en"),
        source("constipation", "Constipation", "not been for days", "en"),
        source("painful_urination", "Painful or frequent urination", "water infection", "en"),
    ],
    "en",
    lambda word: word not in ("psoriosi", "psoriosis"),
)


@pytest.mark.parametrize(
    ("question", "source_id"),
    [
        ("感冒了平时要注意什么", "common_cold"),
        ("伤风了多久能好", "common_cold"),
        ("膝盖疼还能爬楼吗", "knee_pain"),
        ("湿疹可以洗澡吗", "eczema"),
        ("特应性皮炎怎么办", "eczema"),
        ("孩子湿疹怎么办", "rash_in_children"),
        ("三岁的娃咳嗽", "cough_in_children"),
        ("咳嗽老不好", "cough"),
    ],
)
def test_a_chinese_question_names_its_guide(question, source_id):
    assert set(CHINESE.read(question).named[0].sources) == {source_id}


@pytest.mark.parametrize(
    ("question", "source_id"),
    [
        ("What to do when my ankle is sprained?", "ankle_sprain"),
        ("my back hurts", "low_back_pain"),
        ("is psoriasis catching", "psoriasis"),
    ],
)
def test_an_english_question_names_its_guide_in_any_order_and_form(question, source_id):
    assert set(ENGLISH.read(question).named[0].sources) == {source_id}


@pytest.mark.parametrize("question", ["it has been days", "is that painful", "my leg hurts"])
def test_a_word_or_two_of_a_name_name_nothing(question):
    assert not ENGLISH.read(question).named


def test_the_words_by_which_one_asks_are_no_part_of_what_a_question_is_about():
    assert not CHINESE.read("感冒了平时要注意什么").rest
    assert CHINESE.read("感冒了").shares({"感": 1.0, "冒": 1.0, "感冒": 2.0}) == {"common_cold": 1.0}


def test_a_mistyped_name_is_set_right_and_a_known_word_left_alone():
    assert "带状疱疹" in CHINESE.mended("带状庖疹会传染吗")
    assert ENGLISH.mended("is psoriosis catching") == "is psoriasis catching"
    assert ENGLISH.mended("is psoriasis catching") == "is psoriasis catching"
    assert CHINESE.mended("感冒会传染吗") == "感冒会传染吗"
