"""What an answer to a closed question states: a "yes" says what was asked, "not sure" says nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from knowledge.conversation import NOT_SURE, FollowUp, Turn
from knowledge.departments import EMERGENCY_ID, AnswerOption, Department, FollowUpQuestion
from knowledge.intake import DangerSign, IntakeKnowledge
from knowledge.records import Language
from knowledge.urgency import UrgencyLevel

YES = frozenset(
    {"是", "有", "会", "对", "是的", "有的", "会的", "对的", "嗯", "yes", "yeah", "yep", "y", "i do", "it is"}
)
NO = frozenset(
    {"没有", "没", "不是", "无", "不会", "否", "没有的", "都没有", "没有过", "不", "no", "none", "nope", "n", "not really", "none of these"}
)  # fmt: skip
DANGER = "danger"
BETWEEN = "__"  # in a question's id, between its name and what it is about
FORCED_LEVEL = {3: UrgencyLevel.II, 2: UrgencyLevel.III}  # by an option's effect on the emergency department
_QUESTION_MARKS = "？?。. "
_EITHER_WAY = (("有没有", "有"), ("是不是", "是"), ("会不会", "会"), ("能不能", "能"))


@dataclass(frozen=True)
class QuestionBank:
    """Every closed question by its id: the departments', the history's, and the danger signs put together."""

    departments: Mapping[str, Department]
    intake: IntakeKnowledge

    def by_id(self, question_id: str) -> FollowUpQuestion | None:
        """The question asked under that id; None when nobody asks it any more."""
        name, *_ = question_id.split(BETWEEN)
        if name == DANGER:
            signs = self.signs_of(question_id)
            return self.danger_question(signs) if signs else None
        for question in (*self.intake.history_questions, self.intake.same_complaint):
            if question.id == name:
                return question
        return next(
            (
                question
                for department in self.departments.values()
                for question in department.questions
                if question.id == question_id
            ),
            None,
        )

    def signs_of(self, question_id: str) -> tuple[DangerSign, ...]:
        """The danger signs a question puts; none for any other question."""
        name, *about = question_id.split(BETWEEN)
        known = {sign.id: sign for sign in self.intake.danger_signs} if name == DANGER else {}
        return tuple(known[sign_id] for sign_id in about if sign_id in known)

    def danger_question(self, signs: tuple[DangerSign, ...]) -> FollowUpQuestion:
        """One question about at most four danger signs; any of them can be tapped, or none."""
        words = self.intake.danger_question
        options = [AnswerOption(zh=sign.option.zh, en=sign.option.en, says=sign.says or sign.option) for sign in signs]
        return FollowUpQuestion(
            id=BETWEEN.join([DANGER, *(sign.id for sign in signs)]),
            ask=words.ask,
            why=words.why,
            options=(*options, AnswerOption(zh=words.none.zh, en=words.none.en)),
        )


def answered(text: str, pending: FollowUp | None, bank: QuestionBank, words: Mapping[str, str]) -> Turn:
    """The message as a turn; an answer to the pending question, in either language, is marked as one and says what it states.

    words: what stands for {sign} and {signs} in an option's statement.
    """
    question = bank.by_id(pending.question_id) if pending else None
    if pending is None or question is None:
        return Turn(text)
    plain = text.strip().rstrip("。.！!").casefold()
    language: Language = "zh" if pending.options and pending.options[-1] == NOT_SURE["zh"] else "en"
    if plain in {word.casefold() for word in NOT_SURE.values()}:
        return Turn(text, pending, "")
    option = chosen_option(text, question) or _begun_option(plain, question)
    if option is not None:
        return Turn(text, pending, _stated(question, option, language, words))
    if plain in YES:
        return Turn(text, pending, _affirmed(question, bank, language))
    if plain in NO:
        return Turn(text, pending, "")
    return Turn(text)


def chosen_option(text: str, question: FollowUpQuestion | None) -> AnswerOption | None:
    """The option that a text is, in either language; None for free text and "not sure"."""
    said = text.strip().rstrip("。.").casefold()
    options = question.options if question else ()
    return next(
        (
            option
            for option in options
            if said in (option.zh.rstrip("。.").casefold(), option.en.rstrip("。.").casefold())
        ),
        None,
    )


def _begun_option(plain: str, question: FollowUpQuestion) -> AnswerOption | None:
    """The only option that begins with a bare "yes" or "no": 没有 for 没有怀孕."""
    if plain not in YES | NO:
        return None
    begun = [
        option
        for option in question.options
        if any(text.casefold().startswith(plain) for text in (option.zh, option.en))
    ]
    return begun[0] if len(begun) == 1 else None


def option_of(turn: Turn, bank: QuestionBank) -> AnswerOption | None:
    """The option a turn tapped, if any."""
    question = bank.by_id(turn.answers.question_id) if turn.answers else None
    if question is None:
        return None
    return chosen_option(turn.text, question) or _begun_option(turn.text.strip().rstrip("。.！!").casefold(), question)


def level_forced_by(option: AnswerOption) -> UrgencyLevel:
    """The level an answer forces because it speaks for the emergency department; home where it does not."""
    return FORCED_LEVEL.get(option.effect.get(EMERGENCY_ID, 0), UrgencyLevel.HOME)


def is_denial(turn: Turn, bank: QuestionBank) -> bool:
    """Whether the turn says that what was asked is not there."""
    if turn.answers is None:
        return False
    first = re.split(r"[，,]", turn.text.strip().casefold())[0].rstrip("。.！!")
    option = option_of(turn, bank)
    says_none = option is not None and option.says is None and bool(bank.signs_of(turn.answers.question_id))
    return first in NO or says_none


def _stated(
    question: FollowUpQuestion, option: AnswerOption, language: Language, words: Mapping[str, str]
) -> str | None:
    if option.says is not None:
        said = option.says.in_language(language)
        for name, value in words.items():
            said = said.replace(f"{{{name}}}", value)
        return re.sub(r"\{\w+\}", "", said)
    own = option.in_language(language)
    first, *rest = re.split(r"[，,]", own, maxsplit=1)
    if first.strip().casefold() in YES:
        return "\n".join([_as_statement(question, language), *(part.strip() for part in rest)])
    return "" if own.casefold() in NO else None


def _affirmed(question: FollowUpQuestion, bank: QuestionBank, language: Language) -> str:
    signs = bank.signs_of(question.id)
    if signs:  # a bare "yes" to several signs may mean any of them: all are taken as said
        return "\n".join(sign.statement(language) for sign in signs)
    return _as_statement(question, language)


def _as_statement(question: FollowUpQuestion, language: Language) -> str:
    """The question as the sentence a "yes" makes of it."""
    asked = question.ask.in_language(language)
    for either_way, plainly in _EITHER_WAY:
        asked = asked.replace(either_way, plainly)
    first = re.split(r"(?<=[？?])", asked)[0].rstrip(_QUESTION_MARKS)
    return f"{first.removesuffix('吗')}{'。' if language == 'zh' else '.'}"
