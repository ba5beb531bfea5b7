"""From pieces of text with places to paragraphs, headings and tables in reading order."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from ingest.cleaning import ends_a_sentence, joined, opens_a_paragraph
from ingest.outline import fits_a_heading, numbering_rank
from ingest.page_columns import Item, columns_of
from ingest.page_content import PageContent
from ingest.page_lines import Segment, segments_of
from ingest.page_tables import PageTable, ruled_tables
from knowledge.script import holds_chinese


@dataclass(frozen=True)
class Paragraph:
    """size: of its type in points; lines: how many it was set on."""

    text: str
    size: float
    is_bold: bool
    lines: int

    def heading_level(self, body_size: float) -> float | None:
        """Its level as a heading, the smaller the higher: by type size, then by numbering; None for text."""
        if self.lines > 2 or not fits_a_heading(self.text) or not re.search(r"[^\W\d_]", self.text):
            return None
        rank = numbering_rank(self.text)
        if self.size >= body_size * 1.12:
            return -10 * round(self.size) + (rank or 0)
        short = len(self.text) <= (30 if holds_chinese(self.text) else 70)
        if rank is not None or (self.is_bold and short and not opens_a_paragraph(self.text)):
            return -10 * round(body_size) + (rank if rank is not None else 7)
        return None


def laid_out(page: PageContent) -> list[Paragraph | PageTable]:
    """A page's paragraphs and tables in reading order."""
    found, rest = ruled_tables(page.spans, page.rules)
    items: list[Item] = [*segments_of(rest), *found]
    flow: list[Paragraph | PageTable] = []
    for column in columns_of(items, depth=2):
        _continue(flow, list(_paragraphs(column)))
    return flow


def body_size(sizes: Counter[float]) -> float:
    """The size most characters are set in."""
    return max(sizes, key=lambda size: sizes[size]) if sizes else 12.0


def _paragraphs(column: list[Item]) -> Iterator[Paragraph | PageTable]:
    """The lines of a column joined into paragraphs; aligned rows without rules as tables."""
    rows = _rows(column)
    place = 0
    while place < len(rows):
        end = _aligned_until(rows, place)
        if end - place >= 3:
            yield _aligned_table(rows[place:end], rows[place - 1] if place else [])
            place = end
            continue
        stop = next(
            (after for after in range(place + 1, len(rows)) if _aligned_until(rows, after) - after >= 3), len(rows)
        )
        lines: list[Item] = [item for row in rows[place:stop] for item in row]
        yield from _joined_lines(lines)
        place = stop


def _rows(column: list[Item]) -> list[list[Item]]:
    rows: list[list[Item]] = []
    for item in column:
        last = rows[-1][0] if rows else None
        same = isinstance(item, Segment) and isinstance(last, Segment) and abs(last.y - item.y) <= 0.45 * item.size
        if same:
            rows[-1].append(item)
        else:
            rows.append([item])
    return [sorted(row, key=lambda item: item.x0) for row in rows]


def _aligned_until(rows: list[list[Item]], start: int) -> int:
    """Behind the last row of a table without rules that begins at `start`: rows of as many cells at the same places."""
    first = rows[start]
    if len(first) < 2 or any(isinstance(item, PageTable) for item in first):
        return start
    end = start + 1
    while end < len(rows):
        row = rows[end]
        if any(isinstance(item, PageTable) for item in row):
            break
        if len(row) != len(first) or not all(_same_place(one, two) for one, two in zip(first, row, strict=True)):
            break
        end += 1
    return end


def _same_place(one: Item, two: Item) -> bool:
    tolerance = 8.0
    centred = abs((one.x0 + one.x1) - (two.x0 + two.x1)) <= 2 * tolerance
    return abs(one.x0 - two.x0) <= tolerance or abs(one.x1 - two.x1) <= tolerance or centred


