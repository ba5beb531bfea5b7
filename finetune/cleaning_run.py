"""Files cleaned as a stream: records → rules in worker processes → duplicates over all of them → one new file.

Memory does not grow with the text: rows wait in a file beside the result, their keys in another (see duplicates.py).
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from finetune.cleaning import CleaningRules, evaluation_grams
from finetune.cleaning_worker import Chunk, CleanedChunk, clean_chunk, clean_here, start_worker
from finetune.duplicates import RowKeys
from finetune.record_readers import BadRowHandler, ReadingRules, raise_bad_row, read_records
from finetune.records import as_row
from finetune.whole_files import opened_to_write, temporary_folder_beside
from knowledge.errors import AssistantError

CHUNK = 400  # records handed to a worker at a time
WAITING = 4  # chunks in flight for each worker: what bounds the memory
Progress = Callable[[str, int, int], None]


class CleaningFailed(AssistantError):
    """A run of cleaning cannot go on; nothing was written."""


@dataclass
class CleaningReport:
    """What a run did. removed: rows by reason; changed: rows by what was mended in them."""

    read: int = 0
    kept: int = 0
    unreadable: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> float:
        return self.read / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("read", "kept", "unreadable")},
            "removed": dict(self.removed.most_common()),
            "changed": dict(self.changed.most_common()),
            "seconds": round(self.seconds, 2),
            "rows_per_second": round(self.rows_per_second),
        }


def clean_files(
    paths: Sequence[Path],
    out: Path,
    rules: CleaningRules = CleaningRules(),
    against: Sequence[Path] = (),
    reading: ReadingRules = ReadingRules(),
    bad_row: BadRowHandler = raise_bad_row,
    report_to: Path | None = None,
    workers: int = 0,
    progress: Progress = lambda *_: None,
) -> CleaningReport:
    """Cleans the files into one; nothing is written unless all went well.

    against: evaluation sets whose questions may not be among the records. report_to: lists every removed row as
    `file:line: reason`. workers: processes; 0 works in this one.
    """
    began, report = time.monotonic(), CleaningReport()

    def unreadable(problem: str) -> None:
        report.unreadable += 1
        bad_row(problem)

    evaluation = _evaluation(against, rules.overlap_tokens, unreadable)
    with (
        temporary_folder_beside(out) as folder,
        _removed_rows(report_to) as removed,
    ):
        keys = RowKeys(folder, rules.near_duplicates)
        kept_places = (folder / "places").open("w+b")
        with (folder / "rows").open("w+b") as rows:
            for chunk in _cleaned_chunks(_chunks(paths, reading, unreadable), rules, evaluation, workers):
                _keep(chunk, paths, report, keys, rows, kept_places, removed)
                progress("records", report.read, 0)
            progress("duplicates", report.read, 0)
            _write_unique(rows, kept_places, keys, paths, out, report, removed)
        kept_places.close()
    report.seconds = time.monotonic() - began
    return report


def _evaluation(paths: Sequence[Path], tokens: int, bad_row: BadRowHandler) -> frozenset[str]:
    records = [located.record for path in paths for located in read_records(path, bad_row=bad_row)]
    return evaluation_grams(records, tokens)


def _chunks(paths: Sequence[Path], reading: ReadingRules, bad_row: BadRowHandler) -> Iterator[Chunk]:
    places: list[tuple[int, int]] = []
    lines: list[bytes] = []
    for number, path in enumerate(paths):
        for located in read_records(path, reading, bad_row):
            places.append((number, located.line))
            lines.append(orjson.dumps(as_row(located.record)))
            if len(lines) == CHUNK:
                yield Chunk(places, lines)
                places, lines = [], []
    if lines:
        yield Chunk(places, lines)


def _cleaned_chunks(
    chunks: Iterator[Chunk], rules: CleaningRules, evaluation: frozenset[str], workers: int
) -> Iterator[CleanedChunk]:
    """The chunks in order, cleaned; never more than a few of them waiting."""
    first = [chunk for _, chunk in zip(range(4), chunks, strict=False)]
    if workers < 1 or len(first) < 4:  # starting processes would take longer than the work
        for chunk in (*first, *chunks):
            yield clean_chunk(chunk, rules, evaluation)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), start_worker, (rules, evaluation))
    try:
        waiting: deque[Future[CleanedChunk]] = deque(pool.submit(clean_here, chunk) for chunk in first)
        for chunk in chunks:
            if len(waiting) >= workers * WAITING:
                yield waiting.popleft().result()
            waiting.append(pool.submit(clean_here, chunk))
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise CleaningFailed(
            "a worker process was ended by the system, most likely for want of memory; try fewer --workers; nothing was changed"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# the results brought together


def _keep(
    chunk: CleanedChunk,
    paths: Sequence[Path],
    report: CleaningReport,
    keys: RowKeys,
    rows: IO[bytes],
    kept_places: IO[bytes],
    removed: Callable[[str, int, str], None],
) -> None:
    report.read += len(chunk.reasons)
    report.changed.update(chunk.changes)
    kept = []
    for (number, line), reason in zip(chunk.places, chunk.reasons, strict=True):
        if reason:
            report.removed[reason] += 1
            removed(paths[number].name, line, reason)
        else:
            kept.append((number, line))
    rows.writelines(chunk.lines)
    kept_places.write(np.array(kept, dtype=np.uint32).reshape(-1, 2).tobytes())
    keys.add(chunk.exact, chunk.sketches, len(chunk.lines))


def _write_unique(
    rows: IO[bytes],
    kept_places: IO[bytes],
    keys: RowKeys,
    paths: Sequence[Path],
    out: Path,
    report: CleaningReport,
    removed: Callable[[str, int, str], None],
) -> None:
    exact = keys.exact_duplicates()
    near = keys.near_duplicates_of(exact)
    rows.seek(0)
    kept_places.seek(0)
    with opened_to_write(out) as result:
        for number, line in enumerate(rows):
            file_number, line_number = np.frombuffer(kept_places.read(8), dtype=np.uint32)
            reason = "exact duplicate" if exact[number] else "near duplicate" if near[number] else ""
            if reason:
                report.removed[reason] += 1
                removed(paths[file_number].name, int(line_number), reason)
            else:
                result.write(line)
                report.kept += 1


@contextmanager
def _removed_rows(path: Path | None) -> Iterator[Callable[[str, int, str], None]]:
    if path is None:
        yield lambda *_: None
        return
    with opened_to_write(path) as out:
        yield lambda name, line, reason: (out.write(f"{name}:{line}: {reason}\n".encode()), None)[1]
