"""The data sets the field trains on: where each is to be had, under which licence, in which shape.

Ours is datasets.toml; CareGPT's `dataset_info.json` and LLaMA-Factory's are read as they are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from finetune.dataset_entry import STAGES, DatasetEntry, InvalidRegistry
from finetune.dataset_info import dataset_info

HERE = Path(__file__).resolve().parent
DATASETS = HERE / "datasets.toml"


def load_registry(path: Path | None = None) -> dict[str, DatasetEntry]:
    """Data sets by name: of datasets.toml, or of a dataset_info.json. Raises InvalidRegistry."""
    path = path or DATASETS
    if path.suffix == ".json":
        return dataset_info(path, _text_of(path))
    rows = toml_of(path).get("dataset", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidRegistry(f"{path.name}: expected [[dataset]] tables")
    return _by_name(path, [_entry(path, row) for row in rows])


def toml_of(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises InvalidRegistry."""
    if path.suffix != ".toml":
        raise InvalidRegistry(f"{path}: no registry; one is a dataset_info.json or a .toml file")
    try:
        return tomllib.loads(_text_of(path))
    except tomllib.TOMLDecodeError as fault:
        raise InvalidRegistry(f"{path.name}: {fault}") from None


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as fault:
        raise InvalidRegistry(f"{path}: cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError as fault:
        raise InvalidRegistry(
            f"{path.name}: not UTF-8 ({fault.reason} at byte {fault.start}); save it as UTF-8"
        ) from None


def _entry(path: Path, row: dict[str, Any]) -> DatasetEntry:
    known = {one.name for one in fields(DatasetEntry)}
    unknown = sorted(set(row) - known)
    if unknown or not row.get("name"):
        raise InvalidRegistry(
            f"{path.name}: {row.get('name', 'an entry without a name')}: unknown field {', '.join(unknown)}; known: {', '.join(sorted(known))}"
        )
    entry = DatasetEntry(**{**row, "languages": tuple(row.get("languages", ()))})
    if entry.stage not in STAGES:
        raise InvalidRegistry(f"{path.name}: {entry.name}: stage {entry.stage!r}; known: {', '.join(STAGES)}")
    _ = entry.rules  # an unknown reader stops here
    return entry


def _by_name(path: Path, entries: Sequence[DatasetEntry]) -> dict[str, DatasetEntry]:
    by_name = {entry.name: entry for entry in entries}
    if len(by_name) < len(entries):
        twice = sorted({entry.name for entry in entries if [other.name for other in entries].count(entry.name) > 1})
        raise InvalidRegistry(f"{path.name}: named twice: {', '.join(twice)}")
    return by_name
