"""Records written to a file that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from finetune.records import TrainingRecord, as_row
from finetune.whole_files import opened_to_write


def as_line(record: TrainingRecord) -> bytes:
    """The record as it stands in a file, its line's end included."""
    return orjson.dumps(as_row(record), option=orjson.OPT_APPEND_NEWLINE)


@contextmanager
def record_writer(path: Path) -> Iterator[RecordWriter]:
    """Writes records to a file that appears whole or not at all."""
    with opened_to_write(path) as out:
        yield RecordWriter(out)


class RecordWriter:
    """Counts what it writes."""

    def __init__(self, out: Any) -> None:
        self._out, self.written = out, 0

    def write(self, record: TrainingRecord) -> None:
        self._out.write(as_line(record))
        self.written += 1


def write_records(records: Iterable[TrainingRecord], path: Path) -> int:
    """How many records were written."""
    with record_writer(path) as writer:
        for record in records:
            writer.write(record)
    return writer.written
