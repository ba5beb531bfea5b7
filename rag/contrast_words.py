"""The expressions of contrasts.yaml, compiled: negations, limits, certainty, opposites, populations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from knowledge.contrasts import load_contrasts
from knowledge.script import holds_chinese
from rag.wording import normalise


class ContrastWords:
    """The expressions of contrasts.yaml, compiled."""

    def __init__(self) -> None:
        records = load_contrasts()
        self.negation = _either(records.negation.zh, records.negation.en)
        self.not_negation = _either(records.not_negation.zh, records.not_negation.en)
        exchange = records.interchangeable
        self.interchangeable = re.compile(
            f"(?:{'|'.join(sorted(exchange.zh.split('|'), key=len, reverse=True))})|\\b(?:{exchange.en})\\b"
        )
        self.restriction = _either(records.restriction.zh, records.restriction.en)
        self.absolute = {"zh": re.compile(records.absolute.zh), "en": re.compile(records.absolute.en)}
        self.hedges = {"zh": re.compile(records.hedges.zh), "en": re.compile(records.hedges.en)}
        self.opposites = [_pair(pair) for pair in (*records.opposites.zh, *records.opposites.en)]
        self.populations = {name: _either(words.zh, words.en) for name, words in records.populations.items()}


def _either(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _pair(pair: Sequence[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    one, other = (re.compile(pattern if holds_chinese(pattern) else rf"\b(?:{pattern})\b") for pattern in pair)
    return one, other


@cache
def contrast_words() -> ContrastWords:
    """Compiled once."""
    return ContrastWords()


def contradicts(said: str, given: str) -> bool:
    """Whether one text says a word of a pair of opposites, and the other only the other word."""
    said, given = normalise(said), normalise(given)
    return any(
        (_only(said, one, other) and _only(given, other, one)) or (_only(said, other, one) and _only(given, one, other))
        for one, other in contrast_words().opposites
    )


def _only(text: str, one: re.Pattern[str], other: re.Pattern[str]) -> bool:
    return bool(one.search(text)) and not other.search(text)
