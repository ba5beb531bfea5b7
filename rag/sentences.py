"""Sentences of Chinese and English text, by offset; numbers, abbreviations and quotations stay whole."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ABBREVIATIONS = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|dr|mr|mrs|ms|prof|st|no|fig|approx|min|max|a\.m|p\.m|cf|al|resp|incl|ca|[a-z])\.|\d\.)$",
    re.IGNORECASE,
)
_END = re.compile(r"[。！？!?；;…]+[”’」』）)\"']*|\.+[”’\"')]*(?=\s|$)|\n+")


@dataclass(frozen=True)
class Sentence:
    """A sentence and where it begins in the text it was cut from, in characters."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of a text in order, without surrounding blanks. A line break ends one; a decimal point does not."""
    sentences: list[Sentence] = []
    start = 0
    for end in _END.finditer(text):
        is_abbreviation = end[0].startswith(".") and _ABBREVIATIONS.search(text[start : end.start() + 1])
        if is_abbreviation and end.end() < len(text):
            continue
        _keep(sentences, text, start, end.end())
        start = end.end()
    _keep(sentences, text, start, len(text))
    return sentences


def _keep(sentences: list[Sentence], text: str, start: int, end: int) -> None:
    stripped = text[start:end].strip()
    if stripped and re.search(r"\w", stripped):
        sentences.append(Sentence(stripped, start + text[start:end].index(stripped[0])))
