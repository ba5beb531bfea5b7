"""Who is ill, how old, which sex: from the words of whoever writes."""

from __future__ import annotations

import pytest

from rag.patient import denies_pregnancy, find_patient, told_of
from rag.wording import normalise


def patient(text: str):
    return find_patient(normalise(text), None)


AGES = [
    ("我今年72岁，胸闷", 72),
    ("孩子8个月大，发烧", 8 / 12),
    ("宝宝八个月了，不吃奶", 8 / 12),
    ("三岁半的孩子咳嗽", 3.5),
    ("a 78-year-old man", 78),
    ("my 3 yo has a rash", 3),
    ("our six week old baby", 6 / 52.18),
    ("出生10天的宝宝黄疸", 10 / 365.25),
    ("患者女，34，腹痛", 34),
    ("（男，4岁）咳嗽", 4),
    ("45M chest pain", 45),
    ("I am 55 and I smoke", 55),
    ("my baby is 5 months", 5 / 12),
    ("我奶奶八十多岁了", 80),
    ("宝宝刚满月", 1 / 12),
    ("hes 3 and coughing", 3),
    ("he's only 3 weeks, won't feed", 3 / 52.18),
    ("我妈65了，头晕", 65),
    ("Mum 74, dizzy", 74),
    ("宝宝40天，吃奶少", 40 / 365.25),
    ("baby 5 weeks, hot", 5 / 52.18),
]
WHOSE = [
    ("我妈妈胸口疼", "mother", "female"),
    ("孩子说肚子疼", "child", None),
    ("我老公喝多了叫不醒", "husband", "male"),
    ("我家宝宝发烧", "baby", None),
    ("my grandma fell", "grandmother", "female"),
    ("我老婆让我来问，我咳嗽半个月", "self", None),
    ("家里人说没事，可我胸口疼", "self", None),
    ("my wife wants me to ask about my knee", "self", None),
    ("我生完孩子两周，发烧", "self", None),
    ("我爸有冠心病，我最近胸闷", "self", None),
    ("我爸有冠心病，今天胸闷", "father", "male"),
    ("my dad has a pacemaker and just fainted", "father", "male"),
]


@pytest.mark.parametrize(("text", "years"), AGES)
def test_an_age_is_read_in_every_form(text, years):
    assert patient(text).age_years == pytest.approx(years, rel=0.01)


@pytest.mark.parametrize(("text", "relation", "sex"), WHOSE)
def test_who_is_ill_is_not_always_who_writes(text, relation, sex):
    found = patient(text)
    assert (found.relation, found.sex) == (relation, sex)


def test_the_writers_age_is_not_the_patients():
    assert patient("我今年35，我妈妈胸口疼").age_years is None
    assert patient("我今年35岁，我妈78岁，她胸口疼").age_years == 78


def test_months_of_pregnancy_or_illness_are_no_age():
    assert patient("怀孕8个月，头疼").age_years is None
    assert patient("咳嗽3个月了").age_years is None
    assert patient("怀孕2个月发烧").age_years is None


@pytest.mark.parametrize(
    ("text", "sex"), [("女，34岁", "female"), ("我月经推迟了", "female"), ("前列腺不舒服", "male"), ("头疼", None)]
)
def test_sex_is_told_only_where_the_words_tell_it(text, sex):
    assert patient(text).sex == sex


@pytest.mark.parametrize(
    "words", ["不是怀孕，早上老恶心", "nausea every morning, I'm not pregnant", "月经没来，验孕棒阴性"]
)
def test_a_pregnancy_denied_is_none(words):
    assert denies_pregnancy(words) and "pregnant" not in told_of(words)


@pytest.mark.parametrize("words", ["怀孕早上老恶心", "上次没怀孕，这次怀孕8周恶心", "I am pregnant and feel sick"])
def test_a_pregnancy_told_is_one(words):
    assert not denies_pregnancy(words) and "pregnant" in told_of(words)
