"""How long something has lasted, in hours, and to which words of a text that belongs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from knowledge.red_flags import HOURS_PER_UNIT

_UNITS = (
    (r"分钟|分(?!数)|minutes?|mins?", "minutes"),
    (r"个?(?:多|半)?小时|个?(?:多)?钟头|hours?|hrs?", "hours"),
    (r"天|日|days?|nights?|晚上?", "days"),
    (r"个?(?:多|半)?(?:星期|礼拜)|周|weeks?|wks?", "weeks"),
    (r"个?(?:多|半)?月|months?", "months"),
    (r"年|years?|yrs?", "years"),
)
_WORD_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "half an": 0.5, "a couple of": 2, "couple of": 2,
    "several": 3, "a few": 3, "few": 3, "好几": 3, "几": 3,
}  # fmt: skip
_NUMBER = (
    r"(\d+(?:\.\d+)?|好几|几|"
    + "|".join(rf"\b{word}\b" for word in sorted(_WORD_NUMBERS, key=len, reverse=True) if word.isascii())
    + ")"
)
_MEASURE = re.compile(
    rf"{_NUMBER}\s*(?:来|几|多|full |whole |solid |straight |or (?:so|more|two|three)|to \d+|-\s*\d+)?\s*(?:{'|'.join(f'(?P<{unit}>{pattern})' for pattern, unit in _UNITS)})(?!ly)"
)
_NOT_LASTING = re.compile(
    r"^\s*(?:以?前|之前|后|以后|大|old|ago|内|pregnant|postpartum|个?月大|龄|的?(?:宝宝|婴儿|孩子|娃)|of age|\bearlier\b)"
)
_AGO_SINCE = re.compile(r"^\s*(?:以?前|之前|ago|earlier)(?:就|便)?(?:\s*开始|起|.{0,4}开始)?")
_PREGNANCY_BEFORE = re.compile(r"(?:怀孕|孕|孕期|停经|产后|术后|pregnant|postpartum)\s*(?:了|已经|有|快)?\s*$")


@dataclass(frozen=True)
class Duration:
    """hours: how long; start, end: where it stands in the normalised text."""

    hours: float
    start: int
    end: int


def find_durations(text: str) -> list[Duration]:
    """Every stretch of time a normalised text says something lasted ("烧了5天", "for 3 days", "since 2 hours ago")."""
    durations = []
    for match in _MEASURE.finditer(text):
        after = text[match.end() :]
        if _PREGNANCY_BEFORE.search(text[: match.start()]):
            continue
        if _NOT_LASTING.match(after) and not _AGO_SINCE.match(after):
            continue
        unit = next(unit for _, unit in _UNITS if match[unit])
        number = float(match[1]) if match[1][0].isdigit() else float(_WORD_NUMBERS.get(match[1], 1))
        durations.append(Duration(number * HOURS_PER_UNIT[unit], match.start(), match.end()))
    return durations


def duration_of(start: int, end: int, durations: list[Duration], sentence: tuple[int, int]) -> float | None:
    """Hours that the words at start:end have lasted: the nearest stretch of time in their sentence; None if none is there."""
    near = [duration for duration in durations if sentence[0] <= duration.start and duration.end <= sentence[1]]
    if not near:
        return None
    return min(near, key=lambda duration: max(duration.start - end, start - duration.end)).hours
