"""A fault in a knowledge record, and the line where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from knowledge.records import KNOWLEDGE_DIR


@dataclass(frozen=True)
class Fault:
    """Something wrong with the knowledge. line: 1-based."""

    path: Path
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(KNOWLEDGE_DIR.parent)}:{self.line}: {self.problem}"


def in_file(path: Path, text: str, problem: str) -> Fault:
    """The fault at the first line that holds the text; at line 1 where none does."""
    wanted = text.casefold()
    lines = path.read_text(encoding="utf-8").splitlines()
    return Fault(path, next((number for number, line in enumerate(lines, 1) if wanted in line.casefold()), 1), problem)
