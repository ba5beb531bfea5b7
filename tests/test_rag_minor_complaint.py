"""Home is given to minor complaints alone, and a doubt gives level IV."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from knowledge.hospital import with_hospital_flags
from knowledge.self_care import load_self_care
from knowledge.urgency import UrgencyLevel
from rag.minor_complaint import minor_complaint
from rag.red_flag_matcher import RedFlagMatcher

DATA = Path(__file__).resolve().parent / "data"
GROUPS = ("home", "routine", "urgent", "emergency")
MATCHER = RedFlagMatcher(*with_hospital_flags(None))


def is_home(text: str) -> bool:
    return minor_complaint(MATCHER.read(text), load_self_care()) is not None


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def test_no_vignette_that_needs_a_doctor_is_sent_home():
    cases = [*rows("home_vignettes.jsonl"), *rows("urgency_vignettes.jsonl")]
    assert [row["text"] for row in cases if row["level"] != "home" and is_home(row["text"])] == []


def test_most_minor_complaints_of_the_well_may_be_watched_at_home():
    minor = [row["text"] for row in rows("home_vignettes.jsonl") if row["level"] == "home"]
    assert sum(map(is_home, minor)) >= 0.8 * len(minor)


@pytest.mark.parametrize("record", load_self_care(), ids=lambda record: record.id)
def test_every_example_of_a_minor_complaint_is_one(record):
    for text in record.examples.both():
        findings = MATCHER.read(text)
        assert max([UrgencyLevel.HOME, *(raised.flag.level for raised in findings.raised)]) <= UrgencyLevel.IV
        assert is_home(text), text


@pytest.mark.parametrize(
    "more",
    [
        "，还有点喘",
        "，右脚趾发紫",
        "，发烧39度",
        "，已经三个星期了",
        "，我怀孕3个月",
        "，我在吃激素",
        "，今年75岁",
        "，脖子上摸到一个疙瘩疼",
    ],
)
def test_anything_more_than_the_minor_complaint_rules_home_out(more):
    assert is_home("有点流鼻涕打喷嚏") and not is_home(f"有点流鼻涕打喷嚏{more}")


def test_a_vital_sign_rules_home_out_unless_it_is_harmless():
    assert is_home("流鼻涕打喷嚏，体温36.8")
    assert not is_home("流鼻涕打喷嚏，体温37.9") and not is_home("流鼻涕打喷嚏，心率98")
