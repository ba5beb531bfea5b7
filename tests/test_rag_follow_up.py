"""The question asked next is the one that is expected to settle most."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.conversation import Episode, Turn
from knowledge.departments import AnswerOption, FollowUpQuestion, load_departments
from knowledge.hospital import with_hospital_flags
from knowledge.intake import load_intake
from knowledge.records import Bilingual
from knowledge.replies import RankedDepartment, TriageDecision
from knowledge.urgency import UrgencyLevel
from rag.follow_up import Situation, entropy, expected_gain, next_question, put
from rag.near_flags import missing_facts, weighed_signs
from rag.red_flag_matcher import RedFlagMatcher
from rag.statements import QuestionBank, answered, chosen_option, is_denial
from rag.told_options import told_already
from rag.wording import normalise

DEPARTMENTS = load_departments()
MATCHER = RedFlagMatcher(*with_hospital_flags(None))
BANK = QuestionBank(DEPARTMENTS, load_intake())
TEXT = Bilingual(zh="问", en="ask")


def question(*effects: dict[str, int]) -> FollowUpQuestion:
    options = tuple(AnswerOption(zh=f"答{n}", en=f"answer {n}", effect=effect) for n, effect in enumerate(effects))
    return FollowUpQuestion(id="q", ask=TEXT, why=TEXT, options=options)


def ranked(**shares: float) -> list[RankedDepartment]:
    return [RankedDepartment(DEPARTMENTS[key], share, "") for key, share in shares.items()]


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(-3, 3)), min_size=2, max_size=5),
    st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
)
def test_a_question_never_promises_less_than_nothing_nor_more_than_there_is(effects, shares):
    prior = dict(zip("abc", shares, strict=True))
    total = sum(shares)
    gain = expected_gain(question(*effects), prior)
    assert -1e-9 <= gain <= entropy(share / total for share in shares) + 1e-9


def test_a_question_whose_answers_say_the_same_gains_nothing():
    assert math.isclose(expected_gain(question({"a": 2}, {"a": 2}), {"a": 0.5, "b": 0.5}), 0.0, abs_tol=1e-9)
    assert expected_gain(question({"a": 3}, {"b": 3}), {"a": 0.5, "b": 0.5}) > 0.4


def situation(departments, urgency=UrgencyLevel.IV, asked=(), text="不舒服"):
    findings = MATCHER.read(text)
    triage = TriageDecision(urgency, (), (), tuple(departments))
    missing = missing_facts(MATCHER, findings)
    weighed = weighed_signs(BANK.intake.danger_signs, missing, findings, ())
    episode = Episode(turns=(Turn(text),), asked=asked)
    return Situation(findings, triage, episode, missing, weighed, lambda _said: triage)


CLOSE = ranked(cardiology=0.4, gastroenterology=0.35, respiratory_medicine=0.25)


def test_nothing_is_asked_at_levels_one_and_two_or_when_decided_or_after_five():
    assert next_question(situation(CLOSE), BANK, "zh") is not None
    assert next_question(situation(CLOSE, UrgencyLevel.II), BANK, "zh") is None
    assert next_question(situation(ranked(cardiology=0.9, gastroenterology=0.1)), BANK, "zh") is None
    assert next_question(situation(CLOSE, asked=tuple("abcde")), BANK, "zh") is None


def test_not_sure_is_always_the_last_option_and_nothing_is_asked_twice():
    first = next_question(situation(CLOSE), BANK, "en")
    again = next_question(situation(CLOSE, asked=(first.question_id,)), BANK, "en")
    assert first.options[-1] == "Not sure" and first.why
    assert again is None or again.question_id != first.question_id


def test_a_flag_of_which_one_sign_is_missing_gives_the_question_about_it():
    decided = ranked(cardiology=0.95, gastroenterology=0.05)
    asked = next_question(situation(decided, UrgencyLevel.III, text="胸口疼"), BANK, "zh")
    assert asked.question_id.startswith("danger") and "出冷汗" in asked.options
    assert asked.options[-2:] == ("都没有", "不知道")


def test_what_was_denied_or_said_is_not_asked_again():
    for text in ("胸口疼，没有出冷汗", "胸口疼，心慌，没有出冷汗，没有喘不上气"):
        signs = {entry.sign.id for entry in situation(CLOSE, text=text).weighed}
        assert "cold_sweat" not in signs and "chest_pain" not in signs


@pytest.mark.parametrize("sign", BANK.intake.danger_signs, ids=lambda sign: sign.id)
def test_a_danger_sign_affirms_in_both_languages_what_it_says_it_does(sign):
    for language in ("zh", "en"):
        assert set(sign.signs) <= MATCHER.affirmed_in(normalise(sign.statement(language))), language


def test_an_option_is_recognised_in_either_language_and_free_text_is_none():
    question = DEPARTMENTS["cardiology"].questions[0]
    assert chosen_option(question.options[0].en.upper(), question) == question.options[0]
    assert chosen_option(question.options[0].zh, question) == question.options[0]
    assert chosen_option("不知道", question) is None and chosen_option("胸口闷", question) is None


def test_an_answer_says_what_was_asked_and_not_sure_says_nothing():
    question = DEPARTMENTS["allergy"].questions[2]  # 现在有没有喘不上气、喉咙紧、嘴舌肿？
    pending = put(question, "zh")
    assert (
        "喘不上气" in answered("现在就有", pending, BANK, {}).said
        or "喘不上气" in answered("有", pending, BANK, {}).said
    )
    assert answered("不知道", pending, BANK, {}).said == "" and answered("Not sure", pending, BANK, {}).said == ""
    assert answered("我肚子疼", pending, BANK, {}).answers is None
    danger = put(BANK.by_id("danger__cold_sweat__faint"), "zh")
    assert "冷汗" in answered("出冷汗", danger, BANK, {}).said
    both = answered("有", danger, BANK, {})
    assert "冷汗" in both.said and "晕倒" in both.said  # a bare yes may mean any of them
    none = answered("都没有", danger, BANK, {})
    assert none.said == "" and is_denial(none, BANK)


JOINT = next(one for one in DEPARTMENTS["sports_medicine"].questions if one.id == "sports_medicine_joint")


@pytest.mark.parametrize("said", ["膝盖疼，上下楼不舒服", "my knee hurts when i climb stairs", "both ankles ache"])
def test_who_named_the_joint_is_not_asked_which(said):
    assert told_already(JOINT, normalise(said))


@pytest.mark.parametrize("said", ["关节疼", "膝盖和手腕都疼", "the joint pain came back", "my knee and my wrist hurt"])
def test_who_named_none_or_several_is_asked(said):
    assert not told_already(JOINT, normalise(said))


def test_a_yes_or_no_is_never_told_by_a_word_that_happens_to_be_said():
    yes_or_no = FollowUpQuestion(
        id="q",
        ask=TEXT,
        why=TEXT,
        options=(
            AnswerOption(zh="有", en="Yes", effect={}),
            AnswerOption(zh="没有，只是走多了酸", en="No, it aches", effect={}),
        ),
    )
    assert not told_already(yes_or_no, normalise("膝盖疼，没有摔过，有点肿"))


def test_a_question_whose_answer_may_be_an_emergency_is_always_asked():
    lists = (
        AnswerOption(zh="手、脚或腿", en="Hand, foot or leg", effect={}),
        AnswerOption(zh="头或脸", en="Head or face", effect={"emergency": 3}),
    )
    assert not told_already(FollowUpQuestion(id="q", ask=TEXT, why=TEXT, options=lists), normalise("手烫了"))


def test_half_an_answer_is_none():
    spirits = next(one for one in DEPARTMENTS["tcm_paediatrics"].questions if "精神" in one.ask.zh)
    assert not told_already(spirits, normalise("孩子发烧两天了"))
