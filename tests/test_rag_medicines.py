"""No dose and no instruction about a medicine gets past, and ordinary advice does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.guidelines import load_guides
from knowledge.medicines import load_medicines
from rag.medicines import asks_for_dose, may_be_shown, medicines_named, prescribes, redacted
from rag.sentences import split_sentences

FORBIDDEN = """
Take 2 tablets every 4 to 6 hours.
Adults: 500 mg three times a day.
You can take ibuprofen for the pain.
Stop taking the medicine if a rash appears.
Apply hydrocortisone cream twice daily.
Use the inhaler every four hours.
Patients should discontinue warfarin immediately.
Give the child paracetamol.
The dose may be increased to 40 mg.
Double the dose if there is no improvement.
Switch to another antibiotic after three days.
One puff as needed.
Treatment should be discontinued if jaundice occurs.
The medicine should be stopped at once.
Start metformin today.
可以吃布洛芬退烧。
孩子发烧可以给他吃点退烧药。
阿莫西林一次两粒，一天三次。
建议停用降压药。
头孢和甲硝唑一起吃。
吃点消炎药就好。
试试藿香正气水。
每次0.3克，每日2次。
成人每8小时一次。
立即停药。
换成氨氯地平更好。
把药量加倍。
你应该服用阿司匹林。
可口服对乙酰氨基酚。
先吃三天头孢看看。
硝酸甘油舌下含服一片。
出现皮疹应立即停药并就医。
3～7岁，10～15ml/次。
按体重一日10mg/kg。
口服：成人一次5毫升。
""".strip().splitlines()

ALLOWED = """
Do not stop your medicine without asking your doctor.
The doctor may prescribe antibiotics.
Ask the pharmacist before using any painkiller.
People who take blood thinners bleed longer.
Drink 1.5 to 2 litres of water a day.
Measure blood pressure twice a day.
Eat less than 5 g of salt a day.
A fasting blood sugar of 126 mg/dL or more means diabetes.
If you take blood thinners, tell the doctor.
不要自己停药。
是否用抗生素由医生决定。
每天食盐不超过5克。
每天测血压两次。
空腹血糖7.0 mmol/L以上。
正在吃抗凝药的老人摔倒要去急诊。
降压药的种类由医生选择。
刷牙每天两次，每次两分钟。
吃了退烧药还是烧，今天去看医生。
带上正在吃的药。
24小时尿蛋白超过150mg/24h要查。
医生会根据情况调整药量。
""".strip().splitlines()


@pytest.mark.parametrize("sentence", FORBIDDEN)
def test_a_dose_or_an_instruction_is_seen(sentence):
    assert not may_be_shown(sentence)


@pytest.mark.parametrize("sentence", ALLOWED)
def test_advice_without_dose_or_instruction_may_be_shown(sentence):
    assert may_be_shown(sentence), prescribes(sentence)


def test_hardly_a_sentence_of_the_guides_is_taken_for_a_dose_or_an_instruction():
    sentences = [
        part.text
        for guide in load_guides().values()
        for section in guide.sections
        for part in split_sentences(section.text)
    ]
    stopped = [text for text in sentences[::7] if not may_be_shown(text)]
    assert len(stopped) < 0.005 * len(sentences[::7]), stopped


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("布洛芬一次吃几片", True),
        ("孩子20公斤退烧药吃多少", True),
        ("How many mg of ibuprofen for a 20 kg child?", True),
        ("How often should I take antibiotics", True),
        ("血糖14.2要打几个单位胰岛素", True),
        ("美林喝几毫升", True),
        ("退烧药隔几个小时吃一次", True),
        ("血压高了再加吃半片降压药行吗", True),
        ("忘吃一次药要不要补双倍", True),
        ("阿司匹林吃100还是75", True),
        ("退烧的两种药怎么交替吃", True),
        ("Give me the exact insulin units for a reading of 14.2", True),
        ("ibuprofen dosage for a 6 year old", True),
        ("can I take two amoxicillin at once", True),
        ("Is 800 mg ibuprofen too much?", True),
        ("how many hours apart should the pills be", True),
        ("误吃了十片安眠药", False),
        ("宝宝一天喝多少毫升奶", False),
        ("打疫苗要打几针", False),
        ("吃药大概多少钱", False),
        ("吃头孢能喝酒吗", False),
        ("How many units of alcohol are safe?", False),
        ("she took 20 paracetamol tablets", False),
        ("Is a blood sugar of 126 mg/dl too high?", False),
        ("how many vaccine doses does a baby need", False),
        ("高血压能不能停药", False),
        ("感冒吃什么药", False),
        ("吃多少盐合适", False),
        ("How much water should I drink", False),
    ],
)
def test_a_question_for_a_dose_is_told_from_other_questions(question, asks):
    assert asks_for_dose(question) is asks


def test_the_same_medicine_has_the_same_key_in_any_sentence():
    assert medicines_named("先用布洛芬退烧") == medicines_named("布洛芬可能刺激胃") == {"布洛芬"}
    assert medicines_named("amoxicillin or ibuprofen") == {"amoxicillin", "ibuprofen"}


@given(st.lists(st.sampled_from([*FORBIDDEN, *ALLOWED]), max_size=8).map("\n".join))
def test_a_redacted_text_may_be_shown_and_keeps_everything_else(text):
    shown = redacted(text, "zh")
    assert may_be_shown(shown.replace(load_medicines().mark.zh, ""))
    for line in text.splitlines():
        if line in ALLOWED:
            assert line in shown