def _aligned_table(rows: list[list[Item]], above: list[Item]) -> PageTable:
    """Rows without rules. Their first names the columns only where nothing stands over it but a line of text or a title."""
    cells = tuple(tuple(item.text for item in row if isinstance(item, Segment)) for row in rows)
    first, last = rows[0], rows[-1]
    edges = tuple(item.x0 for item in first)
    named = not above or (
        len(above) == 1 and (above[0].x0 <= edges[0] + 8 or above[0].y - first[0].y > 2 * _size(first))
    )
    return PageTable(first[0].x0, first[-1].x1, first[0].y, last[0].y, edges, cells, may_have_names=named)


def _size(row: list[Item]) -> float:
    return max((item.size for item in row if isinstance(item, Segment)), default=12.0)


def _joined_lines(lines: list[Item]) -> Iterator[Paragraph | PageTable]:
    texts = [line for line in lines if isinstance(line, Segment)]
    left = min((line.x0 for line in texts), default=0.0)
    right = sorted(line.x1 for line in texts)[int(len(texts) * 0.9) - (len(texts) > 9)] if texts else 0.0
    gaps = [one.y - two.y for one, two in itertools.pairwise(texts) if one.y > two.y]
    pitch = median(gaps) if gaps else 0.0
    run: list[Segment] = []
    for line in lines:
        if isinstance(line, PageTable):
            yield from _paragraph(run)
            run = []
            yield line
        elif run and _begins_anew(run[-1], line, left, right, pitch):
            yield from _paragraph(run)
            run = [line]
        else:
            run.append(line)
    yield from _paragraph(run)


def _begins_anew(above: Segment, line: Segment, left: float, right: float, pitch: float) -> bool:
    """Whether a line begins a paragraph: by its gap, type, indent or bullet, or because the line above ended early."""
    gap = above.y - line.y
    if gap > 2.6 * line.size or (gap > 1.45 * pitch and gap > 1.3 * line.size):
        return True
    if abs(above.size - line.size) > 0.8 or (
        above.is_bold != line.is_bold and (fits_a_heading(above.text) or fits_a_heading(line.text))
    ):
        return True
    if line.x0 - left > 1.2 * line.size and line.x0 - above.x0 > 1.2 * line.size and abs(above.x0 - left) < line.size:
        return True
    if opens_a_paragraph(line.text) or numbering_rank(line.text) is not None:
        runs_on = right - above.x1 < 1.5 * above.size and not ends_a_sentence(above.text)
        if not runs_on or line.x0 - above.x0 > line.size or not holds_chinese(above.text):
            return True  # else a number that only happens to stand first: 前言 | 第2条
    if gap < 0.3 * line.size:
        return False  # the same line, parted by a gap
    missing = right - above.x1
    if holds_chinese(above.text):
        return missing > 2.2 * above.size
    return missing > (0.12 if ends_a_sentence(above.text) else 0.35) * (right - left)


def _paragraph(run: list[Segment]) -> Iterator[Paragraph]:
    if not run:
        return
    text = ""
    for line in run:
        text = joined(text, line.text)
    size = max(run, key=lambda line: len(line.text)).size
    yield Paragraph(text, size, all(line.is_bold for line in run), len(run))


def _continue(flow: list[Paragraph | PageTable], more: list[Paragraph | PageTable]) -> None:
    """Appends a column; a paragraph that runs on from the foot of the one before is joined."""
    if flow and more and runs_on(flow[-1], more[0]):
        last, first = flow.pop(), more.pop(0)
        assert isinstance(last, Paragraph) and isinstance(first, Paragraph)
        flow.append(Paragraph(joined(last.text, first.text), last.size, last.is_bold, last.lines + first.lines))
    flow += more


def runs_on(last: Paragraph | PageTable, first: Paragraph | PageTable) -> bool:
    """Whether a paragraph ends inside a sentence that the next one goes on with."""
    if not isinstance(last, Paragraph) or not isinstance(first, Paragraph):
        return False
    alike = abs(last.size - first.size) <= 0.8 and last.is_bold == first.is_bold
    is_text = len(last.text) >= 20 and not (last.lines <= 2 and last.is_bold)
    begins = opens_a_paragraph(first.text) or numbering_rank(first.text) is not None
    return alike and is_text and not begins and not ends_a_sentence(last.text)
