"""Files as rows: JSON lists, JSON Lines, CSV, TSV, Parquet and text, compressed or not, read as a stream with line numbers."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TextIO, cast

import orjson

from knowledge.errors import AssistantError

COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_BLOCK = 1 << 20  # characters read at a time from a JSON list
_SNIFFED_BYTES = 1 << 20  # looked at to tell the encoding
csv.field_size_limit(1 << 27)


class UnreadableData(AssistantError):
    """A data file cannot be opened, decoded or taken apart; the text names file and line."""


@dataclass(frozen=True)
class Row:
    """One row of a file. line: 1-based, where it begins (in Parquet: its number); value: as the file has it."""

    line: int
    value: Any


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be taken apart."""

    line: int
    problem: str


def rows_of(path: Path) -> Iterator[Row | BadRow]:
    """The rows of a file by its name. Raises UnreadableData when nothing more can be read."""
    if not path.is_file():
        raise UnreadableData(f"{path}: no such file; `daozhen data doctor` says where data sets are to be had")
    cut = ROWS.get(suffix_of(path), json_rows)
    try:
        yield from cut(path)
    except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as fault:
        raise UnreadableData(f"{path.name}: damaged archive ({fault}); fetch it again") from None
    except OSError as fault:
        raise UnreadableData(f"{path.name}: cannot be read: {fault.strerror or fault}") from None


def suffix_of(path: Path) -> str:
    """The ending that tells the format: of `a.jsonl.xz` it is `.jsonl`."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in COMPRESSED else path.suffix.lower()


def opened(path: Path) -> TextIO:
    """The text of a file: UTF-8 with or without a mark, else UTF-16 by its mark, else GB18030, which holds GBK and GB2312."""
    encoding = encoding_of(path)
    opener = COMPRESSED.get(path.suffix.lower(), open)
    return cast(TextIO, opener(path, "rt", encoding=encoding, errors="replace", newline=""))


def encoding_of(path: Path) -> str:
    with COMPRESSED.get(path.suffix.lower(), open)(path, "rb") as stream:
        head = cast(bytes, stream.read(_SNIFFED_BYTES))
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as fault:
        cut_at_the_end = len(head) == _SNIFFED_BYTES and fault.start > len(head) - 4
        if not cut_at_the_end and not _damaged_utf8(head):
            return "gb18030"
    return "utf-8-sig"


def _damaged_utf8(head: bytes) -> bool:
    """Whether the bytes are UTF-8 with a few broken places: read as GB18030 they would be far more broken, or nonsense."""
    lost = head.decode("utf-8", errors="replace").count("\ufffd")
    high = sum(byte >= 0x80 for byte in head[:65536])
    return lost * 50 < max(high * len(head) // max(1, min(len(head), 65536)), 1)


def line_rows(path: Path) -> Iterator[Row | BadRow]:
    """One JSON value a line."""
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _parsed(number, line)


def _parsed(number: int, line: str) -> Row | BadRow:
    try:
        return Row(number, orjson.loads(line))
    except orjson.JSONDecodeError:
        pass
    try:
        return Row(number, json.loads(line))  # takes what orjson refuses: NaN, lone surrogates, control characters
    except (ValueError, RecursionError) as fault:
        return BadRow(
            number,
            f"expected one JSON value a line, found {getattr(fault, 'msg', 'nesting too deep')} at column {getattr(fault, 'colno', 1)}",
        )


def json_rows(path: Path) -> Iterator[Row | BadRow]:
    """The items of a JSON list, read as a stream; the values of an object of objects; or JSON Lines under a .json name."""
    with opened(path) as stream:
        start = stream.read(_BLOCK).lstrip()
    if start.startswith("["):
        first_line = start.split("\n", 1)[0].strip()
        if "\n" in start and len(first_line) > 2 and _is_json(first_line):  # lists, one a line
            yield from line_rows(path)
        else:
            yield from _listed(path)
    elif start.startswith("{") and _is_json(start.split("\n", 1)[0]) and "\n" in start.strip():
        yield from line_rows(path)
    elif start:
        yield from _of_object(path)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _of_object(path: Path) -> Iterator[Row | BadRow]:
    """An object that maps ids to rows, or holds its one list of rows; else it is itself the row."""
    with opened(path) as stream:
        text = stream.read()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as fault:
        line = getattr(fault, "lineno", 1)
        yield BadRow(line, f"expected a JSON list or object, found {getattr(fault, 'msg', 'nesting too deep')}")
        return
    if isinstance(value, dict) and value:
        items = list(value.values())
        if len(items) > 1 and all(isinstance(item, dict) for item in items):
            yield from (Row(1, item) for item in items)
            return
        lists = [item for item in items if isinstance(item, list) and item and isinstance(item[0], dict)]
        if len(items) == 1 and lists:
            yield from (Row(1, item) for item in lists[0])
            return
    yield Row(1, value)


def _listed(path: Path) -> Iterator[Row | BadRow]:
    decoder = json.JSONDecoder(strict=False)
    with opened(path) as stream:
        buffer, line, at = stream.read(_BLOCK), 1, 0
        at = buffer.index("[") + 1
        line += buffer.count("\n", 0, at)
        while True:
            while at < len(buffer) and buffer[at] in " \t\r\n,":
                line += buffer[at] == "\n"
                at += 1
            if at < len(buffer) and buffer[at] == "]":
                return
            try:
                value, end = decoder.raw_decode(buffer, at)
                if not isinstance(value, (dict, list, str)) and buffer[end : end + 1] not in tuple(" \t\r\n,]"):
                    raise ValueError("a number may go on in the next block")
            except (ValueError, RecursionError) as fault:
                more = stream.read(
                    max(_BLOCK, len(buffer) - at)
                )  # doubling: a huge row is parsed a few times, not often
                if more:
                    buffer, at = buffer[at:] + more, 0
                    continue
                problem = getattr(fault, "msg", "nesting too deep")
                place = line + buffer.count("\n", at, getattr(fault, "pos", at))
                yield BadRow(
                    place,
                    f"expected the items of a JSON list, found {problem if getattr(fault, 'pos', at) < len(buffer.rstrip()) else 'its end missing'}",
                )
                return
            yield Row(line, value)
            line += buffer.count("\n", at, end)
            at = end
            if at > _BLOCK:
                buffer, at = buffer[at:], 0


def table_rows(path: Path) -> Iterator[Row | BadRow]:
    """A table with a header row, as objects."""
    with opened(path) as stream:
        reader = csv.reader(stream, delimiter="\t" if suffix_of(path) == ".tsv" else ",")
        try:
            header = [name.strip() for name in next(reader, [])]
            begins = reader.line_num + 1
            for cells in reader:
                if len(cells) == len(header):
                    yield Row(begins, dict(zip(header, cells, strict=True)))
                elif cells:
                    yield BadRow(begins, f"expected {len(header)} columns, found {len(cells)}")
                begins = reader.line_num + 1
        except csv.Error as fault:
            yield BadRow(reader.line_num, f"expected a row of the table, found {fault}")


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
        raise UnreadableData(f"{path.name}: not a readable Parquet file ({str(fault).splitlines()[0]})") from None


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


@contextmanager
def opened_to_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary stream to a file that appears whole, when all went well, or not at all. Compressed by its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    unfinished = Path(name)
    os.close(handle)
    try:
        with COMPRESSED.get(path.suffix.lower(), open)(unfinished, "wb") as out:
            yield cast(IO[bytes], out)
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
