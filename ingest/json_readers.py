"""JSON files, whole or of one record a line; what a record says is ingest/json_records.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ingest.documents import QuarantineRow, SourceFile, SourceSection
from ingest.encodings import text_of
from ingest.json_records import record_sections
from ingest.text_readers import suspect

_MOST_BAD_LINES = 20


def read_json(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """A section or more for each record; a file of one object a line is read as such."""
    text = text_of(file)
    yield from suspect(file, text)
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as fault:
        if fault.msg == "Extra data" and fault.lineno > 1:
            yield from _lines(file, text)
            return
        raise file.fault(f"not readable JSON (line {fault.lineno}: {fault.msg})", "mend that line") from None
    except (RecursionError, ValueError) as fault:
        raise _too_deep_or_large(file, fault) from None
    for record in _records(whole):
        yield from _checked(file, record)


def read_jsonl(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """One record a line; a line that is no JSON is left out and named."""
    text = text_of(file)
    yield from suspect(file, text)
    yield from _lines(file, text)


def _lines(file: SourceFile, text: str) -> Iterator[SourceSection | QuarantineRow]:
    bad: list[int] = []
    start, number = 0, 0
    while start < len(text):  # no list of all lines: a file may hold many
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line, start, number = text[start:end], end + 1, number + 1
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError, ValueError):
            bad.append(number)
            continue
        yield from _checked(file, record)
    if bad:
        named = ", ".join(map(str, bad[:_MOST_BAD_LINES])) + (", …" if len(bad) > _MOST_BAD_LINES else "")
        yield file.left_out(f"{len(bad)} lines are not readable JSON (line {named})", "mend those lines")


def _too_deep_or_large(file: SourceFile, fault: Exception) -> Exception:
    if isinstance(fault, RecursionError):
        return _too_deep(file)
    return file.fault("not readable JSON (a number with too many digits)", "write that number as text")


def _too_deep(file: SourceFile) -> Exception:
    return file.fault(f"nested more than {file.limits.max_nesting} deep", "flatten it, or raise reading.max_nesting")


def _records(whole: Any) -> Iterator[Any]:
    """The records of a file: the items of its list, also where an object does no more than wrap that list."""
    if isinstance(whole, dict):
        lists = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        if len(lists) == 1 and all(not isinstance(value, list | dict) or value is lists[0] for value in whole.values()):
            whole = lists[0]
    yield from whole if isinstance(whole, list) else [whole]


def _checked(file: SourceFile, record: Any) -> Iterator[SourceSection]:
    if _depth(record) > file.limits.max_nesting:
        raise _too_deep(file)
    yield from record_sections(record)


def _depth(value: Any) -> int:
    """How deep lists and objects are nested, counted without recursion."""
    depth, level = 0, [value]
    while level := [
        inner
        for outer in level
        if isinstance(outer, dict | list)
        for inner in (outer.values() if isinstance(outer, dict) else outer)
    ]:
        depth += 1
    return depth
