"""The Chinese script: which characters belong to it, and whether a text holds any."""

from __future__ import annotations

import re

HAN = r"\u3400-\u9fff"  # for the inside of a character class: the unified ideographs and their extension A
_HAN = re.compile(f"[{HAN}]")


def holds_chinese(text: str) -> bool:
    """Whether any character of a text is Chinese; punctuation is not."""
    return _HAN.search(text) is not None


def chinese_characters(text: str) -> list[str]:
    """The Chinese characters of a text, in order."""
    return _HAN.findall(text)
