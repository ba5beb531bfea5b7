"""What every kind of training record made from our own index and knowledge shares: its rules, and what was made."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from knowledge.records import LANGUAGES, Language

SOURCE, LICENCE = "daozhen knowledge", "Apache-2.0"
Progress = Callable[[str, int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class GroundingRules:
    """What is made. abstain_share: of the cited rows, those without a passage that answers. altered_share: of the cited rows
    that answer, those in which words are exchanged. ask_share: of the assistant's turns in follow-up dialogues, those that
    ask. at_most: rows of each kind."""

    languages: tuple[Language, ...] = LANGUAGES
    abstain_share: float = 0.25
    altered_share: float = 0.0
    ask_share: float = 0.5
    passages: int = 6
    at_most: int | None = None
    seed: int = 1


@dataclass
class Grounded:
    """What was made, and why questions gave no row."""

    records: list[Any] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def some_of(rows: list[T], rules: GroundingRules, rng: random.Random) -> list[T]:
    """The rows in a random order, as many as the rules allow."""
    rng.shuffle(rows)
    return rows if rules.at_most is None else rows[: rules.at_most]
