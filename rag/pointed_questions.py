"""Questions that want one answer (may I, must I, will it, is it, how long): what they ask for, and which sentence tells it.

The sentence that speaks of the very thing comes first. Whether it says yes or no is never worked out: it is quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from knowledge.pointed_questions import AskedThing, load_pointed_questions
from knowledge.records import Language
from rag.subjects import Named, folded, words_of
from rag.topics import content_of
from rag.wording import normalise
from rag.words import tokens_of

MAX_OBJECT = {"zh": 6, "en": 3}  # characters or words of what is asked for; more is a story, not a thing
MIN_OBJECT_HELD = 0.6  # share of its words that a sentence must hold to tell it
MIN_OBJECT_TOUCHED = 0.3  # below which it does not even touch on it
_OPEN = re.compile(
    r"\b(?:what|which|how(?! (?:long|many))|where|who|why)\b"
)  # before the verb: asks for more than one answer
_HOW_LONG = "how_long"
_OF_TIME = frozenset({_HOW_LONG, "healing"})
_JUDGED = frozenset({"normal", "danger"})
_OF_VALUES = frozenset({"normal", "danger", "hospital"})
_MEASURED = re.compile(r"(?<![\d.])(?:\d+\.\d+|[3-9]\d|[1-9]\d\d)(?![\d.])")
_DIGIT = re.compile(r"\d")
_HURRY = frozenset({"hospital", "danger"})
_MEANWHILE = re.compile(r"\b(?:while|when|whilst|with|if|after|during|for|because|since|now|having)\b")
_CLAUSES = {"zh": re.compile(r"[，。；！？,;!?\n]"), "en": re.compile(r"[.;!?\n]|, (?!or|and)")}


@dataclass(frozen=True)
class PointedQuestion:
    """things: what is asked for, by the names of pointed_questions.yaml; words: the same where it is no listed thing.
    advice: only a sentence that allows, forbids or advises tells it. time: those of the things asked for that are times.
    of_value: whether a measured value is asked about ("is 9.5 normal"). about: of a question whether something is normal or
    dangerous, what that is: a sentence that says it of something else of the same subject would be a wrong yes."""

    language: Language
    things: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    advice: bool = False
    time: frozenset[str] = frozenset()
    of_value: bool = False
    about: frozenset[str] = frozenset()

    @property
    def asks_to_hurry(self) -> bool:
        """Whether danger signs answer it."""
        return bool(_HURRY.intersection(self.things))

    def is_asked_in(self, question: str) -> bool:
        """Whether another question, one of a guide, asks for it too; how long until it may be done is another question."""
        if not self.things:
            return self._held(self.words, question) >= MIN_OBJECT_HELD
        if self._is_of_another(question):
            return False
        asked = set(things_in(question, self.language))
        return bool(asked.intersection(self.things)) and asked & _OF_TIME == self.time

    def told_by(self, sentence: str) -> bool:
        """Whether a sentence tells it. Whether a value is normal or dangerous is told by values alone."""
        plain = normalise(sentence)
        if self._is_of_another(sentence):
            return False
        if self.advice and not _advises(self.language).search(plain):
            return False
        if self.things:
            return any(_told(name, self.language).search(plain) for name in self.things)
        return self._held(self.words, sentence) >= MIN_OBJECT_HELD

    def touched_by(self, sentence: str) -> bool:
        """Whether a sentence speaks of it at all, perhaps in other words."""
        return self.told_by(sentence) or (not self.things and self._held(self.words, sentence) >= MIN_OBJECT_TOUCHED)

    def judging(self, about: frozenset[str]) -> PointedQuestion:
        """With what is asked about, where the question is whether that is normal or dangerous; else as it is."""
        return replace(self, about=about) if _JUDGED.issuperset(self.things) and self.things else self

    def _is_of_another(self, text: str) -> bool:
        lacks_value = self.of_value and not _DIGIT.search(normalise(text))
        return lacks_value or (bool(self.about) and self._held(self.about, text) < MIN_OBJECT_TOUCHED)

    def _held(self, wanted: frozenset[str], text: str) -> float:
        """The share of words that a text holds; of Chinese ones the characters, as pairs reach over their ends."""
        words = {word for word in wanted if self.language == "en" or len(word) == 1}
        return len(words & words_of(text)) / len(words) if words else 0.0


def pointed_question(question: str, language: Language, subject: Named | None = None) -> PointedQuestion | None:
    """What a question asks for; None where it wants no such answer. subject: the name it calls its subject by."""
    asks, clauses = _asks(language), _clauses(folded(question), language)
    for place, clause in enumerate(clauses):
        ways = {way: match for way, pattern in asks.items() if (match := pattern.search(clause))}
        if not ways:
            continue
        start = min(match.start() for match in ways.values())
        if _OPEN.search(clause, 0, start):
            continue
        spoken = _without(subject, clause if language == "zh" else clause[start:], language)
        before = _without(subject, clauses[place - 1], language) if place else ""
        for text in (spoken, before):  # "洗澡，可以吗": the thing may stand before
            if things := things_in(text, language):
                chosen = _most_telling(things)
                advice = "advice" in ways and not all(_things()[name].outcome for name in chosen)
                of_value = _OF_VALUES.issuperset(chosen) and bool(measured_values(question))
                return PointedQuestion(language, chosen, frozenset(), advice, _OF_TIME.intersection(things), of_value)
        if "advice" in ways and (words := _object(spoken, language)):
            return PointedQuestion(language, words=words, advice=True)
    return None


def measured_values(text: str) -> list[float]:
    """Numbers that may be measured values; smaller whole ones are ages and days."""
    return [float(value) for value in _MEASURED.findall(normalise(text))]


def complaint_in(text: str, language: Language) -> str:
    """A text without the daily things it asks leave or advice for: what is left tells what the patient has; the text where
    nothing is. "should I starve myself while I have the runs" → "while I have the runs".
    """
    asks = _asks(language)["advice"]
    left = " ".join(_without_request(clause, asks, language) for clause in _clauses(normalise(text), language))
    return left if content_of(left, language) else text


def _without_request(clause: str, asks: re.Pattern[str], language: Language) -> str:
    match = asks.search(clause)
    if match is None or _OPEN.search(clause, 0, match.start()):
        return clause
    meanwhile = _MEANWHILE.search(clause, match.end()) if language == "en" else None
    end = meanwhile.start() if meanwhile else len(clause)
    things = things_in(clause[match.start() : end], language)
    if not things or not all(_things()[name].daily for name in things):
        return clause
    return clause[: match.start()] + clause[end:]


def _most_telling(things: tuple[str, ...]) -> tuple[str, ...]:
    """How long something takes is asked for it alone; how long until something may be done is asked of that thing."""
    others = tuple(thing for thing in things if thing not in _OF_TIME)
    return others or ((_HOW_LONG,) if _HOW_LONG in things else things)


def _without(subject: Named | None, clause: str, language: Language) -> str:
    """A clause without its subject's name, which is no thing asked for."""
    if subject is None:
        return clause
    if language == "zh":
        return clause.replace(subject.name, " ")
    return re.sub(r"[a-z]+", lambda word: "" if subject.tokens.intersection(tokens_of(word[0])) else word[0], clause)


