"""Markdown and plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest import tables
from ingest.cleaning import clean, mended_lines
from ingest.documents import QuarantineRow, SourceFile, SourceSection
from ingest.encodings import text_of
from ingest.hidden_instructions import suspicions
from ingest.outline import Block, blocks_of_lines, sections_of

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


def read_markdown(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """A section per heading; table rows as lines with the header repeated; comments and front matter left out."""
    text = text_of(file)
    yield from suspect(file, text)
    yield from sections_of(_markdown_blocks(_COMMENT.sub("", _FRONT_MATTER.sub("", clean(text))).split("\n")))


def read_plain(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """Sections by numbered headings (一、, 第一章, 1.1) where the text has them, else the whole text as one."""
    text = text_of(file)
    yield from suspect(file, text)
    yield from sections_of(blocks_of_lines(mended_lines(clean(text).split("\n"))))


def suspect(file: SourceFile, text: str) -> Iterator[QuarantineRow]:
    """A warning for the invisible characters of a raw text; phrases are looked for in what is taken."""
    for reason in suspicions(text):
        if reason.startswith("holds"):
            yield file.warning(reason, "look at the file in an editor that shows such characters")


def _markdown_blocks(lines: list[str]) -> Iterator[Block]:
    fenced = False
    rows: list[list[str]] = []
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
            continue
        is_row = not fenced and "|" in line and (bool(rows) or _TABLE_RULE.match(_next(lines, number)) is not None)
        if is_row:
            if not _TABLE_RULE.match(line):
                rows.append(
                    [cell.strip() for cell in _CELL_BORDER.split(line.strip().removeprefix("|").removesuffix("|"))]
                )
            continue
        yield from (Block(row) for row in tables.lines_of(rows))
        rows = []
        heading = None if fenced else _HEADING.match(line)
        yield Block(heading[2], len(heading[1])) if heading else Block(line)
    yield from (Block(row) for row in tables.lines_of(rows))


def _next(lines: list[str], number: int) -> str:
    return lines[number + 1] if number + 1 < len(lines) and "|" in lines[number + 1] else ""
