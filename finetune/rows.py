"""One row of a data file, whatever the file's format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
