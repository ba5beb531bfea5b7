"""Files as rows: JSON lists, JSON Lines, CSV, TSV, Parquet and text, compressed or not, read as a stream with line numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from finetune.json_rows import json_rows, line_rows
from finetune.rows import BadRow, Row
from finetune.text_files import UnreadableData, check_is_file, opened, suffix_of, told_where
from knowledge.errors import first_line

csv.field_size_limit(1 << 27)


def rows_of(path: Path) -> Iterator[Row | BadRow]:
    """The rows of a file by its name. Raises UnreadableData when nothing more can be read."""
    check_is_file(path)
    row = None
    with told_where(path):
        for row in ROWS.get(suffix_of(path), json_rows)(path):
            yield row
    if row is None:
        yield BadRow(1, "expected rows, found none")


def table_rows(path: Path) -> Iterator[Row | BadRow]:
    """A table with a header row, as objects."""
    with opened(path) as stream:
        first = stream.readline()
        reader = csv.reader(chain([first], stream), delimiter=_delimiter(first, suffix_of(path)))
        try:
            header = [name.strip() for name in next(reader, [])]
            begins = reader.line_num + 1
            for cells in reader:
                if len(cells) == len(header):
                    yield Row(begins, dict(zip(header, cells, strict=True)))
                elif cells:
                    lines = reader.line_num + 1 - begins
                    unclosed = f" over {lines:,} lines; is a quotation mark not closed?" if lines > 1 else ""
                    yield BadRow(begins, f"expected {len(header)} columns, found {len(cells)}{unclosed}")
                begins = reader.line_num + 1
        except csv.Error as fault:
            yield BadRow(reader.line_num, f"expected a row of the table, found {fault}")


def _delimiter(header: str, suffix: str) -> str:
    """A tab in .tsv; in .csv the comma, or what stands in a header without one: European spreadsheets write semicolons."""
    marks = "\t" if suffix == ".tsv" else ",;\t"
    return next((mark for mark in marks if mark in header), marks[0])


def text_rows(path: Path) -> Iterator[Row | BadRow]:
    """One line, one text."""
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield Row(number, line.strip())


def parquet_rows(path: Path) -> Iterator[Row | BadRow]:
    """The rows of a Parquet file, as objects."""
    import pyarrow
    import pyarrow.parquet

    try:
        number = 0
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=1024):
            for value in batch.to_pylist():
                number += 1
                yield Row(number, value)
    except pyarrow.ArrowException as fault:
        raise UnreadableData(f"{path.name}: not a readable Parquet file ({first_line(fault)})") from None


ROWS = {
    ".json": json_rows,
    ".jsonl": line_rows,
    ".ndjson": line_rows,
    ".csv": table_rows,
    ".tsv": table_rows,
    ".txt": text_rows,
    ".md": text_rows,
    ".parquet": parquet_rows,
}
