"""Records into training, validation and test parts by a fixed hash of what is asked: a question is in the same part for ever."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from finetune.record_writer import RecordWriter, record_writer
from finetune.records import TrainingRecord
from finetune.text_defects import tokens_of
from knowledge.errors import InvalidUsage

PARTS = ("train", "validation", "test")


def part_of(record: TrainingRecord, validation: float, test: float) -> str:
    """Where everything that asks the same belongs, by SHA-256 of its first 200 tokens."""
    key = "".join(tokens_of(record.asked)[:200])
    place = int(hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:12], 16) / 16**12
    return "test" if place < test else "validation" if place < test + validation else "train"


def split_records(records: Iterable[TrainingRecord], folder: Path, validation: float, test: float) -> Counter[str]:
    """Writes train.jsonl, validation.jsonl and test.jsonl, and counts them. Shares are between 0 and 1."""
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InvalidUsage(f"validation {validation} and test {test}: shares of all records, below 1 together")
    counts: Counter[str] = Counter(dict.fromkeys(PARTS, 0))
    with ExitStack() as stack:
        writers: dict[str, RecordWriter] = {
            part: stack.enter_context(record_writer(folder / f"{part}.jsonl")) for part in PARTS
        }
        for record in records:
            part = part_of(record, validation, test)
            writers[part].write(record)
            counts[part] += 1
    return counts
