"""The Chinese script: which characters belong to it, whether a text holds any, and the marks each language is set with."""

from __future__ import annotations

import re

from knowledge.records import Language

HAN = r"\u3400-\u9fff"  # for the inside of a character class: the unified ideographs and their extension A
LIST_MARK: dict[Language, str] = {"zh": "、", "en": ", "}
BETWEEN_SENTENCES: dict[Language, str] = {"zh": "", "en": " "}
FULL_STOP: dict[Language, str] = {"zh": "。", "en": "."}
_HAN = re.compile(f"[{HAN}]")


def holds_chinese(text: str) -> bool:
    """Whether any character of a text is Chinese; punctuation is not."""
    return _HAN.search(text) is not None


def chinese_characters(text: str) -> list[str]:
    """The Chinese characters of a text, in order."""
    return _HAN.findall(text)
