"""What could name a patient does not stay in a solved case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.masking import mask

PERSONAL = [
    ("我叫王小明，今年三十岁", "王小明"),
    ("患者姓名：欧阳娜娜，女", "欧阳娜娜"),
    ("李建国先生昨天来过", "李建国"),
    ("My name is John Smith and I cough", "John Smith"),
    ("Mrs Eleanor Rigby has a headache", "Eleanor Rigby"),
    ("身份证11010519491231002X", "11010519491231002X"),
    ("电话13812345678，请回电", "13812345678"),
    ("打 138-1234-5678 给我", "138-1234-5678"),
    ("座机010-62345678", "62345678"),
    ("call me on 020 7946 0958 please", "7946 0958"),
    ("住院号ZY2024001234", "ZY2024001234"),
    ("病历号：A12345", "A12345"),
    ("MRN: 00451288", "00451288"),
    ("mail zhang.san@example.com", "zhang.san@example.com"),
    ("家住北京市朝阳区建国路88号", "建国路88号"),
    ("地址：上海市徐汇区漕溪路12弄3号502室", "漕溪路12弄"),
    ("我老伴马玉兰这两天喘得厉害", "马玉兰"),
    ("我叫阿依古丽·买买提", "买买提"),
    ("手机一三八零零一三八零零零", "一三八零零一三八零零零"),
    ("我是河南省周口市沈丘县付井镇的", "付井镇"),
    ("my wife Anna can't sleep", "Anna"),
    ("I live at 12 Baker Street", "12 Baker Street"),
]
MEDICAL = [
    "血压150/90，心率120次，体温39.5℃，已经3天了",
    "上次月经是12月28号，HCG 12345.6，停经54天",
    "谢谢医生，谢谢大夫",
    "右侧髋关节疼痛，张口受限，黄疸，白带多，于昨天加重",
    "My blood pressure is 150/90 and my temperature is 38.5",
    "母亲高血压，父亲查出白内障，我妈黄疸",
    "那就谢谢医生，检查的时候医生说没事",
    "社区医院和大城市社区都去过",
    "孩子叫不醒，手脚冰凉",
]


@pytest.mark.parametrize(("text", "personal"), PERSONAL)
def test_what_names_a_patient_is_masked(text, personal):
    assert personal not in mask(text)


@pytest.mark.parametrize("text", MEDICAL)
def test_medical_words_and_values_stay(text):
    assert mask(text) == text


@given(st.text(alphabet="我叫王李13800138000医生号：-，. Aa", max_size=80))
def test_masking_twice_is_masking_once(text):
    assert mask(mask(text)) == mask(text)


@given(
    st.text(max_size=20).filter(lambda text: not text[-1:].isalnum()), st.integers(3, 9), st.integers(0, 999_999_999)
)
def test_a_mobile_number_is_masked_wherever_it_stands(before, second, rest):
    number = f"1{second}{rest:09}"
    assert number not in mask(f"{before} {number}，")
