"""JSON lists of any size, JSON Lines and objects of rows, read as a stream with line numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import orjson

from finetune.rows import BadRow, Row
from finetune.text_files import opened

_BLOCK = 1 << 20  # characters read at a time from a JSON list
_MET = {
    "Expecting value": "no value",
    "Extra data": "more after it",
    "Unterminated string starting at": "a text without its end",
}


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
            number, f"expected one JSON value a line, found {_found(fault)} at column {getattr(fault, 'colno', 1)}"
        )


def _found(fault: Exception) -> str:
    """What the JSON parser met, in words that stand in the middle of a sentence."""
    met = str(getattr(fault, "msg", "nesting too deep"))
    return _MET.get(met, met[:1].lower() + met[1:].removesuffix(" at").removesuffix(" starting"))


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
        yield BadRow(line, f"expected a JSON list or object, found {_found(fault)}")
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
        if len(lists) == len(items):
            names = ", ".join(str(name)[:24] for name in list(value)[:5])
            yield BadRow(1, f"expected one list of rows, found {len(items)}: {names}; write each to a file of its own")
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
                place = line + buffer.count("\n", at, getattr(fault, "pos", at))
                yield BadRow(
                    place,
                    f"expected the items of a JSON list, found {_found(fault) if getattr(fault, 'pos', at) < len(buffer.rstrip()) else 'its end missing'}",
                )
                return
            yield Row(line, value)
            line += buffer.count("\n", at, end)
            at = end
            if at > _BLOCK:
                buffer, at = buffer[at:], 0
