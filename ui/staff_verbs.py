"""Runs a `daozhen` verb for a staff page in a process of its own, so that what it loads is gone when it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from knowledge.errors import AssistantError
from rag.config import HOME_VARIABLE, Settings

ROOT = Path(__file__).resolve().parents[1]


def run_verb(settings: Settings, *arguments: str) -> Any:
    """What the verb prints with --json. Raises AssistantError with the line it ended with."""
    environment = {**os.environ, HOME_VARIABLE: str(settings.home)}
    environment["PYTHONPATH"] = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    done = subprocess.run(
        [sys.executable, "-m", "ui.cli", *arguments, "--json"], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise AssistantError(lines[-1].removeprefix("daozhen: ") if lines else f"{arguments[0]}: ended without a word")
    return json.loads(done.stdout)


def run_verb_on(settings: Settings, content: bytes, ending: str, *arguments: str) -> Any:
    """The same on an uploaded file, which is deleted afterwards; FILE among the arguments stands for it."""
    with tempfile.TemporaryDirectory(prefix="daozhen-") as folder:  # owner-only, as mkdtemp makes it
        path = Path(folder, f"cases{ending}")
        path.write_bytes(content)
        return run_verb(settings, *(str(path) if one == "FILE" else one for one in arguments))
