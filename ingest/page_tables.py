"""Tables on a page, by their ruling lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.cleaning import joined
from ingest.page_content import Box, Span
from ingest.page_lines import Segment, segments_of

_NEAR = 3.0  # points within which lines meet
_MOST_RULES = 3_000


@dataclass(frozen=True)
class PageTable:
    """x0, x1, y (top), bottom: points; edges: where its columns begin; rows of cells, from the top."""

    x0: float
    x1: float
    y: float
    bottom: float
    edges: tuple[float, ...]
    rows: tuple[tuple[str, ...], ...]
    may_have_names: bool = True  # False where the first row cannot be trusted to name the columns


def ruled_tables(spans: list[Span], rules: list[Box]) -> tuple[list[PageTable], list[Span]]:
    """The tables drawn with lines both ways, and the pieces of text outside them."""
    tables: list[PageTable] = []
    rest = spans
    for group in _connected(rules[:_MOST_RULES]):
        table, outside = _table_in(group, rest)
        if table is not None:
            tables.append(table)
            rest = outside
    for across in _bands([rule for rule in rules[:_MOST_RULES] if rule.x1 - rule.x0 > 60]):
        table, rest = _three_line_table(across, rest)
        tables += [table] if table is not None else []
    return tables, rest


def _bands(rules: list[Box]) -> list[list[Box]]:
    """Horizontal lines of one width, one below the other: 三线表 has three."""
    bands: list[list[Box]] = []
    for rule in sorted(rules, key=lambda rule: -rule.y1):
        band = next(
            (band for band in bands if abs(band[0].x0 - rule.x0) <= _NEAR and abs(band[0].x1 - rule.x1) <= _NEAR), None
        )
        if band is None:
            bands.append([rule])
        else:
            band.append(rule)
    return [band for band in bands if len(_distinct([rule.y0 for rule in band])) == 3]


def _three_line_table(group: list[Box], spans: list[Span]) -> tuple[PageTable | None, list[Span]]:
    """A table with a line above and below its names and one at its foot. Only where its rows can be told for sure."""
    ys = sorted(_distinct([(rule.y0 + rule.y1) / 2 for rule in group]), reverse=True)
    if len(ys) != 3 or any(rule.y1 - rule.y0 > _NEAR for rule in group):
        return None, spans
    frame = Box(min(rule.x0 for rule in group), ys[2], max(rule.x1 for rule in group), ys[0])
    inside = [span for span in spans if frame.holds((span.x0 + span.x1) / 2, span.y + span.size * 0.3)]
    head = segments_of([span for span in inside if span.y > ys[1]])
    body = segments_of([span for span in inside if span.y <= ys[1]])
    edges = _distinct([line.x0 for line in head])
    if len(edges) < 2 or not body:
        return None, spans
    columns = _columns_of(body, edges)
    rows: list[list[int]] = [[]]
    leading = 1.45 * max(line.size for line in body)
    for place in sorted(range(len(body)), key=lambda place: -body[place].y):
        if rows[-1] and body[rows[-1][-1]].y - body[place].y > leading:
            rows.append([])
        rows[-1].append(place)
    starts = [sum(columns[place] == 0 for place in row) for row in rows]
    if any(count == 0 for count in starts) or len(rows) != sum(column == 0 for column in columns):
        return None, spans
    grid = [_by_column(head, _columns_of(head, edges), len(edges))]
    grid += [_by_column([body[place] for place in row], [columns[place] for place in row], len(edges)) for row in rows]
    chosen = {id(span) for span in inside}
    table = PageTable(frame.x0, frame.x1, ys[0], ys[2], tuple(edges), tuple(grid))
    return table, [span for span in spans if id(span) not in chosen]


def _columns_of(lines: list[Segment], edges: list[float]) -> list[int]:
    """The column each line stands in, by where it begins."""
    return [min(max(bisect_right(edges, line.x0 + 4) - 1, 0), len(edges) - 1) for line in lines]


def _by_column(lines: list[Segment], columns: list[int], width: int) -> tuple[str, ...]:
    return tuple(
        _cell_text([line for line, own in zip(lines, columns, strict=True) if own == column]) for column in range(width)
    )


def _connected(rules: list[Box]) -> list[list[Box]]:
    """Groups of lines that touch one another."""
    groups: list[list[Box]] = []
    bounds: list[Box] = []
    for rule in sorted(rules, key=lambda rule: (-rule.y1, rule.x0)):
        touching = [place for place, bound in enumerate(bounds) if _overlap(bound, rule)]
        group = [rule, *(one for place in touching for one in groups[place])]
        bound = rule
        for place in touching:
            bound = _around(bound, bounds[place])
        for place in reversed(touching):
            del groups[place], bounds[place]
        groups.append(group)
        bounds.append(bound)
    return groups


def _overlap(one: Box, two: Box) -> bool:
    return (
        one.x0 - _NEAR <= two.x1 and two.x0 - _NEAR <= one.x1 and one.y0 - _NEAR <= two.y1 and two.y0 - _NEAR <= one.y1
    )


def _around(one: Box, two: Box) -> Box:
    return Box(min(one.x0, two.x0), min(one.y0, two.y0), max(one.x1, two.x1), max(one.y1, two.y1))


def _table_in(group: list[Box], spans: list[Span]) -> tuple[PageTable | None, list[Span]]:
    across = [rule for rule in group if rule.x1 - rule.x0 > rule.y1 - rule.y0]
    down = [rule for rule in group if rule.y1 - rule.y0 > rule.x1 - rule.x0]
    ys = sorted(_distinct([(rule.y0 + rule.y1) / 2 for rule in across]), reverse=True)
    xs = _distinct([(rule.x0 + rule.x1) / 2 for rule in down])
    if len(ys) < 2 or len(xs) < 2 or (len(ys) - 1) * (len(xs) - 1) < 4:
        return None, spans
    frame = Box(xs[0], ys[-1], xs[-1], ys[0])
    inside = [span for span in spans if frame.holds((span.x0 + span.x1) / 2, span.y + span.size * 0.3)]
    if not inside:
        return None, spans
    cells: dict[tuple[int, int], list[Span]] = {}
    for span in inside:
        row = sum(span.y + span.size * 0.3 < y for y in ys) - 1
        column = bisect_right(xs, span.x0 + 1) - 1
        cells.setdefault((min(max(row, 0), len(ys) - 2), min(max(column, 0), len(xs) - 2)), []).append(span)
    grid = [["" for _ in xs[1:]] for _ in ys[1:]]
    for (row, column), found in cells.items():
        grid[row][column] = _cell_text(segments_of(found))
    _fill_merged(grid, xs, ys, across, down)
    chosen = {id(span) for span in inside}
    table = PageTable(xs[0], xs[-1], ys[0], ys[-1], tuple(xs[:-1]), tuple(map(tuple, grid)))
    return table, [span for span in spans if id(span) not in chosen]


def _cell_text(lines: list[Segment]) -> str:
    text = ""
    for line in lines:
        text = joined(text, line.text)
    return text


def _fill_merged(grid: list[list[str]], xs: list[float], ys: list[float], across: list[Box], down: list[Box]) -> None:
    """An empty cell shows the text of the neighbour that no line parts it from: above, below, left or right."""
    for _ in range(2):  # a text in the middle of a merged cell spreads both ways
        for row in range(len(grid)):
            for column in range(len(grid[row])):
                if not grid[row][column]:
                    grid[row][column] = next(
                        filter(None, _open_neighbours(grid, row, column, xs, ys, across, down)), ""
                    )


def _open_neighbours(
    grid: list[list[str]], row: int, column: int, xs: list[float], ys: list[float], across: list[Box], down: list[Box]
) -> Iterator[str]:
    x, y = (xs[column] + xs[column + 1]) / 2, (ys[row] + ys[row + 1]) / 2
    for edge, other in ((row, row - 1), (row + 1, row + 1)):
        lines = (rule for rule in across if abs((rule.y0 + rule.y1) / 2 - ys[edge]) <= _NEAR)
        if 0 <= other < len(grid) and not any(rule.x0 <= x <= rule.x1 for rule in lines):
            yield grid[other][column]
    for edge, other in ((column, column - 1), (column + 1, column + 1)):
        lines = (rule for rule in down if abs((rule.x0 + rule.x1) / 2 - xs[edge]) <= _NEAR)
        if 0 <= other < len(grid[row]) and not any(rule.y0 <= y <= rule.y1 for rule in lines):
            yield grid[row][other]


def _distinct(values: list[float]) -> list[float]:
    """Sorted, those within a few points of one another as one."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > _NEAR:
            kept.append(value)
    return kept
