"""Telephone numbers a person in need can call, by locale, with the month they were last checked."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from knowledge.errors import InvalidKnowledge
from knowledge.records import KNOWLEDGE_DIR, Bilingual, Language, Record, Text, read_yaml, validated

HotlineKind = Literal["emergency", "police", "crisis"]
DEFAULT_LOCALE = "zh-CN"
_CALL = {"zh": "任何时候都可以打{name}：{number}。", "en": "You can call the {name} at any time: {number}."}


class Hotline(Record):
    """A number and what answers there."""

    number: Text
    name: Bilingual

    def sentence(self, language: Language) -> str:
        """The number as told to a patient."""
        return _CALL[language].format(name=self.name.in_language(language), number=self.number)


class Hotlines(Record):
    """Every locale's numbers. as_of: year and month of the last check."""

    as_of: Text
    locales: dict[str, dict[HotlineKind, Hotline]]

    def of(self, kind: HotlineKind, locale: str) -> Hotline:
        """The locale's number; raises InvalidKnowledge naming the locales there are."""
        if locale not in self.locales:
            raise InvalidKnowledge(f"hotlines.yaml: no locale {locale!r}; known: {', '.join(self.locales)}")
        return self.locales[locale][kind]


@cache
def load_hotlines(path: Path = KNOWLEDGE_DIR / "hotlines.yaml") -> Hotlines:
    """The table of numbers, validated."""
    return validated(Hotlines, read_yaml(path), path)
