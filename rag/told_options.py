"""Whether what a question asks for has been said already: who says that a knee hurts is not asked which joint."""

from __future__ import annotations

import re

from knowledge.departments import EMERGENCY_ID, AnswerOption, FollowUpQuestion

_BETWEEN = re.compile(r"[、，,/（）()]|或者|或|和|\b(?:or|and)\b")
_SAYS_NOTHING = frozenset(
    {"没有", "不是", "不会", "现在", "今天", "back", "today", "more", "again", "twice", "elsewhere", "women"}
)
_SHORT_WORDS = frozenset(
    {"hip", "ear", "eye", "leg", "arm"}
)  # other English words of three letters are said by the way
MOST_CHARACTERS, MOST_WORDS = 4, 2  # of a thing, in Chinese and in English; what is longer is a sentence
_ONE_CHARACTER = frozenset("膝肩踝髋手脚腿腰背颈头眼耳鼻")  # things that one character names surely
LEAST_THINGS = 3  # of an option in both languages: only lists of things are compared with what was said


def told_already(question: FollowUpQuestion, said: str) -> bool:
    """Whether the patient's own words name a thing of one option, a list of things, and of no other.

    Never where an answer may speak for the emergency department, or where an option says more than a list: half of it may
    be what was not said. said: all that was said so far, normalised.
    """
    if any(EMERGENCY_ID in option.effect or "，" in option.zh for option in question.options):
        return False
    named = [parts for parts in map(_parts, question.options) if any(_stands_in(part, said) for part in parts)]
    return len(named) == 1 and len(named[0]) >= LEAST_THINGS


def _parts(option: AnswerOption) -> frozenset[str]:
    """The things an option lists, in both languages."""
    parts = (part.strip(" 。.").casefold() for text in (option.zh, option.en) for part in _BETWEEN.split(text))
    return frozenset(part for part in parts if part and part not in _SAYS_NOTHING and _is_short(part))


def _is_short(part: str) -> bool:
    if part.isascii():
        return len(part.split()) <= MOST_WORDS and (part in _SHORT_WORDS or max(map(len, part.split())) > 3)
    return part in _ONE_CHARACTER or 2 <= len(part) <= MOST_CHARACTERS


def _stands_in(part: str, said: str) -> bool:
    return bool(re.search(rf"\b{re.escape(part)}s?\b", said)) if part.isascii() else part in said
