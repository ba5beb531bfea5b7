"""`daozhen predict`: answers to a file of prompts, in a file that a stopped run goes on with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.chat_generation import ChatGenerator
from finetune.stage_rows import read_rows
from knowledge.errors import InvalidUsage
from rag.engines import LOCAL, Engine


def predict(
    generator: Callable[[], ChatGenerator],
    data: Path,
    out: Path,
    *,
    batch_size: int = 8,
    step: Callable[[str, int, int], object] = lambda *_: None,
    engine: Engine = LOCAL,
) -> dict[str, Any]:
    """Writes {"row", "prompt_id", "prediction", "tokens", "stopped"} a line, in the order of the data once it is whole.

    generator: called only where something is left to write. Raises InvalidUsage where out holds answers to other prompts.
    """
    prompts = {number: row.values["prompt"] for number, row in enumerate(read_rows("ppo", [data.name], data.parent), 1)}
    ids = {number: prompt_id(messages) for number, messages in prompts.items()}
    done = _written(out, ids)
    left = [(number, messages) for number, messages in prompts.items() if number not in done]
    if left:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a", encoding="utf-8") as file:
            for answer in generator().answers(left, batch_size, step, engine):
                line = {
                    "row": answer.row,
                    "prompt_id": ids[answer.row],
                    "prediction": answer.text,
                    "tokens": answer.tokens,
                    "stopped": answer.stopped,
                }
                done[answer.row] = line
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
    partial = out.with_name(out.name + ".partial")
    lines = [json.dumps(done[number], ensure_ascii=False) + "\n" for number in sorted(done)]
    partial.write_text("".join(lines), encoding="utf-8")
    os.replace(partial, out)
    stopped = sum(line["stopped"] for line in done.values())
    return {"rows": len(done), "new": len(left), "missing_stops": len(done) - stopped, "file": str(out)}


def prompt_id(messages: Any) -> str:
    """What tells a prompt from every other, without its words."""
    return hashlib.sha256(json.dumps(messages, ensure_ascii=False).encode()).hexdigest()[:16]


def _written(out: Path, ids: dict[int, str]) -> dict[int, dict[str, Any]]:
    """The answers already there; a last line that was cut is dropped."""
    if not out.is_file():
        return {}
    done: dict[int, dict[str, Any]] = {}
    whole = []
    for line in out.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            number = row["row"]
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
        if ids.get(number) != row.get("prompt_id"):
            raise InvalidUsage(f"{out}: holds answers to other prompts; name another file with --out")
        done[number] = row
        whole.append(line + "\n")
    out.write_text("".join(whole), encoding="utf-8")
    return done
