"""Vital signs in a patient's own words, with their units; what cannot be true is caught, not guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rag.wording import number_of_numeral

_N = r"(\d{1,3}(?:\.\d{1,2})?)"
_FILLERS = (
    r"一直|总是|都|也|现在|刚才|今天|是|为|有|大概|大约|约|在|到了?|高达|最高|最低|只有|只剩|才|已经|达到?|掉到|降到|低到|烧到|升到|飙到|冲到|涨到|跌到|"
    r"测出来|测了?|量了?|量的|测得|出来|显示|评分|每分钟|1分钟|1分|的|了|:|：|=|'s|"
    r"\b(?:is|was|are|were|of|at|down to|up to|only|about|around|reads?|reading|at about|has been|been|now|over|above|below|under|hit|dropped to|"
    r"just|says?|shows?|showing|stuck|staying|hovering|doing|running|went to|measured|it|currently|today)\b"
)
_IS = rf"(?:\s|{_FILLERS})*"
# a number that counts something else ("glucose 3 times a day", "24-hour pulse") is no value
_RATE_COUNTED = (
    r"(?:多|来|几|余)?\s*(?:天(?![气热冷])|个(?!子)|周(?![末围一二三四五六日])|(?:星期|礼拜)(?![一二三四五六天日])|小时|钟头|分钟(?!\d)|"
    r"月(?![经底初中])|年(?![纪龄老轻底初])|岁|片|粒|颗|支|针(?!对)|顿|餐|瓶|盒|种|项|斤|公斤|克|"
    r"hours?\b|hrs?\b|days?\b|weeks?\b|months?\b|years?\b|pills?\b|tablets?\b|tests?\b)"
)
_COUNTED = rf"(?:{_RATE_COUNTED}|(?:多|来|几|余)?\s*(?:次(?!日)|回(?![不去来家])|遍|times?\b))"
_NO_COUNT, _NO_RATE_COUNT = rf"(?!\d|\.\d|\s*{_COUNTED})", rf"(?!\d|\s*{_RATE_COUNTED})"


@dataclass(frozen=True)
class VitalSign:
    """One measured value. kind as in knowledge.red_flags.VITALS; units: ℃, %, mmHg, /min, mmol/L, points.

    doubt: "" or what was wrong with the number as written (a unit mistake that was mended, or an impossible value).
    An impossible value is kept with `usable` False and no rule sees it.
    """

    kind: str
    value: float
    words: str
    doubt: str = ""
    usable: bool = True


@dataclass(frozen=True)
class _Plausible:
    """Bounds outside which a value is impossible, and conversions to try on it first."""

    low: float
    high: float
    conversions: tuple[tuple[str, Callable[[float], float]], ...] = ()


_PLAUSIBLE = {
    "temperature": _Plausible(
        25, 45, (("read as ℉", lambda value: (value - 32) / 1.8), ("decimal point missing", lambda value: value / 10))
    ),
    "spo2": _Plausible(30, 100),
    "systolic": _Plausible(40, 300, (("read as kPa", lambda value: value * 7.5),)),
    "diastolic": _Plausible(20, 200, (("read as kPa", lambda value: value * 7.5),)),
    "heart_rate": _Plausible(15, 320),
    "respiratory_rate": _Plausible(3, 120),
    "glucose": _Plausible(0.5, 35, (("read as mg/dL", lambda value: value / 18),)),
    "gcs": _Plausible(3, 15),
    "pain_score": _Plausible(0, 10),
}

_FAHRENHEIT = re.compile(rf"{_N}\s*(?:(?P<sign>°\s*f\b|℉|华氏度|degrees? f(?:ahrenheit)?\b|fahrenheit)|f\b)")
_CELSIUS = re.compile(rf"{_N}\s*(?:°\s*c\b|℃|°c|摄氏度|度|degrees? c(?:elsius)?\b|c\b|celsius|°)(?!角|近视|数)")
_TEMPERATURE = re.compile(
    rf"(?:体温|温度|发烧|高烧|发热|低烧|烧|\btemp(?:erature)?\b|\bfever\b){_IS}{_N}{_NO_COUNT}(?!\s*(?:分|minutes?|/|%|mmhg|mg|ml))"
)
_SPO2 = re.compile(
    rf"(?:血氧饱和度|血氧|氧饱和度|氧饱|指脉氧|\bspo2\b|\bo2 sat(?:s|uration)?\b|\boxygen(?: level| saturation| sat)?s?\b|\bsats?\b|\bstats\b|\bpulse ox(?:imeter)?\b){_IS}{_N}{_NO_COUNT}\s*%?(?!\s*(?:liters?|l/|tank|岁))"
)
_PRESSURE = re.compile(
    r"(?<![\d.])(\d{2,3})\s*(?:/|／|\bover\b|-)\s*(\d{2,3})(?![\d/])(?:\s*(mmhg|毫米汞柱|kpa|千帕))?"
)
_PRESSURE_CUE = re.compile(r"血压|高压|低压|收缩压|mmhg|毫米汞柱|kpa|千帕|\bbp\b|\bblood pressure\b|\bpressure\b")
_SYSTOLIC = re.compile(
    rf"(?:高压|收缩压|血压|\bsystolic\b|\bblood pressure\b|\bbp\b){_IS}(\d{{2,3}}){_NO_COUNT}(?!\s*(?:多|来|几|近)?\s*(?:/|／|over|\.|\d))"
)
_DIASTOLIC = re.compile(rf"(?:低压|舒张压|\bdiastolic\b){_IS}(\d{{2,3}}){_NO_COUNT}")
_HEART_RATE = re.compile(
    rf"(?:心率|心跳|脉搏|脉率|\bheart ?rate\b|\bpulse\b|\bhr\b|\bheart(?:'s| is| has been)? (?:been )?(?:beating|racing|going|doing)\b|\bbpm\b){_IS}(\d{{2,3}}){_NO_RATE_COUNT}(?!\s*(?:%|/\d))"
)
_BPM = re.compile(r"(\d{2,3})\s*(?:bpm\b|beats (?:per|a) minute)")
_RESPIRATORY_RATE = re.compile(
    rf"(?:呼吸频率|呼吸次数|呼吸|\brespiratory rate\b|\bbreathing rate\b|\brr\b|\bbreathing\b){_IS}(\d{{1,3}})\s*(?:次|下|times|/ ?min|per minute|a minute|breaths|$|[,，。.])"
)
_BREATHS = re.compile(r"(\d{2,3})\s*(?:breaths|times) (?:per|a) minute")
_GLUCOSE = re.compile(
    rf"(?:血糖|空腹血糖|随机血糖|餐后血糖|糖|\bglucose\b|\bblood sugar\b|\bsugar(?: level)?\b|\bbg\b){_IS}{_N}{_NO_COUNT}\s*(mg/?dl|mmol(?:/l)?|毫摩尔)?(?!\s*(?:\d|%))"
)
_GCS = re.compile(rf"(?:\bgcs(?![a-z])|格拉斯哥|昏迷评分){_IS}{_N}{_NO_COUNT}")
_PAIN_SCORE = re.compile(
    r"(?:疼痛|痛|疼|\bpain\b)[^，。,;；]{0,12}?(?<!\d)(10|\d)\s*(?:分(?!钟)|/\s*10|out of (?:10|ten))"
)
_METER_HIGH = re.compile(
    r"(?:血糖仪?|\bmeter\b|\bglucometer\b|\bsugar\b)[^，。,.;]{0,24}(?:爆表|测不出|显示hi\b|\bhi\b|\bhigh on\b|\bsays? (?:it is )?\"?hi(?:gh)?\b|\bjust says hi(?:gh)?\b|\breads? hi(?:gh)?\b)"
)


_SPOKEN = re.compile(
    rf"(血氧饱和度|血氧|氧饱和度|氧饱|指脉氧|高压|低压|血压|收缩压|舒张压|心率|心跳|脉搏|脉率|血糖|体温|温度|烧到|呼吸|格拉斯哥|评分)((?:\s|{_FILLERS}|百分之)*+)"
    r"([零一二两三四五六七八九十百]+(?:点[零一二三四五六七八九]{1,2})?)(?![零一二两三四五六七八九十百点]|\s*(?:多|来|几)?\s*(?:天|个|年|月|周|岁|小时))"
)


def find_vitals(text: str) -> list[VitalSign]:
    """Every vital sign in a normalised text, in the units the rules use."""
    text = _SPOKEN.sub(lambda match: f"{match[1]}{match[2].replace('百分之', '')}{number_of_numeral(match[3])}", text)
    found: dict[tuple[str, int], VitalSign] = {}
    for kind, value, words, start, doubt in _readings(text):
        found.setdefault((kind, start), _checked(kind, value, words, doubt))
    return list(found.values())


def _readings(text: str) -> Iterator[tuple[str, float, str, int, str]]:
    for match in _FAHRENHEIT.finditer(text):
        value = float(match[1])
        if value <= 45 and not match["sign"]:
            continue  # 45f is a woman of 45
        if value <= 45:  # nobody has 39 ℉: the unit was mistaken
            yield "temperature", value, match[0], match.start(1), "℉ written for ℃"
        else:
            yield "temperature", (value - 32) / 1.8, match[0], match.start(1), ""
    for pattern, kind in _SINGLE_NUMBERS:
        for match in pattern.finditer(text):
            if pattern is _CELSIUS and not 33 <= float(match[1]) <= 43.5:
                continue  # an angle, lenses, a burn: degrees of something else
            yield kind, float(match[1]), match[0], match.start(1), ""
    for match in _PRESSURE.finditer(text):
        upper, lower = float(match[1]), float(match[2])
        near = text[max(0, match.start() - 24) : match.end() + 10]
        in_kilopascals = match[3] in ("kpa", "千帕")
        if upper > lower and (_PRESSURE_CUE.search(near) or (upper >= 80 and lower >= 40 and upper <= 260)):
            factor = 7.5 if in_kilopascals else 1.0
            yield "systolic", upper * factor, match[0], match.start(1), ""
            yield "diastolic", lower * factor, match[0], match.start(2), ""
    for match in _GLUCOSE.finditer(text):
        in_milligrams = bool(match[2]) and match[2].startswith("mg")
        yield "glucose", float(match[1]) / (18 if in_milligrams else 1), match[0], match.start(1), ""
    for match in _METER_HIGH.finditer(text):
        yield "glucose", 33.3, match[0], match.start(), "the meter showed HI: above its range"


_SINGLE_NUMBERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_CELSIUS, "temperature"),
    (_TEMPERATURE, "temperature"),
    (_SPO2, "spo2"),
    (_SYSTOLIC, "systolic"),
    (_DIASTOLIC, "diastolic"),
    (_HEART_RATE, "heart_rate"),
    (_BPM, "heart_rate"),
    (_RESPIRATORY_RATE, "respiratory_rate"),
    (_BREATHS, "respiratory_rate"),
    (_GCS, "gcs"),
    (_PAIN_SCORE, "pain_score"),
)


def _checked(kind: str, value: float, words: str, doubt: str) -> VitalSign:
    """The value if it can be true, else the first conversion that makes it so, else an unusable reading."""
    plausible = _PLAUSIBLE[kind]
    if plausible.low <= value <= plausible.high:
        return VitalSign(kind, round(value, 1), words.strip(), doubt)
    for what, convert in plausible.conversions:
        converted = convert(value)
        if plausible.low <= converted <= plausible.high:
            return VitalSign(kind, round(converted, 1), words.strip(), what)
    return VitalSign(kind, round(value, 1), words.strip(), "impossible value; please measure again", usable=False)
