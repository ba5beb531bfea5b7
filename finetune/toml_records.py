"""TOML tables as frozen records: a misspelt key or a wrong type stops the run and is named with its place."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from knowledge.errors import TrainingFailed


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a config file. Raises TrainingFailed in one line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise TrainingFailed(f"{path}: cannot be read ({fault.strerror}); give a config of finetune/configs/") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise TrainingFailed(f"{path.name}: not readable TOML ({fault})") from None


def record_of(kind: type, values: Mapping[str, Any], where: str, section: str) -> Any:
    """A dataclass from a table, its sub-tables with it; every value of the type its field says."""
    types = get_type_hints(kind)
    known = {item.name: types[item.name] for item in fields(kind)}
    place = f"{where}: {section}"
    filled: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise TrainingFailed(f"{place}unknown key {key!r}; known: {', '.join(known)}")
        wanted = known[key]
        if isinstance(value, dict) and hasattr(wanted, "__dataclass_fields__"):
            filled[key] = record_of(wanted, value, where, f"[{key}] ")
        else:
            filled[key] = _typed(value, wanted, f"{place}{key}")
    try:
        return kind(**filled)
    except TypeError as fault:
        missing = str(fault).split(": ")[-1]
        raise TrainingFailed(f"{place}{missing} is missing") from None


def _typed(value: Any, wanted: Any, place: str) -> Any:
    origin = get_origin(wanted)
    if origin is Literal:
        if value not in get_args(wanted):
            raise TrainingFailed(f"{place} is {value!r}; known: {', '.join(repr(one) for one in get_args(wanted))}")
        return value
    if origin is tuple:
        (item, *_) = get_args(wanted)
        rows = [value] if isinstance(value, str) else value
        if not isinstance(rows, list):
            raise TrainingFailed(f"{place} is {value!r}; it needs a list")
        return tuple(_typed(row, item, place) for row in rows)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        raise TrainingFailed(f"{place} is {value!r}; it needs {_PLAIN.get(wanted, 'a table')}")
    return value


_PLAIN: dict[typing.Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
