"""One worker's share of cleaning: the rules on a chunk of records, and the keys of those that stay."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass

import numpy as np
import orjson

from finetune.cleaning import CleaningRules, cleaned, overlaps
from finetune.duplicates import keys_of
from finetune.record_writer import as_line
from finetune.records import from_row


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


_rules = CleaningRules()
_evaluation_grams: frozenset[str] = frozenset()


def start_worker(rules: CleaningRules, evaluation: frozenset[str]) -> None:
    """Gives a process what it cleans by. evaluation: n-grams of the test sets no row may repeat."""
    global _rules, _evaluation_grams
    _rules, _evaluation_grams = rules, evaluation
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops the work


def clean_here(chunk: Chunk) -> CleanedChunk:
    """Cleans in this process, by what start_worker gave it."""
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
