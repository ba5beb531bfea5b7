"""Vital signs as people write them; unit mistakes are caught."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.durations import find_durations
from rag.vitals import find_vitals
from rag.wording import normalise

READ = [
    ("体温38.9℃", "temperature", 38.9),
    ("发烧39度5", "temperature", 39.5),
    ("孩子烧到四十度", "temperature", 40.0),
    ("三十九度二", "temperature", 39.2),
    ("temp of 101 °F", "temperature", 38.3),
    ("a fever of 103.5 F", "temperature", 39.7),
    ("血氧88", "spo2", 88),
    ("血氧饱和度只有85%", "spo2", 85),
    ("SpO2 is 91 %", "spo2", 91),
    ("my oxygen is 88", "spo2", 88),
    ("BP 185/120", "systolic", 185),
    ("血压185/120", "diastolic", 120),
    ("高压二百一", "systolic", 210),
    ("高压210低压110", "systolic", 210),
    ("blood pressure was 210 over 115", "diastolic", 115),
    ("心率170", "heart_rate", 170),
    ("心跳每分钟150下", "heart_rate", 150),
    ("pulse 140", "heart_rate", 140),
    ("呼吸每分钟50次", "respiratory_rate", 50),
    ("血糖2.8", "glucose", 2.8),
    ("blood sugar 54 mg/dl", "glucose", 3.0),
    ("血氧七十八", "spo2", 78),
    ("收缩压七十六", "systolic", 76),
    ("血氧百分之九十二", "spo2", 92),
    ("血压飙到二百一", "systolic", 210),
    ("脉搏一分钟125次", "heart_rate", 125),
    ("血糖测出来2.3", "glucose", 2.3),
    ("sats are 89", "spo2", 89),
    ("pulse ox says 84", "spo2", 84),
    ("血氧一直在89", "spo2", 89),
    ("heart rate above 180", "heart_rate", 180),
    ("my heart's been doing 150", "heart_rate", 150),
    ("格拉斯哥评分7", "gcs", 7),
    ("gcs是5", "gcs", 5),
    ("疼痛8分", "pain_score", 8),
    ("pain 9/10", "pain_score", 9),
    ("大概五分疼，疼痛八分", "pain_score", 8),
    ("心率六十次", "heart_rate", 60),
    ("血压180下不来", "systolic", 180),
    ("血压180年纪大了", "systolic", 180),
    ("血糖13月经也乱", "glucose", 13),
    ("血压180周末量的", "systolic", 180),
    ("血压180多", "systolic", 180),
]
MENDED = [
    ("体温101", "temperature", 38.3),
    ("体温385", "temperature", 38.5),
    ("体温39.5°F", "temperature", 39.5),
    ("血压16/10", "systolic", 120.0),
    ("血糖200", "glucose", 11.1),
    ("my bg is 50", "glucose", 2.8),
]
NOT_A_VITAL = [
    "每天测血糖三次",
    "血糖测了3回都正常",
    "血糖一天测四次",
    "血压120片",
    "体温量了38次",
    "血氧测了50遍",
    "my sugar 3 times a day",
    "check glucose 4 times daily",
    "心率24小时监测",
    "24小时动态血压，血压24小时",
    "heart rate 24 hour monitor",
    "pulse 48 hours",
    "近视300度",
    "烧了3天",
    "2024/11/22来的",
    "二度烫伤",
    "孩子39天",
    "24/7",
    "发烧5天了",
    "吃了38片",
    "45F with gallstones",
    "牙不痛但十分不舒服",
]


@pytest.mark.parametrize(("text", "kind", "value"), READ)
def test_a_vital_sign_is_read_with_its_unit(text, kind, value):
    found = [vital.value for vital in find_vitals(normalise(text)) if vital.kind == kind and vital.usable]
    assert value in found


@pytest.mark.parametrize(("text", "kind", "value"), MENDED)
def test_a_unit_mistake_is_mended_and_told(text, kind, value):
    found = next(vital for vital in find_vitals(normalise(text)) if vital.kind == kind)
    assert found.value == value and found.doubt and found.usable


@pytest.mark.parametrize("text", NOT_A_VITAL)
def test_other_numbers_are_no_vital_signs(text):
    assert not find_vitals(normalise(text))


def test_an_impossible_value_is_kept_apart_from_the_rules():
    (found,) = find_vitals(normalise("血氧 12"))
    assert not found.usable and "measure again" in found.doubt


_NUMERALS = "零一二三四五六七八九"
_DEGREES = st.sampled_from(
    [
        (value, said)
        for value in range(35, 42)
        for said in (str(value), f"{'三四'[value // 40]}十{_NUMERALS[value % 10] if value % 10 else ''}")
    ]
)
_COUNTED = st.sampled_from([("分钟", 1 / 60), ("小时", 1), ("个小时", 1), ("天", 24), ("周", 168)])


def _read(text: str) -> tuple[list[float], list[float]]:
    plain = normalise(text)
    temperatures = [vital.value for vital in find_vitals(plain) if vital.kind == "temperature"]
    return temperatures, [round(duration.hours, 3) for duration in find_durations(plain)]


@given(_DEGREES, st.integers(2, 9), st.integers(2, 9), _COUNTED)
def test_a_tenth_of_a_degree_and_what_is_counted_behind_it_are_told_apart(degrees, tenth, count, counted):
    (value, said), (unit, hours) = degrees, counted
    numerals = _NUMERALS[tenth] + ("两" if count == 2 else _NUMERALS[count])
    if numerals in ("三五", "三两") or count == tenth + 1:  # "五六天" is a guess at a number of days
        assert _read(f"烧到{said}度{numerals}{unit}") == ([value], [round(count * hours, 3)])
    else:
        assert _read(f"烧到{said}度{numerals}{unit}") == ([value + tenth / 10], [round(count * hours, 3)])


@given(_DEGREES, st.integers(2, 9), _COUNTED)
def test_a_number_behind_degrees_that_counts_something_is_no_tenth(degrees, count, counted):
    (value, said), (unit, hours) = degrees, counted
    for number in (_NUMERALS[count], str(count)):
        assert _read(f"烧到{said}度{number}{unit}") == ([value], [round(count * hours, 3)])


@given(_DEGREES, st.integers(2, 9), st.sampled_from(["", "，吃了药", "了", "左右", "，两天", "，咳嗽"]))
def test_a_number_behind_degrees_that_counts_nothing_is_a_tenth(degrees, tenth, after):
    value, said = degrees
    for number in (_NUMERALS[tenth], str(tenth)):
        assert _read(f"烧到{said}度{number}{after}")[0] == [value + tenth / 10]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("烧到38度半", 38.5),
        ("39度一直不退", 39),
        ("39度一整天", 39),
        ("三十七度八五", 37.9),
        ("39度一", 39.1),
        ("39度半个月", 39),
    ],
)
def test_what_looks_like_a_tenth_is_read_as_said(text, value):
    assert _read(text)[0] == [value]
