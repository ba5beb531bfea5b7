"""Numbers of a text with their units and bounds, in one spelling for both languages: 三天 and "three days" are 3 day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from rag.wording import normalise, number_of_numeral

_UNITS = {
    "percent": "%|percent|per cent|个百分点",
    "celsius": "℃|°c|摄氏度|度(?!数)|degrees? celsius|degrees? c|c",
    "fahrenheit": "℉|°f|华氏度|degrees? fahrenheit|f",
    "minute": "分钟|minutes?|mins?|分(?!之)",
    "second": "秒钟?|seconds?|secs?",
    "hour": "个?(?:小时|钟头)|hours?|hrs?|h",
    "day": "天|日(?!本)|days?|昼夜",
    "week": "个?(?:周(?!岁)|星期|礼拜)|weeks?|wks?",
    "month": "个?月|months?",
    "year": "周?岁|年|years? old|year old|years? of age|years?|yrs?",
    "mmhg": "mmhg|毫米汞柱",
    "mmol/l": "mmol\\s*/\\s*l|毫摩尔(?:每升|/升)?",
    "mg/dl": "mg\\s*/\\s*dl",
    "mg": "mg|毫克|milligrams?",
    "mcg": "μg|µg|ug|mcg|微克|micrograms?",
    "kg": "kg|公斤|千克|kilograms?|kilos?",
    "g": "g|克|grams?",
    "ml": "ml|毫升|millilitres?|milliliters?",
    "l": "l|升|litres?|liters?",
    "mm": "mm|毫米|millimetres?|millimeters?",
    "cm": "cm|厘米|公分|centimetres?|centimeters?",
    "km": "km|公里|千米|kilometres?|kilometers?",
    "m": "m|米|metres?|meters?",
    "times": "次|回|times?",
    "fold": "倍|fold",
    "tablet": "片|粒|颗|丸|tablets?|pills?|capsules?",
    "cup": "杯|cups?|glasses",
    "step": "步|steps?",
    "point": "分|points?",
    "stage": "期|stages?",
    "grade": "级|grades?",
}
_WORDS = dict(zip(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], range(13), strict=True)) | {"half": Decimal("0.5"), "once": 1, "twice": 2, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "sixty": 60}  # fmt: skip
_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_RANGE_MARK = r"\s*(?:-|~|–|—|至|到|或|to|or|and)\s*"
_UNIT = "|".join(f"(?P<u{place}>{pattern})" for place, pattern in enumerate(_UNITS.values()))
_QUANTITY = re.compile(
    rf"(?P<low>{_NUMBER})(?:\s*(?P<low_unit>℃|°c|度|%|天|岁|小时|周|个月)?(?P<mark>{_RANGE_MARK}|/)(?P<high>{_NUMBER}))?"
    rf"\s*(?:多|余|来|an?\s+)?(?:(?P<unit>{_UNIT})(?![a-z]))?(?P<after>以上|以下|以内|之内|内|or more|or less|or over|or above|or older|or under|or below|and over|and older|and under|及以上|及以下)?"
)
_WORD_NUMBER = re.compile(
    rf"\b({'|'.join(_WORDS)})\b(?=\s+(?:to|or|and|hours?|days?|weeks?|months?|years?|minutes?|times?|in|litres?|glasses|cups?|an?|dozen)\b)"
)
_PERCENT = re.compile(r"百分之\s*(\d+(?:\.\d+)?|[零一二两三四五六七八九十百点]+)")
_ABOVE = re.compile(r"(?:超过|大于|高于|多于|不低于|不少于|至少|满|≥|>|高过|长于|晚于|over|more than|above|at least|older than|exceeds?|exceeding|beyond|longer than|higher than|greater than|no less than|not less than)\s*(?:约|了|about)?\s*$")  # fmt: skip
_BELOW = re.compile(r"(?:不超过|不高于|不多于|小于|低于|少于|不到|不足|未满|不满|≤|<|短于|至多|最多|under|below|less than|fewer than|within|younger than|no more than|not more than|up to|at most|shorter than|lower than|not exceed|not over)\s*(?:约|了|about)?\s*$")  # fmt: skip


@dataclass(frozen=True)
class Quantity:
    """A number as it counts for support. value: "38.5", a range "3-5", or a pair "140/90"; unit: canonical, "" for none.

    bound: ">" at or beyond it, "<" at most it, "" where the text gives none.
    """

    value: str
    unit: str
    bound: str = ""


def quantities_in(text: str) -> list[Quantity]:
    """Every number of a text in order; a range and a pair count as one."""
    plain = prepared(text)
    found = []
    for match in _QUANTITY.finditer(plain):
        low, high = _plain_number(match["low"]), match["high"]
        value = low
        if high:
            value = f"{low}{'/' if match['mark'].strip() == '/' else '-'}{_plain_number(high)}"
        found.append(Quantity(value, _unit_of(match), _bound(plain[: match.start()], match["after"] or "")))
    return found


def unsupported_quantities(sentence: str, passage: str) -> list[Quantity]:
    """The numbers of a sentence that its passage does not give with the same unit, or bounds the other way round."""
    given = quantities_in(passage)
    return [quantity for quantity in quantities_in(sentence) if not any(_agrees(quantity, other) for other in given)]


def competes(quantity: Quantity, text: str) -> bool:
    """Whether a text gives another number of the same kind (times, lengths, temperatures, ...), and not this one."""
    others = quantities_in(text)
    if any(_agrees(quantity, other) for other in others):
        return False
    return any(_kind(other) == _kind(quantity) for other in others)


def gives(text: str, quantity: Quantity) -> bool:
    """Whether a text gives this number."""
    return any(_agrees(quantity, other) for other in quantities_in(text))


def _kind(quantity: Quantity) -> str:
    unit = _scaled(quantity)[1]
    return "time" if unit in ("minute", "month") else unit


def _agrees(said: Quantity, given: Quantity) -> bool:
    if said.bound and given.bound and said.bound != given.bound:
        return False
    if said.unit and not given.unit:
        return False
    (value, unit), (other, other_unit) = _scaled(said), _scaled(given)
    if unit and other_unit and unit != other_unit:
        return False
    return value == other or value in other.split("/")


def _scaled(quantity: Quantity) -> tuple[str, str]:
    """Value and unit in the smallest unit of their kind."""
    if quantity.unit not in _SCALES:
        return quantity.value, quantity.unit
    unit, factor = _SCALES[quantity.unit]
    parts = re.split(r"([-/])", quantity.value)
    return "".join(part if part in "-/" else f"{(Decimal(part) * factor).normalize():f}" for part in parts), unit


# units of one kind, by how many of the smallest they hold: 半小时 and 30 minutes are the same
_SCALES = {
    "minute": ("minute", 1), "hour": ("minute", 60), "day": ("minute", 1440), "week": ("minute", 10080),
    "month": ("month", 1), "year": ("month", 12),
    "mm": ("mm", 1), "cm": ("mm", 10), "m": ("mm", 1000), "km": ("mm", 1000000),
    "mcg": ("mcg", 1), "mg": ("mcg", 1000), "g": ("mcg", 1000000), "kg": ("mcg", 1000000000),
    "ml": ("ml", 1), "l": ("ml", 1000),
}  # fmt: skip
_TWO_NUMERALS = re.compile(
    r"(?<![一二两三四五六七八九十百千第])([一二两三四五六七八])([两三四五六七八九])(?=个?(?:天|日|小时|钟头|分钟|周|星期|礼拜|月|年|岁|次|片|杯))"
)


def prepared(text: str) -> str:
    """A text normalised, with its numbers written in digits."""
    plain = _TWO_NUMERALS.sub(lambda match: f"{number_of_numeral(match[1])}-{number_of_numeral(match[2])}", text)
    plain = normalise(plain)
    plain = _PERCENT.sub(lambda match: f"{match[1] if match[1][0].isdigit() else number_of_numeral(match[1])}%", plain)
    return _WORD_NUMBER.sub(lambda match: str(_WORDS[match[1]]), plain)


def _plain_number(number: str) -> str:
    value = Decimal(number.replace(",", "")).normalize()
    return f"{value:f}"


def _unit_of(match: re.Match[str]) -> str:
    if match["unit"]:
        return next(unit for place, unit in enumerate(_UNITS) if match[f"u{place}"])
    return _LOW_UNITS.get(match["low_unit"] or "", "")


_LOW_UNITS = {"℃": "celsius", "°c": "celsius", "度": "celsius", "%": "percent", "天": "day", "岁": "year", "小时": "hour", "周": "week", "个月": "month"}  # fmt: skip


def _bound(before: str, after: str) -> str:
    tail = before[-24:]
    if _BELOW.search(tail) or after.endswith(("下", "内", "less", "under", "below")):
        return "<"
    if _ABOVE.search(tail) or after:
        return ">"
    return ""
