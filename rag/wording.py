"""One spelling for everything a patient may type: the form in which phrases are looked for.

Traditional characters become simplified, full-width half-width, British English American,
contractions are written out, numerals before a unit become digits, common typing mistakes are mended.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import opencc

from knowledge.spellings import load_spellings

_CJK = r"\u3400-\u9fff"
_SPACE_BETWEEN_CJK = re.compile(rf"(?<=[{_CJK}])[ \t]+(?=[{_CJK}])")
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_HYPHEN = re.compile(r"(?<=[a-z])[-\u2010-\u2014](?=[a-z])")
_SPACES = re.compile(r"[ \t\u3000]+")

_DIGIT = {**{character: value for value, character in enumerate("零一二三四五六七八九")}, "〇": 0, "两": 2, "俩": 2}
_UNIT = {"十": 10, "百": 100, "千": 1000}
_MEASURE = (
    "个多月|个半月|个月|个星期|个礼拜|个钟头|个小时|个半小时|个多小时|周岁|岁|周|星期|礼拜|天|日龄|日|小时|钟头|分钟|秒|年|"
    "度|摄氏度|次|下|毫米汞柱|厘米|斤|公斤|片|粒|颗|瓶|口|杯|胎|孕"
)
_NUMERAL = re.compile(
    rf"(?<![一二三四五六七八九十百千第])([零〇一二两俩三四五六七八九十百千]+)(?=(?:来|几|多)?(?:{_MEASURE}))"
    r"|(?<![一二三四五六七八九十百千第])([一二三四五六七八九])(?=分(?!之))"  # a score; 十分 means very
)
_FEVER_DEGREES = "(?:3[5-9]|4[0-2]|三十[五六七八九]|四十[一二]?)度"
# a tenth of a degree, then something counted: 38度五两天; two neighbouring numerals are a guess at one: 38度五六天
_TENTH_THEN_COUNTED = re.compile(
    rf"({_FEVER_DEGREES}[一二三四五六七八九])(?=[一二两俩三四五六七八九](?:来|几|多)?(?:{_MEASURE}))"
)
_GUESSED = frozenset({"一二", "一两", "二三", "两三", "三四", "四五", "五六", "六七", "七八", "八九", "三五", "三两"})
_DEGREES_AND = re.compile(  # 38度三天 counts days, 38度一直 is a word
    rf"(\d{{2}})度(半|[0-9零二三四五六七八九]{{1,2}}|一(?=$|[^\u3400-\u9fff]|了|的|左右|多))(?!\d|(?:来|几|多)?(?:{_MEASURE}))"
)
_HALF = re.compile(r"(\d+)(个半|岁半|年半|天半)")
_HALF_UNIT = {"个半": "个", "岁半": "岁", "年半": "年", "天半": "天"}


@cache
def _to_simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def normalise(text: str) -> str:
    """The text as phrases are matched against it. Sentence marks stay, so clauses can still be told apart."""
    text = _ZERO_WIDTH.sub("", unicodedata.normalize("NFKC", text)).lower()
    text = _to_simplified().convert(text).replace("’", "'").replace("‘", "'").replace("`", "'")
    text = _SPACES.sub(" ", _SPACE_BETWEEN_CJK.sub("", text))
    text = _HYPHEN.sub(" ", text)
    spellings = load_spellings()
    text = spellings.mend_english(text)
    text = spellings.mend_chinese(text)
    return digits_for_numerals(text)


def digits_for_numerals(text: str) -> str:
    """Chinese numerals that count something, as digits: 三十九度五 → 39.5度, 两岁半 → 2.5岁, 半小时 → 0.5小时."""
    text = _TENTH_THEN_COUNTED.sub(_apart_from_what_is_counted, text)
    text = _NUMERAL.sub(_counted, text)
    text = _DEGREES_AND.sub(lambda match: f"{match[1]}.{_tenths(match[2])}度", text)
    text = _HALF.sub(lambda match: f"{match[1]}.5{_HALF_UNIT[match[2]]}", text)
    return re.sub(r"半(?=个?(?:小时|钟头|天|年|月|岁))", "0.5", text)


def _apart_from_what_is_counted(match: re.Match[str]) -> str:
    guess = match[1][-1] + match.string[match.end()]
    return match[1] if guess in _GUESSED else f"{match[1]} "


def _tenths(said: str) -> str:
    """What is said behind the degrees, as decimals: 五 → 5, 半 → 5, 八五 → 85."""
    return "".join("5" if character == "半" else str(_DIGIT.get(character, character)) for character in said)


def _counted(match: re.Match[str]) -> str:
    """Digits for a numeral, apart from digits before it: 烧到39三天 is 39 for 3 days, not 393 days."""
    after_digit = match.string[: match.start()][-1:].isdigit()
    return f"{' ' if after_digit else ''}{_number_of(match[1] or match[2])}"


def number_of_numeral(numeral: str) -> str:
    """The value of a Chinese numeral, as digits: 八十八 → 88, 二百一 → 210, 七点八 → 7.8."""
    whole, _, part = numeral.partition("点")
    value = _number_of(whole) if whole else 0
    if re.search(r"百[一二三四五六七八九]$", whole):
        value += 9 * _DIGIT[whole[-1]]  # 二百一 is 210
    return f"{value}.{''.join(str(_DIGIT[digit]) for digit in part)}" if part else str(value)


def _number_of(numeral: str) -> int:
    """The value of a Chinese numeral below ten thousand; read digit by digit where no unit is in it."""
    if not any(character in _UNIT for character in numeral):
        if len(numeral) == 2 and not set(numeral) & set("零〇"):
            return _DIGIT[numeral[1]]  # 三四天 is three or four days
        return int("".join(str(_DIGIT[character]) for character in numeral))
    total = pending = 0
    for character in numeral:
        if character in _UNIT:
            total += (pending or 1) * _UNIT[character]
            pending = 0
        else:
            pending = _DIGIT[character]
    return total + pending