def _clauses(plain: str, language: Language) -> list[str]:
    """The clauses of a text; the mark that ends a question stays, as the way of asking may need it."""
    ends = [match.end() for match in _CLAUSES[language].finditer(plain)]
    starts = [0, *ends]
    return [
        plain[start:end].strip()
        for start, end in zip(starts, [*ends, len(plain)], strict=True)
        if plain[start:end].strip()
    ]


def things_in(text: str, language: Language) -> tuple[str, ...]:
    """The listed things that a question, or a clause of it, asks for."""
    plain = normalise(text)
    return tuple(name for name in _things() if _asked(name, language).search(plain))


def besides_things(text: str, language: Language) -> frozenset[str]:
    """The words of a question that are neither a listed thing, nor how it is put, nor a verb that says little."""
    left = content_of(text, language)
    for name in _things():
        left = _asked(name, language).sub(" ", left)
    return frozenset(words_of(_generic(language).sub(" ", left)))


def _object(clause: str, language: Language) -> frozenset[str]:
    """The words of what is asked for, where it is short enough to be a thing."""
    words = besides_things(clause, language)
    if language == "zh" and all(len(word) == 1 for word in words):
        return frozenset()  # one character is part of too many words
    long = sum(len(word) == 1 for word in words) if language == "zh" else len(words)
    return words if long <= MAX_OBJECT[language] else frozenset()


@cache
def _asks(language: Language) -> dict[Literal["advice", "other"], re.Pattern[str]]:
    asks = load_pointed_questions().asks
    return {
        "advice": re.compile(asks.advice.in_language(language)),
        "other": re.compile(asks.other.in_language(language)),
    }


@cache
def _things() -> dict[str, AskedThing]:
    return {thing.id: thing for thing in load_pointed_questions().things}


@cache
def _asked(thing: str, language: Language) -> re.Pattern[str]:
    return re.compile(_things()[thing].asked.in_language(language))


@cache
def _told(thing: str, language: Language) -> re.Pattern[str]:
    return re.compile(_things()[thing].told.in_language(language))


@cache
def _advises(language: Language) -> re.Pattern[str]:
    return re.compile(load_pointed_questions().advises.in_language(language))


@cache
def _generic(language: Language) -> re.Pattern[str]:
    return re.compile(load_pointed_questions().generic.in_language(language))
