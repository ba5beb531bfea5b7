"""Files cleaned as a stream: records → rules in worker processes → duplicates over all of them → one new file.

Memory does not grow with the text: rows wait in a file beside the result, their keys in another (see duplicates.py).
"""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from finetune.cleaning import CleaningRules, cleaned, evaluation_grams, overlaps
from finetune.duplicates import RowKeys, keys_of
from finetune.record_readers import BadRowHandler, ReadingRules, raise_bad_row, read_records
from finetune.records import as_line, as_row, from_row
from finetune.whole_files import opened_to_write, temporary_folder_beside

CHUNK = 400  # records handed to a worker at a time
WAITING = 4  # chunks in flight for each worker: what bounds the memory
Progress = Callable[[str, int, int], None]


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


@dataclass(frozen=True)
class Chunk:
    """Records on their way to a worker, each with file number, line and JSON."""

    places: list[tuple[int, int]]
    lines: list[bytes]


@dataclass(frozen=True)
class CleanedChunk:
    """What a worker hands back: one reason for every record ("" where kept), and the kept ones with their keys."""

    places: list[tuple[int, int]]
    reasons: list[str]
    changes: Counter[str]
    lines: list[bytes]
    exact: bytes
    sketches: bytes


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


# one worker's share


_rules = CleaningRules()
_evaluation_grams: frozenset[str] = frozenset()


def _start_worker(rules: CleaningRules, evaluation: frozenset[str]) -> None:
    global _rules, _evaluation_grams
    _rules, _evaluation_grams = rules, evaluation
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops the work


def _clean_here(chunk: Chunk) -> CleanedChunk:
    return clean_chunk(chunk, _rules, _evaluation_grams)


def clean_chunk(chunk: Chunk, rules: CleaningRules, evaluation: frozenset[str]) -> CleanedChunk:
    """The rules on each record of a chunk, and the keys of those that stay."""
    reasons: list[str] = []
    changes: Counter[str] = Counter()
    lines: list[bytes] = []
    exact: list[int] = []
    sketches: list[np.ndarray] = []
    for line in chunk.lines:
        outcome = cleaned(from_row(orjson.loads(line)), rules)
        record, reason = outcome.record, outcome.reason
        if record is not None and overlaps(record, evaluation, rules.overlap_tokens):
            record, reason = None, "overlaps an evaluation set"
        reasons.append(reason)
        if record is None:
            continue
        changes.update(outcome.changes)
        key, sketch = keys_of(record, rules.near_duplicates > 0)
        lines.append(as_line(record))
        exact.append(key)
        if sketch is not None:
            sketches.append(sketch)
    packed = np.concatenate(sketches).tobytes() if sketches else b""
    return CleanedChunk(chunk.places, reasons, changes, lines, np.array(exact, dtype=np.uint64).tobytes(), packed)


def _cleaned_chunks(
    chunks: Iterator[Chunk], rules: CleaningRules, evaluation: frozenset[str], workers: int
) -> Iterator[CleanedChunk]:
    """The chunks in order, cleaned; never more than a few of them waiting."""
    first = [chunk for _, chunk in zip(range(4), chunks, strict=False)]
    if workers < 1 or len(first) < 4:  # starting processes would take longer than the work
        for chunk in (*first, *chunks):
            yield clean_chunk(chunk, rules, evaluation)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (rules, evaluation))
    try:
        waiting: deque[Future[CleanedChunk]] = deque(pool.submit(_clean_here, chunk) for chunk in first)
        for chunk in chunks:
            if len(waiting) >= workers * WAITING:
                yield waiting.popleft().result()
            waiting.append(pool.submit(_clean_here, chunk))
        while waiting:
            yield waiting.popleft().result()
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
