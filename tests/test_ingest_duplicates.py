"""Duplicates are kept once with all their sources; what differs in any fact is no duplicate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.duplicates import keep_once, words_of
from rag.passages import Passage

LONG = "高血压患者每天吃盐不超过5克，少吃腌制食品，每周运动五次，每次三十分钟，并且在家里记录血压，复诊时带给医生看。"


def passage(text: str, source: str = "a.txt", section: str = "饮食", title: str = "高血压", **more: object) -> Passage:
    values = {"page": None, "start": 0, "language": "zh", "kind": "document", **more}
    return Passage(
        passage_id=f"{source}:{section}:{hash(text)}",
        source_id=source,
        title=title,
        section=section,
        text=text,
        **values,
    )  # type: ignore[arg-type]


SAME = [
    (LONG, LONG),
    (LONG, LONG.replace("，", ", ").replace("5", "５") + " "),
    (LONG, LONG.replace("腌制食品", "腌制的食品")),
    (LONG + "不要熬夜。", LONG),
    (LONG, LONG + "不要熬夜。"),
]
DIFFERENT = [
    ("血压应低于140/90 mmHg。" + LONG, "血压应低于160/100 mmHg。" + LONG),
    ("孕妇可以使用甲药。" + LONG, "孕妇不可以使用甲药。" + LONG),
    ("使用阿司匹林。" + LONG, "使用布洛芬。" + LONG),
    ("每次1.5片。" + LONG, "每次15片。" + LONG),
    ("体温>38℃就医。" + LONG, "体温<38℃就医。" + LONG),
    ("左侧胸痛要就医。" + LONG, "右侧胸痛要就医。" + LONG),
    ("最多吃5克", "最多吃50克"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_the_same_said_twice_is_kept_once_with_both_sources(first, second):
    (kept,) = keep_once([passage(first), passage(second, "b.pdf", title="另一本")])
    assert {kept.source_id, *kept.also_in} == {"a.txt", "b.pdf"}
    assert words_of(kept.text) == max(words_of(first), words_of(second), key=len)


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_texts_that_differ_in_a_fact_are_both_kept(first, second):
    assert len(keep_once([passage(first), passage(second, "b.pdf")])) == 2


def test_english_is_compared_alike():
    text = (
        "Call an ambulance for chest pain that lasts more than 15 minutes, and do not drive yourself to the hospital."
    )
    same = passage(text, language="en"), passage(text.upper(), "b", language="en")
    other = passage(text.replace("do not drive", "drive"), "c", language="en")
    assert len(keep_once([*same, other])) == 2


def test_a_short_text_under_another_heading_or_title_is_another_passage():
    short = "尚不明确。"
    assert len(keep_once([passage(short, section="甲药"), passage(short, "b", section="乙药")])) == 2
    assert len(keep_once([passage(short, title="甲药"), passage(short, "b", title="乙药")])) == 2
    assert len(keep_once([passage(LONG, section="高血压"), passage(LONG, "b", section="糖尿病")])) == 2


def test_the_shipped_guides_and_other_departments_stay_as_they_are():
    assert len(keep_once([passage(LONG, kind="guide"), passage(LONG, "b", kind="guide")])) == 2
    assert len(keep_once([passage(LONG, departments=("cardiology",)), passage(LONG, "b")])) == 2


@given(
    st.lists(st.sampled_from([LONG, LONG + "不要熬夜。", DIFFERENT[0][0], DIFFERENT[0][1], "尚不明确。"]), max_size=12)
)
def test_whatever_is_dropped_is_said_by_what_is_kept_and_its_source_named(texts):
    passages = [passage(text, f"{number}.txt") for number, text in enumerate(texts)]
    kept = keep_once(passages)
    for one in passages:
        assert any(
            one.text.rstrip("。") in other.text and one.source_id in (other.source_id, *other.also_in) for other in kept
        )
    assert len(kept) == len(keep_once(kept))
