"""The frequent Chinese characters of the two double-byte codes, and which code bytes are in, told by what they would say."""

from __future__ import annotations

import codecs
import re
from functools import cache

from knowledge.script import chinese_characters

_LONE_HIGH_BYTE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
COMMON_SHARE = 0.9  # of a text's Chinese characters, among the frequent ones of its code; real text has 0.95-1.0


@cache
def frequent_characters(code: str, leads: tuple[int, int]) -> frozenset[str]:
    """The Chinese characters with lead bytes in a range (the second value is outside) of a double-byte code."""
    pairs = (bytes((lead, trail)) for lead in range(*leads) for trail in range(0x40, 0xFF))
    return frozenset(character for pair in pairs if len(character := pair.decode(code, "ignore")) == 1)


def frequent_in_gb(text: str) -> float:
    """Share among the 3,755 characters of GB 2312's first level: 0.95-1.0 in simplified text."""
    return _share(text, frequent_characters("gb2312", (0xB0, 0xD8)))


def frequent_in_big5(text: str) -> float:
    """Share among the 5,401 characters of Big5's first level: 0.95-1.0 in traditional text."""
    return _share(text, frequent_characters("big5", (0xA4, 0xC7)))


def code_of(raw: bytes) -> str | None:
    """The code of bytes that are not UTF-8: cp1252, gb18030, big5 or UTF-16 without a mark; None where none fits. The last character may be cut."""
    lone, high = len(_LONE_HIGH_BYTE.findall(raw)), len(_HIGH_BYTE.findall(raw))
    if high and lone > high / 2:  # Chinese bytes come in pairs; a curly quote or an accent stands alone
        return "cp1252"
    simplified, traditional = _in_code(raw, "gb18030"), _in_code(raw, "big5")
    if simplified is not None and frequent_in_gb(simplified) >= COMMON_SHARE:
        return "gb18030"
    if traditional is not None and frequent_in_big5(traditional) >= COMMON_SHARE:
        return "big5"
    for wide in ("utf-16-le", "utf-16-be"):
        if frequent_in_gb(raw.decode(wide, "replace")) >= COMMON_SHARE:
            return wide
    return None if simplified is None else "gb18030"


def _share(text: str, characters: frozenset[str]) -> float:
    found = chinese_characters(text)
    return sum(map(characters.__contains__, found)) / len(found) if found else 0.0


def _in_code(raw: bytes, code: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(code)().decode(raw)
    except UnicodeDecodeError:
        return None
