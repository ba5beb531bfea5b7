"""The latest figures of each evaluation, kept so that staff can look at them: shares and counts, never a case's words.

$DAOZHEN_HOME/evaluations/<name>.json    {"evaluated_at", "cases", "figures"}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = "evaluations"


def keep_figures(home: Path, name: str, cases: str, figures: Mapping[str, Any]) -> None:
    """Keeps an evaluation's figures, replacing those before; an evaluation never fails because they could not be kept."""
    values = {"evaluated_at": datetime.now(UTC).isoformat(timespec="seconds"), "cases": cases, "figures": dict(figures)}
    try:
        (home / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = home / FOLDER / f".{name}.new"
        fresh.write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")
        os.replace(fresh, home / FOLDER / f"{name}.json")
    except OSError:
        return


def kept_figures(home: Path) -> dict[str, dict[str, Any]]:
    """Evaluation -> what was kept of it; a damaged file is left out."""
    found = {}
    for path in sorted((home / FOLDER).glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            found[path.stem] = {name: values[name] for name in ("evaluated_at", "cases", "figures")}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
