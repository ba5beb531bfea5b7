"""Headers, footers and page numbers of a paged document: told by their place at the edge and by coming back."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ingest.page_content import PageContent, Span

EDGE = 0.12  # of the page's height, at the top and at the bottom
WINDOW = 8  # pages looked at before and after one, so that memory stays the same for any length
_EDGE_ROWS = 3  # outermost rows of text that may be a header or a footer
_PAGE_NUMBER = re.compile(
    r"^[\s\-—–·•|/]*(?:第\s*|Page\s*|P\.?\s*)?(\d{1,4}|[ivxlcdm]{1,7})\s*(?:页|頁)?"
    r"(?:\s*[,，/of／共]*\s*(?:第|共)?\s*\d{1,4}\s*(?:页|頁)?)?[\s\-—–·•|]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class EdgeRow:
    """A row of text at the edge of a page. shape: its text with every number as #."""

    page: int
    y: float
    shape: str
    numbers: tuple[int, ...]
    spans: tuple[Span, ...]

    def comes_back_as(self, other: EdgeRow) -> bool:
        """Whether another page says the same at the same height; a number may differ only as the pages do."""
        if self.shape != other.shape or abs(self.y - other.y) > 4 or len(self.numbers) != len(other.numbers):
            return False
        apart = other.page - self.page
        return all(two - one in (0, apart) for one, two in zip(self.numbers, other.numbers, strict=True))


def without_running_lines(pages: Iterable[PageContent]) -> Iterator[PageContent]:
    """The pages less their headers, footers and page numbers. A printed number becomes the label where it differs."""
    before: deque[list[EdgeRow]] = deque(maxlen=WINDOW)
    ahead: deque[tuple[PageContent, list[EdgeRow]]] = deque()
    for page in pages:
        ahead.append((page, list(_edge_rows(page))))
        if len(ahead) > WINDOW:
            yield _next_stripped(before, ahead)
    while ahead:
        yield _next_stripped(before, ahead)


def _next_stripped(before: deque[list[EdgeRow]], ahead: deque[tuple[PageContent, list[EdgeRow]]]) -> PageContent:
    window = [*before, *(rows for _, rows in ahead)]
    page, rows = ahead.popleft()
    before.append(rows)
    needed = max(3, round(0.3 * len(window))) if len(window) > 3 else 2
    running: set[int] = set()
    for row in rows:
        number = _PAGE_NUMBER.match(_text(row.spans))
        seen = sum(any(row.comes_back_as(other) for other in others) for others in window)
        if number is not None or seen >= needed:
            running |= {id(span) for span in row.spans}
        if number is not None and page.label is None and number[1] != str(page.number):
            page.label = number[1]
    page.spans = [span for span in page.spans if id(span) not in running]
    return page


def _edge_rows(page: PageContent) -> Iterator[EdgeRow]:
    """The outermost rows at top and bottom, less those of a ruled table."""
    for at_top in (True, False):
        spans = [
            span
            for span in page.spans
            if (span.y > page.height * (1 - EDGE) if at_top else span.y < page.height * EDGE)
        ]
        rows: list[list[Span]] = []
        for span in sorted(spans, key=lambda span: -span.y if at_top else span.y):
            if rows and abs(rows[-1][0].y - span.y) <= 3:
                rows[-1].append(span)
            else:
                rows.append([span])
        for row in rows[:_EDGE_ROWS]:
            y, text = row[0].y, _text(row)
            if sum(rule.y0 <= y + 2 <= rule.y1 and rule.y1 - rule.y0 > 6 for rule in page.rules) < 3:
                yield EdgeRow(
                    page.number, y, re.sub(r"\d+", "#", text), tuple(map(int, re.findall(r"\d{1,9}", text))), tuple(row)
                )


def _text(spans: Sequence[Span]) -> str:
    return " ".join(" ".join(span.text for span in sorted(spans, key=lambda span: span.x0)).split())
