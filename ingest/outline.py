"""Headings into heading paths: a document's blocks become sections, each under the headings above it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.documents import SourceSection
from knowledge.script import chinese_characters

SEPARATOR = " > "
LONGEST_HEADING = 60  # characters of Chinese, twice that of English; a longer line is text

_NUMBERINGS = (  # the rank orders them where type size does not
    (1, re.compile(r"第\s*[一二三四五六七八九十百\d]+\s*[章篇编]|(?:Chapter|Part)\s+\w+\b", re.IGNORECASE)),
    (2, re.compile(r"第\s*[一二三四五六七八九十百\d]+\s*节|(?:Section)\s+\d", re.IGNORECASE)),
    (3, re.compile(r"[一二三四五六七八九十]{1,3}\s*、|[IVX]{1,5}\.\s")),
    (4, re.compile(r"[（(][一二三四五六七八九十]{1,3}[）)]")),
    (6, re.compile(r"\d{1,2}(?:\.\d{1,2}){3,}(?![\d.])\s*(?=[^\d\s%℃~～-])")),
    (6, re.compile(r"\d{1,2}(?:\.\d{1,2}){2}(?![\d.])\s*(?=[^\d\s%℃~～-])")),
    (5, re.compile(r"\d{1,2}\.\d{1,2}(?![\d.])\s*(?=[\u3400-\u9fff]{2}|[A-Z][a-z])")),
)
_ENDS_A_SENTENCE = re.compile(r"[。；;，,、！!？?.：:]$")
_UNIT_FOLLOWS = re.compile(
    r"\d+\.\d+\s*(?:mg|ml|g|kg|cm|mm|mmol|次|片|粒|岁|天|小时|分钟|年|个|倍|升|克|毫|厘|万|亿|度|周|月)"
)
_LEADERS = re.compile(r"(?:\.{4,}|…{2,}|·{4,}|．{3,})\s*\d*$")  # a table of contents


@dataclass(frozen=True)
class Block:
    """A paragraph, a table row, or a heading. level: the smaller the higher; None for text."""

    text: str
    level: float | None = None


def numbering_rank(line: str) -> int | None:
    """How deep a line's numbering (第一章, 一、, （一）, 1.1) puts it; None for a line that is no numbered heading."""
    line = line.strip()
    if not line or not fits_a_heading(line) or _UNIT_FOLLOWS.match(line):
        return None
    return next((rank for rank, pattern in _NUMBERINGS if pattern.match(line)), None)


def fits_a_heading(line: str) -> bool:
    """Short, and neither ended like a sentence nor a line of a table of contents."""
    weight = len(line) + len(chinese_characters(line))
    return weight <= 2 * LONGEST_HEADING and not _ENDS_A_SENTENCE.search(line) and not _LEADERS.search(line)


def blocks_of_lines(lines: Iterable[str]) -> Iterator[Block]:
    """Plain lines, those with a heading's numbering as headings."""
    for line in lines:
        rank = numbering_rank(line)
        yield Block(line.strip(), rank) if rank is not None else Block(line)


class Outline:
    """Takes blocks one by one and gives the sections they make. A heading with nothing under it is text: nothing is lost."""

    def __init__(self) -> None:
        self._headings: list[tuple[float, str, bool]] = []  # level, text, whether anything stands under it
        self._lines: list[str] = []

    def add(self, block: Block) -> Iterator[SourceSection]:
        """The section a heading closes, if any."""
        if block.level is None:
            self._lines.append(block.text)
        elif block.text.strip():
            yield from self.close(above=block.level)
            self._headings.append((block.level, " ".join(block.text.split()), False))

    def close(self, above: float = -math.inf) -> Iterator[SourceSection]:
        """The text so far as a section; headings of a level at or below `above` end."""
        yield from self.flush()
        while self._headings and self._headings[-1][0] >= above:
            _, text, used = self._headings.pop()
            if not used:
                self._lines.append(text)
                yield from self.flush()

    def flush(self) -> Iterator[SourceSection]:
        """The text so far as a section, under headings that stay."""
        text = "\n".join(self._lines)
        self._lines = []
        if text.strip():
            self._headings = [(level, heading, True) for level, heading, _ in self._headings]
            yield SourceSection(text, SEPARATOR.join(heading for _, heading, _ in self._headings))


def sections_of(blocks: Iterable[Block]) -> Iterator[SourceSection]:
    """The sections of a document without pages."""
    outline = Outline()
    for block in blocks:
        yield from outline.add(block)
    yield from outline.close()
