"""Vital signs as people write them; unit mistakes are caught."""

from __future__ import annotations

import pytest

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
