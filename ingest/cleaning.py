"""Text as it is meant: lines broken by a page's width mended, hyphens at line ends joined, marks nobody sees removed."""

from __future__ import annotations

import re

_HYPHENATED = re.compile(r"([A-Za-z]{2,})[-\u2010\u00ad]\Z")
_CLOSED = re.compile(r"[。！？!?；;：:…”』」]\s*\Z|[.][”’\"')]?\s*\Z")
_OPENS = re.compile(
    r"\s*(?:[-*•·●○■□◆▪➢√]\s*|[（(]?\d{1,2}[）)、．]\s*|\d{1,2}\.\s|[①-⑳]|[一二三四五六七八九十]{1,3}、|[（(][一二三四五六七八九十]{1,3}[）)]|第[一二三四五六七八九十\d]+[章节条]|[#|])"
)
_SYMBOL_FONT = {0xF000 + code: mark for code, mark in {0xB7: "•", 0x6C: "•", 0x6E: "▪", 0xA7: "▪", 0xD8: "➢", 0xFC: "√", 0xB3: "≥", 0xA3: "≤", 0xB0: "°", 0xB1: "±", 0x6D: "μ"}.items()}  # fmt: skip
_LIGATURES = {ord(one): many for one, many in {"ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl", "\u00a0": " ", "\u3000": " ", "\u2028": "\n", "\u2029": "\n"}.items()}  # fmt: skip
_SUPPLEMENT = dict(  # radicals Unicode gives no compatible character for; after its EquivalentUnifiedIdeograph table
    zip(
        "⺁⺄⺅⺆⺇⺈⺉⺊⺋⺒⺓⺔⺕⺖⺗⺘⺙⺛⺝⺞⺠⺡⺢⺣⺤⺦⺧⺨⺩⺪⺫⺬⺭⺮⺯⺰⺱⺲⺶⺹⺻⺼⺽⺾⺿⻀⻁⻂⻃⻄⻅⻆⻉⻋⻌⻍⻎⻏⻐⻑⻒⻓⻔⻖⻗⻘⻙⻚⻛⻜⻝⻡⻢⻣⻤⻥⻦⻧⻨⻩⻪⻬⻮⻰⻳⺟",
        "厂乙亻冂几刀刂卜卩巳幺彑彐忄心扌攵旡月歹民氵氺灬爫丬牛犭王疋目示礻竹糹纟网罒羊耂聿肉臼艹艹艹虎衤覀西见角贝车辶辶辶邑钅長镸长门阝雨青韦页风飞食首马骨鬼鱼鸟卤麦黄黾齐齿龙龟母",
        strict=True,
    )
)
_RADICALS = re.compile(r"[\u2e80-\u2fdf]")
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without invisible and control characters, ligatures and symbol-font bullets as ordinary ones."""
    text = text.translate(_LIGATURES).translate(_SYMBOL_FONT)
    return _CONTROLS.sub(" ", with_whole_characters(UNSEEN.sub("", text)))


def with_whole_characters(text: str) -> str:
    """The text with radicals as the characters they look like."""
    return _RADICALS.sub(_whole_character, text)


def _whole_character(radical: re.Match[str]) -> str:
    """Some PDF fonts give the radical ⼀ (U+2F00) for the character 一: the same glyph, found by nobody's search."""
    import unicodedata

    return _SUPPLEMENT.get(radical[0]) or unicodedata.normalize("NFKC", radical[0])


def opens_a_paragraph(line: str) -> bool:
    """Whether a line begins with a bullet or a number of a list."""
    return bool(_OPENS.match(line))


def ends_a_sentence(line: str) -> bool:
    """Whether a line ends with a mark that closes a sentence."""
    return bool(_CLOSED.search(line))


def joined(first: str, second: str) -> str:
    """Two lines of one paragraph: nothing between Chinese, a blank between English words, a hyphenated word whole."""
    first, second = first.rstrip(), second.lstrip()
    if not first or not second:
        return first + second
    if _HYPHENATED.search(first) and second[0].islower():
        return first[:-1] + second
    if first[-1] in "/-–~～" and second[0].isdigit() and first[-2:-1].isdigit():
        return first + second  # 140/ 90
    return first + second if _is_wide(first[-1]) or _is_wide(second[0]) else f"{first} {second}"


def mended_lines(lines: list[str]) -> list[str]:
    """Plain text lines with those of one paragraph joined, where the text was wrapped to a width.

    A text is wrapped where most lines are about as long as the longest and end inside a sentence; other texts are left alone.
    """
    width = wrap_width(lines)
    if width is None:
        return lines
    mended: list[str] = []
    open_line = False
    for line in lines:
        if open_line and line.strip() and not opens_a_paragraph(line) and not line.startswith(("\t", "    ", "\u3000")):
            mended[-1] = joined(mended[-1], line)
        else:
            mended.append(line)
        open_line = _breadth(line) >= width * 0.8 and not ends_a_sentence(line) and "|" not in line
    return mended


def wrap_width(lines: list[str]) -> float | None:
    """The width a text was wrapped to, in Latin characters; None where each line is a paragraph."""
    breadths = [_breadth(line) for line in lines if line.strip()]
    if len(breadths) < 4:
        return None
    longest = sorted(breadths)[int(len(breadths) * 0.9)]
    full = [line for line in lines if line.strip() and _breadth(line) >= longest * 0.85]
    running = sum(not ends_a_sentence(line) for line in full)
    wrapped = 30 <= longest <= 130 and len(full) >= len(breadths) * 0.3 and running >= len(full) * 0.5
    return longest if wrapped else None


def _breadth(line: str) -> float:
    return sum(2 if _is_wide(character) else 1 for character in line.rstrip())


def _is_wide(character: str) -> bool:
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or "\uff00" <= character <= "\uff60"
