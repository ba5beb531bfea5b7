"""The closed question worth asking next: the one whose answer is expected to settle most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from knowledge.departments import AnswerOption, Department, FollowUpQuestion
from knowledge.records import Language
from knowledge.replies import NOT_SURE, Conversation, FollowUp, RankedDepartment
from knowledge.urgency import UrgencyLevel

MAX_QUESTIONS = 5
DECIDED = 0.75  # share of the leading department at which nothing more is asked
LEADING = 4  # departments a question must tell apart
MIN_GAIN = 0.03  # nats of expected information below which a question is not worth the patient's time


def next_question(
    ranked: Sequence[RankedDepartment], urgency: UrgencyLevel, conversation: Conversation, language: Language
) -> FollowUp | None:
    """The question that best separates the leading departments by expected information; None at I and II, or when decided."""
    if (
        urgency >= UrgencyLevel.II
        or len(conversation.asked) >= MAX_QUESTIONS
        or not ranked
        or ranked[0].score >= DECIDED
    ):
        return None
    leading = {entry.department.id: entry.score for entry in ranked[:LEADING]}
    candidates = [
        (expected_gain(question, leading), question)
        for entry in ranked[:LEADING]
        for question in entry.department.questions
        if question.id not in conversation.asked
    ]
    gain, question = max(candidates, key=lambda candidate: candidate[0], default=(0.0, None))
    if question is None or gain < MIN_GAIN:
        return None
    options = tuple(option.zh if language == "zh" else option.en for option in question.options)
    return FollowUp(
        question.id,
        question.ask.in_language(language),
        (*options, NOT_SURE[language]),
        question.why.in_language(language),
    )


def expected_gain(question: FollowUpQuestion, shares: Mapping[str, float]) -> float:
    """Nats by which the answer is expected to lower the entropy over the departments in `shares`."""
    total = sum(shares.values())
    prior = {department_id: share / total for department_id, share in shares.items()}
    likelihoods = [
        {department_id: math.exp(option.effect.get(department_id, 0)) for department_id in prior}
        for option in question.options
    ]
    by_department = {department_id: sum(row[department_id] for row in likelihoods) for department_id in prior}
    after = 0.0
    for row in likelihoods:
        joint = [prior[department_id] * row[department_id] / by_department[department_id] for department_id in prior]
        chance = sum(joint)
        after += chance * entropy(value / chance for value in joint)
    return entropy(prior.values()) - after


def entropy(shares: Iterable[float]) -> float:
    """Shannon entropy in nats."""
    return -sum(share * math.log(share) for share in shares if share > 0)


def chosen_option(text: str, pending: FollowUp | None, departments: Mapping[str, Department]) -> AnswerOption | None:
    """The option of the pending question that the text is, in either language; None for free text and "not sure"."""
    if pending is None:
        return None
    question = question_by_id(pending.question_id, departments)
    said = text.strip().rstrip("。.").casefold()
    options = question.options if question else ()
    return next((option for option in options if said in (option.zh.casefold(), option.en.casefold())), None)


def question_by_id(question_id: str, departments: Mapping[str, Department]) -> FollowUpQuestion | None:
    """The question with that id, whichever department asks it."""
    return next(
        (
            question
            for department in departments.values()
            for question in department.questions
            if question.id == question_id
        ),
        None,
    )
