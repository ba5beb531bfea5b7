"""What patients agreed to leave behind for training: a question, its answer, and whether it helped. Nothing else is ever stored.

    $DAOZHEN_HOME/feedback/<random name>.jsonl    one file for each visitor, readable by the owner alone

A row is {"prompt", "completion", "label", "reason"}, masked (rag/masking.py). A visitor's file is deleted as a whole.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.masking import mask

FOLDER = "feedback"


@dataclass(frozen=True)
class Feedback:
    """prompt: what was said; completion: what was answered; label: whether it helped; reason: a word tapped, or empty."""

    prompt: str
    completion: str
    label: bool
    reason: str = ""


def new_file_name() -> str:
    """A name that says nothing of the visitor."""
    return f"{secrets.token_hex(8)}.jsonl"


def keep_feedback(home: Path, file_name: str, feedback: Feedback) -> None:
    """Adds a row to a visitor's file, masked. Call it only with the visitor's consent."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    row = asdict(Feedback(mask(feedback.prompt), mask(feedback.completion), feedback.label, mask(feedback.reason)))
    descriptor = os.open(folder / Path(file_name).name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def delete_feedback(home: Path, file_name: str) -> bool:
    """Deletes a visitor's file; says whether there was one."""
    path = home / FOLDER / Path(file_name).name
    if not file_name or not path.is_file():
        return False
    path.unlink()
    return True


def delete_all_feedback(home: Path) -> int:
    """Deletes every file; how many there were."""
    return sum(delete_feedback(home, path.name) for path in sorted((home / FOLDER).glob("*.jsonl")))


def feedback_rows(home: Path) -> Iterator[Feedback]:
    """Every row, in an order that says nothing of when it was left; a row cut short by a crash is left out."""
    for path in sorted((home / FOLDER).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield Feedback(**json.loads(line))
            except (ValueError, TypeError):
                continue


def training_lines(home: Path) -> str:
    """Every row as {"prompt", "completion", "label"}, one JSON object a line."""
    return "".join(
        json.dumps({"prompt": row.prompt, "completion": row.completion, "label": row.label}, ensure_ascii=False) + "\n"
        for row in feedback_rows(home)
    )
