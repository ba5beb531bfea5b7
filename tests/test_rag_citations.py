"""A model's text becomes sentences with keys, however it is cut into pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.citations import LONGEST_SENTENCE, WrittenSentence, reads_back, written_sentences

TEXT = "发烧要多休息。[1] 体温38.5℃以上当天去医院[2]。孩子3个月以下去急诊。[1][3]\n- 多喝水 [2]\nRest at home. [1] Call 120 if you faint [2]. 没有编号的话。再一句。[9]"
SENTENCES = [
    WrittenSentence("发烧要多休息。", ("1",)),
    WrittenSentence("体温38.5℃以上当天去医院。", ("2",)),
    WrittenSentence("孩子3个月以下去急诊。", ("1", "3")),
    WrittenSentence("多喝水", ("2",)),
    WrittenSentence("Rest at home.", ("1",)),
    WrittenSentence("Call 120 if you faint.", ("2",)),
    WrittenSentence("没有编号的话。", ()),
    WrittenSentence("再一句。", ("9",)),
]


@given(st.lists(st.integers(1, len(TEXT)), max_size=30))
def test_sentences_do_not_depend_on_how_the_text_arrives(cuts):
    places = [0, *sorted(set(cuts)), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in itertools.pairwise(places)]
    assert list(written_sentences(pieces)) == SENTENCES


@given(st.text(max_size=400))
def test_no_text_breaks_the_reading(text):
    for sentence in written_sentences([text]):
        assert sentence.text and all(key.isdigit() for key in sentence.keys)


def test_a_text_without_end_is_cut():
    assert all(len(sentence.text) <= LONGEST_SENTENCE for sentence in written_sentences(["啊" * 5000]))


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("发烧要多休息。", True),
        ("Rest while you have a fever.", True),
        ("见图[3]所示，先洗手。", False),
        ("先洗手。再吃饭。", False),
        ("1. 先洗手。", False),
    ],
)
def test_a_sentence_reads_back_where_no_mark_within_cuts_it(text, whole):
    assert reads_back(text) is whole
