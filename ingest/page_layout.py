"""From pieces of text with places to paragraphs, headings and tables in reading order."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from ingest.cleaning import ends_a_sentence, joined, opens_a_paragraph
from ingest.outline import fits_a_heading, numbering_rank
from ingest.page_content import PageContent, Span
from ingest.page_tables import PageTable, ruled_tables

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_BULLET = re.compile(r"^(?:[-*•·●○■□◆▪➢√]|[（(]?\d{1,2}[）)、．.]|[①-⑳]|[一二三四五六七八九十]、)$")
COLUMN_GAP = 1.1  # type sizes; a wider gap in a line parts columns or cells
FEWEST_LINES = 5  # of a text column


@dataclass(frozen=True, slots=True)
class Segment:
    """Text of one line without a wide gap in it."""

    x0: float
    x1: float
    y: float
    size: float
    text: str
    is_bold: bool = False


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
        short = len(self.text) <= (30 if _CHINESE.search(self.text) else 70)
        if rank is not None or (self.is_bold and short and not opens_a_paragraph(self.text)):
            return -10 * round(body_size) + (rank if rank is not None else 7)
        return None


Item = Segment | PageTable


def laid_out(page: PageContent) -> list[Paragraph | PageTable]:
    """A page's paragraphs and tables in reading order."""
    found, rest = ruled_tables(page.spans, page.rules, segments_of)
    items: list[Item] = [*segments_of(rest), *found]
    flow: list[Paragraph | PageTable] = []
    for column in _columns(items, depth=2):
        _continue(flow, list(_paragraphs(column)))
    return flow


def body_size(sizes: Counter[float]) -> float:
    """The size most characters are set in."""
    return max(sizes, key=lambda size: sizes[size]) if sizes else 12.0


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
        wide = gap > 0.18 * right.size and not (_CHINESE.search(text[-1:]) or _CHINESE.search(right.text[:1]))
        text += (" " if wide and not text.endswith(" ") and not right.text.startswith(" ") else "") + right.text
    main = max(run, key=lambda span: len(span.text))
    bold = sum(len(span.text) for span in run if span.is_bold) > len(text) * 0.7
    return Segment(run[0].x0, max(span.x1 for span in run), main.y, main.size, " ".join(text.split()), bold)


def _columns(items: list[Item], depth: int) -> Iterator[list[Item]]:
    """The items by column, left before right; what runs across both columns parts the page into bands."""
    gutter = _gutter(items) if depth else None
    if gutter is None:
        yield sorted(items, key=lambda item: (-item.y, item.x0))
        return
    band: list[Item] = []
    for item in sorted(items, key=lambda item: -item.y):
        if item.x0 < gutter - 2 and item.x1 > gutter + 2:
            yield from _sides(band, gutter, depth, is_closed=True)
            yield [item]
            band = []
        else:
            band.append(item)
    yield from _sides(band, gutter, depth)


def _sides(band: list[Item], gutter: float, depth: int, is_closed: bool = False) -> Iterator[list[Item]]:
    """Left, then right. A heading below both columns, over something that runs across (is_closed), comes last."""
    left = [item for item in band if item.x1 <= gutter + 2]
    right = [item for item in band if item.x1 > gutter + 2]
    foot = min((item.y for item in right), default=-math.inf)
    below = [item for item in left if item.y < foot - 2] if is_closed and right else []
    below = below if len(below) <= 3 else []
    for side in ([item for item in left if item not in below], right, below):
        if side:
            yield from _columns(side, depth - 1)


def _gutter(items: list[Item]) -> float | None:
    """Where a blank strip parts text into two columns; None in a single column, and between the cells of a table."""
    lines = [item for item in items if isinstance(item, Segment)]
    if len(lines) < 2 * FEWEST_LINES:
        return None
    left_edge, right_edge = min(line.x0 for line in lines), max(line.x1 for line in lines)
    width = right_edge - left_edge
    best: tuple[int, float] | None = None
    for step in range(25, 76):
        x = left_edge + width * step / 100
        left = [line for line in lines if line.x1 <= x + 1]
        right = [line for line in lines if line.x0 >= x - 1]
        crossing = len(lines) - len(left) - len(right)
        if min(len(left), len(right)) < FEWEST_LINES or crossing > 0.5 * min(len(left), len(right)) + 4:
            continue
        if not (_reads_as_text(left, x - left_edge) and _reads_as_text(right, right_edge - x)):
            continue
        if best is None or crossing < best[0]:
            best = (crossing, x)
    return best[1] if best else None


def _reads_as_text(lines: list[Segment], width: float) -> bool:
    """Whether lines fill their column as running text does, which cells of a table do not."""
    filled = median(line.x1 - line.x0 for line in lines) >= 0.6 * width
    return filled and median(len(line.text) for line in lines) >= 8


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
        if not runs_on or line.x0 - above.x0 > line.size or not _CHINESE.search(above.text):
            return True  # else a number that only happens to stand first: 前言 | 第2条
    if gap < 0.3 * line.size:
        return False  # the same line, parted by a gap
    missing = right - above.x1
    if _CHINESE.search(above.text):
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
