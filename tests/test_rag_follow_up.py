"""The question asked next is the one that is expected to settle most."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from knowledge.departments import AnswerOption, FollowUpQuestion, load_departments
from knowledge.records import Bilingual
from knowledge.replies import Conversation, FollowUp, RankedDepartment
from knowledge.urgency import UrgencyLevel
from rag.follow_up import chosen_option, entropy, expected_gain, next_question

DEPARTMENTS = load_departments()
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


def test_nothing_is_asked_at_levels_one_and_two_or_when_decided_or_after_five():
    close = ranked(cardiology=0.4, gastroenterology=0.35, respiratory_medicine=0.25)
    assert next_question(close, UrgencyLevel.IV, Conversation(), "zh") is not None
    assert next_question(close, UrgencyLevel.II, Conversation(), "zh") is None
    assert next_question(ranked(cardiology=0.9, gastroenterology=0.1), UrgencyLevel.IV, Conversation(), "zh") is None
    assert next_question(close, UrgencyLevel.IV, Conversation(asked=tuple("abcde")), "zh") is None


def test_not_sure_is_always_the_last_option_and_nothing_is_asked_twice():
    close = ranked(cardiology=0.4, gastroenterology=0.35, respiratory_medicine=0.25)
    first = next_question(close, UrgencyLevel.IV, Conversation(), "en")
    again = next_question(close, UrgencyLevel.IV, Conversation(asked=(first.question_id,)), "en")
    assert first.options[-1] == "Not sure"
    assert again is None or again.question_id != first.question_id


def test_an_option_is_recognised_in_either_language_and_free_text_is_none():
    asked = DEPARTMENTS["cardiology"].questions[0]
    pending = FollowUp(asked.id, "", (), "")
    assert chosen_option(asked.options[0].en.upper(), pending, DEPARTMENTS) == asked.options[0]
    assert chosen_option(asked.options[0].zh, pending, DEPARTMENTS) == asked.options[0]
    assert chosen_option("不知道", pending, DEPARTMENTS) is None
    assert chosen_option(asked.options[0].zh, None, DEPARTMENTS) is None
