"""Rewards that need no model: an answer is right, cites what it was given, ends and does not repeat itself.

Each takes (text, row) and gives a number in [0, 1]. row: the columns of the prompt (`answers`, `passages`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from finetune.exam_prompt import answered_letters
from finetune.text_measures import repetition
from knowledge.errors import TrainingFailed

Reward = Callable[[str, Mapping[str, Any]], float]
_LETTERS = [chr(number) for number in range(ord("A"), ord("Z") + 1)]


def exam(text: str, row: Mapping[str, Any]) -> float:
    """1 for exactly the right options, all of them and no other."""
    return float(bool(row["answers"]) and answered_letters(text, _LETTERS) == frozenset(row["answers"]))


def citation(text: str, row: Mapping[str, Any]) -> float:
    """The share of sentences that the gates of serving would let through over the row's passages.

    Without passages the right answer is to say that they do not answer.
    """
    from finetune.grounding_check import admitted_share

    return admitted_share(text, row["passages"])


def format_(text: str, row: Mapping[str, Any]) -> float:
    """1 for an answer that says something and does not go round in circles."""
    return float(bool(text.strip())) * (1.0 - repetition(text))


REWARDS: dict[str, Reward] = {"exam": exam, "citation": citation, "format": format_}


def reward_named(name: str) -> Reward:
    """Raises TrainingFailed naming the rewards there are."""
    if name not in REWARDS:
        raise TrainingFailed(f"reward {name!r}; known: {', '.join(REWARDS)}")
    return REWARDS[name]
