"""What a file of records holds: kinds, lengths, turns, origins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil, log
from typing import Any

from finetune.records import DialogueRecord, TrainingRecord, kind_of
from knowledge.script import holds_chinese

_GROWTH = 1.03  # lengths are counted in buckets that grow by 3 %, so that memory does not grow with the rows
SHARES = (0.05, 0.5, 0.95, 0.99)


@dataclass
class Lengths:
    """Lengths in characters, as counts in buckets."""

    counts: Counter[int] = field(default_factory=Counter)
    number: int = 0
    total: int = 0
    longest: int = 0

    def add(self, length: int) -> None:
        self.counts[_bucket(length)] += 1
        self.number, self.total, self.longest = self.number + 1, self.total + length, max(self.longest, length)

    def as_dict(self) -> dict[str, float]:
        return {
            "mean": round(self.total / self.number, 1) if self.number else 0,
            **{f"p{round(share * 100)}": self._quantile(share) for share in SHARES},
            "max": self.longest,
        }

    def _quantile(self, share: float) -> int:
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= share * self.number:
                return min(round(_GROWTH**bucket), self.longest) if bucket else min(1, self.longest)
        return 0


def _bucket(length: int) -> int:
    return ceil(log(length, _GROWTH)) if length > 1 else 0


@dataclass
class RecordStatistics:
    """Counts over records, gathered one at a time."""

    records: Counter[str] = field(default_factory=Counter)
    turns: Counter[int] = field(default_factory=Counter)
    asked: Lengths = field(default_factory=Lengths)
    targets: Lengths = field(default_factory=Lengths)
    sources: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    chinese: int = 0

    def add(self, record: TrainingRecord) -> None:
        self.records[kind_of(record)] += 1
        if isinstance(record, DialogueRecord):
            self.turns[len(record.messages) // 2] += 1
        self.asked.add(len(record.asked))
        for target in record.targets:
            self.targets.add(len(target))
        self.sources[record.source or "not stated"] += 1
        self.licences[record.licence or "not stated"] += 1
        self.tags.update(record.tags)
        self.chinese += holds_chinese(record.asked)

    def as_dict(self) -> dict[str, Any]:
        return {
            "records": dict(self.records.most_common()),
            "chinese": self.chinese,
            "question_turns": {str(turns): count for turns, count in sorted(self.turns.items())},
            "asked_chars": self.asked.as_dict(),
            "target_chars": self.targets.as_dict(),
            "sources": dict(self.sources.most_common(20)),
            "licences": dict(self.licences.most_common(20)),
            "tags": dict(self.tags.most_common(30)),
        }


def statistics_of(records: Iterable[TrainingRecord]) -> RecordStatistics:
    """Counted in one pass; nothing of the records is kept."""
    gathered = RecordStatistics()
    for record in records:
        gathered.add(record)
    return gathered
