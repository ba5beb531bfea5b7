"""The columns of a page, left before right, and what runs across them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from ingest.page_lines import Segment
from ingest.page_tables import PageTable

FEWEST_LINES = 5  # of a text column

Item = Segment | PageTable


def columns_of(items: list[Item], depth: int) -> Iterator[list[Item]]:
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
            yield from columns_of(side, depth - 1)


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
