"""Questions with the guides that answer them, as in tests/data/answers.jsonl."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """A question; guides: the ids any of which answers it, none where it is not answerable."""

    text: str
    answerable: bool
    guides: tuple[str, ...]


def read_questions(path: Path) -> list[Question]:
    """Every question of a JSON Lines file."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return [Question(row["question"], row["answerable"], tuple(row["guides"])) for row in rows]
