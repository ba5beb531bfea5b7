"""Spreadsheets, .csv and .xlsx: each row a line with the header's names; sheets of questions as questions."""

from __future__ import annotations

import csv
import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from ingest import tables
from ingest.archives import check_archive, check_no_entities
from ingest.cleaning import clean
from ingest.documents import QuarantineRow, SourceFile, SourceSection
from ingest.encodings import text_of
from ingest.tables import Row
from ingest.text_readers import suspect

_LOOKED_AT = 30  # rows from which the header is told
_ROWS_A_SECTION = 500
_DELIMITERS = ",\t;|，"
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3}\d{1,7}):([A-Z]{1,3}\d{1,7})"')
_NO_VALUE = re.compile(rb"</(?:\w+:)?f>\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s*</(?:\w+:)?c>")
_MOST_MERGED = 20_000
_CHUNK = 1 << 20


def read_csv(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """Comma, tab, semicolon or bar between the cells; told from the text."""
    text = text_of(file)
    yield from suspect(file, text)
    csv.field_size_limit(10_000_000)
    try:
        rows = csv.reader(io.StringIO(clean(text), newline=""), delimiter=_delimiter(text))
        yield from table_sections(rows)
    except csv.Error as fault:
        raise file.fault(
            f"not a readable table ({fault})", "open it in a spreadsheet and save it as CSV again"
        ) from None


def _delimiter(text: str) -> str:
    """The mark that stands equally often, outside quotation marks, in most of the first lines."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in text.splitlines()[:50] if line.strip()]
    counts = {mark: [line.count(mark) for line in lines] for mark in _DELIMITERS}
    even = {
        mark: sum(count == found[0] for count in found) * min(found[0], 3)
        for mark, found in counts.items()
        if found and found[0]
    }
    best = max(even, key=lambda mark: even[mark], default=",")
    return best if best != "，" or "," not in even else ","


def read_xlsx(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """Every visible sheet, read row by row; formulas as the value last calculated; merged cells in each place they cover."""
    from openpyxl import load_workbook

    check_archive(file, ".xlsx file", ".xls")
    check_no_entities(file, ".xlsx file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles it does not know
        book = load_workbook(file.path, read_only=True, data_only=True, keep_links=False)
        try:
            sheets = [sheet for sheet in book.worksheets]
            if len(sheets) > file.limits.max_pages:
                raise file.fault(
                    f"{len(sheets):,} sheets, more than {file.limits.max_pages:,}",
                    "split it, or raise reading.max_pages",
                )
            for sheet in sheets:
                yield from _sheet(file, sheet, alone=len(sheets) == 1)
        finally:
            book.close()


def _sheet(file: SourceFile, sheet: Any, alone: bool) -> Iterator[SourceSection | QuarantineRow]:
    title = clean(sheet.title)
    if sheet.sheet_state != "visible":
        yield file.warning(f"sheet {title!r} is hidden and was not taken", "unhide it if it should be read")
        return
    merged, without_value = _scanned(file, getattr(sheet, "_worksheet_path", None))
    if without_value:
        yield file.warning(
            f"{without_value} formulas in sheet {title!r} have no saved value",
            "open it in a spreadsheet, calculate and save it",
        )
    sheet.reset_dimensions()  # what the file says of its size is not believed
    rows = _filled(([_value(cell) for cell in row] for row in sheet.iter_rows()), merged)
    is_named = not alone and not re.fullmatch(r"(?:sheet|工作表)\s*\d*", title, re.IGNORECASE)
    yield from table_sections(rows, title if is_named else "")


def _value(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float | int):
        if "%" in (cell.number_format or ""):
            return f"{round(value * 100, 6):g}%"
        return (
            f"{round(value, 10):.10f}".rstrip("0").rstrip(".")
            if isinstance(value, float) and abs(value) < 1e15
            else str(value)
        )
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
    return clean(str(value)).strip()


def _scanned(file: SourceFile, part: str | None) -> tuple[dict[tuple[int, int], tuple[int, int]], int]:
    """Merged places (row, column) -> the place whose value they show, and how many formulas lack a saved value.

    openpyxl does not give them for a sheet read row by row, so the sheet's XML is searched once, a piece at a time.
    """
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    without_value = 0
    if part is None:
        return merged, without_value
    with zipfile.ZipFile(file.path) as archive, archive.open(part.lstrip("/")) as stream:
        rest = b""
        while piece := stream.read(_CHUNK):
            text = rest + piece
            cut = max(text.rfind(b">"), 0) + 1 if len(piece) == _CHUNK else len(text)
            cut = (
                max(text.rfind(b"</row>") + 6, text.rfind(b"</c>") + 4, 0)
                if len(piece) == _CHUNK and b"</c>" in text
                else cut
            )
            for first, last in _MERGED.findall(text[:cut]):
                if len(merged) < _MOST_MERGED:
                    _cover(merged, first.decode(), last.decode())
            without_value += len(_NO_VALUE.findall(text[:cut]))
            rest = text[cut:]
    return merged, without_value


def _cover(merged: dict[tuple[int, int], tuple[int, int]], first: str, last: str) -> None:
    top, left = _place(first)
    bottom, right = _place(last)
    if (bottom - top + 1) * (right - left + 1) <= _MOST_MERGED:
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                if (row, column) != (top, left):
                    merged[row, column] = (top, left)


def _place(reference: str) -> tuple[int, int]:
    """0-based row and column of "B3"."""
    letters = reference.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return int(reference[len(letters) :]) - 1, column - 1


def _filled(rows: Iterable[list[str]], merged: dict[tuple[int, int], tuple[int, int]]) -> Iterator[Row]:
    """The rows with merged cells filled down; a title merged over a whole row stands once."""
    shown: dict[tuple[int, int], str] = {}
    wanted = set(merged.values())
    for number, row in enumerate(rows):
        for place in range(len(row)):
            if (number, place) in wanted:
                shown[number, place] = row[place]
        covered = [place for place in range(len(row)) if (number, place) in merged]
        own = {place for place, cell in enumerate(row) if cell}
        across = [place for place in covered if merged[number, place][0] == number]
        is_title = len(own) == 1 and len(across) == len(covered)
        if not is_title:
            for place in covered:
                row[place] = row[place] or shown.get(merged[number, place], "")
        yield row


def table_sections(rows: Iterable[Row], heading: str = "") -> Iterator[SourceSection]:
    """The sections of a sheet: blank rows part its tables, a row with one cell above a table is its title."""
    names: Row | None = None
    titles: list[str] = []
    for table in _tables(rows):
        first = list(islice(table, _LOOKED_AT))
        while len(first) > 1 and _filled_cells(first[0]) == 1 and _filled_cells(first[1]) > 1:
            titles = [next(cell.strip() for cell in first.pop(0) if cell.strip())]
        under = " > ".join(part for part in (heading, *titles) if part)
        width = max(map(len, first))
        if (width > 1 and tables.is_header(first[0], first[1:])) or tables.is_question_header(first[0]):
            names = [cell.strip() for cell in first.pop(0)]
        elif names is not None and width > len(names):
            names = None
        body = chain(first, table)
        if names is not None and tables.is_question_header(names):
            yield from tables.question_sections(names, body, under)
        else:
            yield from _line_sections(names, body, under)


def _tables(rows: Iterable[Row]) -> Iterator[Iterator[Row]]:
    """Runs of rows between blank ones."""
    source = iter(rows)
    for row in source:
        if _filled_cells(row):
            run = chain([row], _until_blank(source))
            yield run
            for _ in run:
                pass


def _until_blank(source: Iterator[Row]) -> Iterator[Row]:
    for row in source:
        if not _filled_cells(row):
            return
        yield row


def _line_sections(names: Row | None, rows: Iterable[Row], heading: str) -> Iterator[SourceSection]:
    lines: list[str] = []
    for row in rows:
        if names is None or [cell.strip() for cell in row] != list(names):
            lines.append(tables.row_line(names, row))
        if len(lines) == _ROWS_A_SECTION:
            yield SourceSection("\n".join(lines), heading)
            lines = []
    if lines:
        yield SourceSection("\n".join(lines), heading)


def _filled_cells(row: Row) -> int:
    return sum(bool(cell.strip()) for cell in row)
