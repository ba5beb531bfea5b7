"""Questions that want one answer: what they ask for, and that what tells it stands first or is said to be missing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.pointed_questions import load_pointed_questions
from knowledge.replies import CitedAnswer
from rag.answering import following
from rag.dialogue import language_of
from rag.pointed_questions import complaint_in, pointed_question


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("发烧能不能洗澡", "bathing"),
        ("孩子发烧38度需要去医院吗", "hospital"),
        ("我血压高，昨天又感冒了，还能喝酒不", "alcohol"),
        ("洗头，可以吗？我刚生完孩子", "bathing"),
        ("手足口病会传染吗", "catching"),
        ("骨折了多久能好", "how_long"),
        ("痔疮手术后多久能洗澡", "bathing"),
        ("Can I take a bath with a fever?", "bathing"),
        ("Should I go to hospital for a nosebleed?", "hospital"),
        ("my knee hurts, do i need an x-ray", "scan"),
        ("Is shingles contagious?", "catching"),
        ("How long does a cold last?", "how_long"),
    ],
)
def test_the_thing_asked_for_is_recognised(question, thing):
    assert thing in pointed_question(question, language_of(question)).things


@pytest.mark.parametrize(
    "question",
    [
        "高血压平时要注意什么",
        "胸口闷，走路喘",
        "膝盖疼应该挂什么科",
        "What should I eat with gout?",
        "I can't sleep",
        "my knee hurts",
    ],
)
def test_a_complaint_or_a_question_for_many_things_is_not_pointed(question):
    assert pointed_question(question, language_of(question)) is None


def test_a_word_of_no_list_can_be_asked_for_too():
    pointed = pointed_question("得了甲亢能不能吃海带", "zh")
    assert not pointed.things and pointed.told_by("甲亢患者少吃海带。") and not pointed.told_by("甲亢患者要多休息。")


def test_what_only_mentions_a_thing_allows_and_forbids_nothing():
    pointed = pointed_question("高血压能喝酒吗", "zh")
    assert pointed.told_by("高血压患者最好不饮酒。") and not pointed.told_by("高血压与遗传、吃盐和饮酒有关。")


def test_how_long_until_something_may_be_done_is_another_question():
    pointed = pointed_question("痔疮要不要做手术", "zh")
    assert pointed.is_asked_in("痔疮一定要手术吗？") and not pointed.is_asked_in("痔疮手术后多久能好？")


@given(st.text(max_size=60))
def test_any_text_is_read_without_a_fault(text):
    pointed = pointed_question(text, language_of(text))
    assert pointed is None or pointed.things or pointed.words


def test_every_pattern_of_the_table_is_one():
    table = load_pointed_questions()
    patterns = [table.asks.advice, table.asks.other, table.advises, table.generic]
    for pattern in (*patterns, *(one for thing in table.things for one in (thing.asked, thing.told))):
        assert re.compile(pattern.zh) and re.compile(pattern.en)
        assert not re.fullmatch(pattern.zh, "") and not re.fullmatch(pattern.en, "")


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("发烧能不能洗澡", "洗"),
        ("高血压能喝酒吗", "酒"),
        ("痔疮需要开刀吗", "手术"),
        ("Is shingles contagious?", "shingles"),
        ("Is eczema contagious?", "not catching"),
        ("Can I drink alcohol with gout?", "beer"),
    ],
)
def test_the_sentence_that_tells_it_stands_first(assistant, question, first):
    answer = assistant.reply(question).answer
    assert isinstance(answer, CitedAnswer)
    assert first in answer.sentences[0].text and not any(sentence.before for sentence in answer.sentences)


@pytest.mark.parametrize("question", ["感冒了能喝姜汤吗", "Can I take a bath with a fever?"])
def test_where_no_sentence_tells_it_that_is_said_first_and_cites_nothing(assistant, question):
    answer = assistant.reply(question).answer
    assert isinstance(answer, CitedAnswer)
    lead = load_pointed_questions().says.in_language(language_of(question)).format(title=answer.citations[0].title)
    assert answer.sentences[0].before == lead and answer.text.startswith(lead)
    assert not any(sentence.before for sentence in answer.sentences[1:])


def test_behind_the_advice_of_a_red_flag_nothing_is_said_to_be_missing(assistant):
    advice, said = (assistant.reply(text).answer for text in ("被狗咬了，出血了", "感冒了能喝姜汤吗"))
    assert isinstance(advice, CitedAnswer) and isinstance(said, CitedAnswer)

    def pieces():
        return said
        yield

    whole = following(advice, pieces())
    try:
        while True:
            next(whole)
    except StopIteration as end:
        assert not any(sentence.before for sentence in end.value.sentences)
        assert len(end.value.sentences) == len(advice.sentences) + len(said.sentences)


@pytest.mark.parametrize(
    ("question", "complaint"),
    [
        ("should I starve myself while I have the runs", "while i have the runs"),
        ("拉肚子要不要饿两顿", "拉肚子"),
        ("can I swim with an ear infection", "with an ear infection"),
        ("can I fly", "can I fly"),  # nothing else is told
        ("我要不要打流感疫苗", "我要不要打流感疫苗"),  # what is asked for says where to go
    ],
)
def test_the_daily_thing_asked_for_is_no_part_of_the_complaint(question, complaint):
    assert complaint_in(question, language_of(question)) == complaint


@pytest.mark.parametrize(
    "words",
    [
        "should I starve myself while I have the runs",
        "do I need to stop eating when I have a stomach bug",
        "I've been vomiting, should I fast until it stops",
        "孩子得了肠胃炎，吃完就吐",
        "拉肚子可以饿一天不吃吗",
    ],
)
def test_not_eating_for_an_upset_stomach_is_no_eating_disorder(assistant, words):
    triage = assistant.reply(words).triage
    assert not {"eating_disorder", "food_refused"} & {flag.id for flag in triage.red_flags}
    assert "psychiatry" not in [entry.department.id for entry in triage.suggested]


@pytest.mark.parametrize(
    "words",
    [
        "my girl starves herself and throws up after meals",
        "女儿怕胖绝食，还腹泻",
        "I make myself sick and have diarrhoea",
    ],
)
def test_an_eating_disorder_with_an_upset_stomach_stays_one(assistant, words):
    triage = assistant.reply(words).triage
    assert {"eating_disorder", "food_refused"} & {flag.id for flag in triage.red_flags}


def test_what_is_said_of_something_else_or_without_a_value_judges_nothing():
    value = pointed_question("餐后血糖9.5正常吗", "zh")
    assert not value.told_by("血糖正常说明治疗有效。") and value.told_by("餐后血糖低于7.8是正常的。")
    sneezing = pointed_question("新生儿打喷嚏正常吗", "zh").judging(frozenset({"打", "喷", "嚏", "喷嚏"}))
    assert sneezing.told_by("新生儿打喷嚏多数是正常的。") and not sneezing.told_by("脐带脱落时有几滴血是正常的。")


@pytest.mark.parametrize("question", ["新生儿打喷嚏正常吗", "My newborn sneezes a lot, is that normal?"])
def test_another_things_being_normal_is_never_the_answer_without_a_word(assistant, question):
    answer = assistant.reply(question).answer
    assert not isinstance(answer, CitedAnswer) or answer.sentences[0].before


def test_the_range_that_holds_the_patients_value_stands_first(assistant):
    answer = assistant.reply("空腹血糖6.8算糖尿病吗").answer
    assert isinstance(answer, CitedAnswer) and "6.1～6.9" in answer.sentences[0].text
