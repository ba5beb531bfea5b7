"""The lines of a page, parted at wide gaps."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ingest.page_content import Span
from knowledge.script import holds_chinese

_BULLET = re.compile(r"^(?:[-*•·●○■□◆▪➢√]|[（(]?\d{1,2}[）)、．.]|[①-⑳]|[一二三四五六七八九十]、)$")
COLUMN_GAP = 1.1  # type sizes; a wider gap in a line parts columns or cells


@dataclass(frozen=True, slots=True)
class Segment:
    """Text of one line without a wide gap in it."""

    x0: float
    x1: float
    y: float
    size: float
    text: str
    is_bold: bool = False


def segments_of(spans: Iterable[Span]) -> list[Segment]:
    """The lines of a page, parted at wide gaps, from the top; text printed twice to look bold counts once."""
    rows: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: (-span.y, span.x0)):
        near = next((row for row in rows[-3:] if abs(row[0].y - span.y) <= 0.45 * max(row[0].size, span.size)), None)
        if near is None:
            rows.append([span])
        elif not any(same.text == span.text and abs(same.x0 - span.x0) < 1.5 for same in near):
            near.append(span)
    return [segment for row in rows for segment in _parted(sorted(row, key=lambda span: span.x0))]


def _parted(row: list[Span]) -> Iterator[Segment]:
    run = [row[0]]
    for span in row[1:]:
        gap = span.x0 - max(one.x1 for one in run)
        is_bullet = len(run) == 1 and _BULLET.match(run[0].text.strip()) is not None and gap < 4 * span.size
        if gap > COLUMN_GAP * max(span.size, run[-1].size) and not is_bullet:
            yield _segment(run)
            run = [span]
        else:
            run.append(span)
    yield _segment(run)


def _segment(run: list[Span]) -> Segment:
    text = run[0].text
    for left, right in itertools.pairwise(run):
        gap = right.x0 - left.x1
        wide = gap > 0.18 * right.size and not (holds_chinese(text[-1:] + right.text[:1]))
        text += (" " if wide and not text.endswith(" ") and not right.text.startswith(" ") else "") + right.text
    main = max(run, key=lambda span: len(span.text))
    bold = sum(len(span.text) for span in run if span.is_bold) > len(text) * 0.7
    return Segment(run[0].x0, max(span.x1 for span in run), main.y, main.size, " ".join(text.split()), bold)
