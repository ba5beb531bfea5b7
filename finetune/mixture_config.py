"""What a mixture is to be: its sources with weights, caps and epochs, as a TOML file says."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from math import inf, isfinite
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from finetune.record_readers import AUTO
from knowledge.errors import AssistantError

STAGE_KINDS = {  # what a stage trains on
    "pt": ("text",),
    "sft": ("dialogue", "choice"),
    "rm": ("preference",),
    "dpo": ("preference",),
    "kto": ("dialogue",),
    "grpo": ("dialogue", "choice"),
    "ppo": ("dialogue", "choice"),
}


class InvalidMixture(AssistantError):
    """A mixture cannot be made as its config says; the text names the config, the entry and the remedy."""


@dataclass(frozen=True)
class MixSource:
    """One `[[source]]`. file: relative to the data folder. epochs: how often a row may be used, at most. general: not of the domain."""

    name: str
    file: str
    weight: float = 1.0
    cap: int | None = None
    epochs: float = 1.0
    general: bool = False
    reader: str = AUTO
    licence: str = ""
    skip_bad: bool = False


@dataclass(frozen=True)
class Persona:
    """What `<NAME>` and `<AUTHOR>` stand for."""

    name: str = ""
    author: str = ""


@dataclass(frozen=True)
class MixConfig:
    """A mixture. licences: when given, every record's licence must be among them, as shipped weights need it."""

    name: str
    stage: str
    sources: tuple[MixSource, ...]
    seed: int = 1
    temperature: float = 1.0
    total: int | None = None
    general_per_domain: float | None = None
    licences: tuple[str, ...] = ()
    persona: Persona = Persona()


def load_mix(path: Path) -> MixConfig:
    """The mixture a TOML file describes. Raises InvalidMixture naming the file and the key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InvalidMixture(f"{path}: cannot be read: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InvalidMixture(f"{path.name}: {fault}") from None
    rows = values.pop("source", [])
    if not isinstance(rows, list):
        raise InvalidMixture(f"{path.name}: [source] stands once; write [[source]] before each")
    sources = tuple(_made(MixSource, row, f"{path.name}: source") for row in rows)
    persona = _made(Persona, values.pop("persona", {}), f"{path.name}: persona")
    licences = values.pop("licences", ())
    values["licences"] = tuple(licences) if isinstance(licences, list) else licences
    config = _made(MixConfig, {**values, "sources": sources, "persona": persona}, path.name)
    _check(config, path.name)
    return config


def _made(kind: type[Any], row: Any, where: str) -> Any:
    if not isinstance(row, dict):
        raise InvalidMixture(f"{where}: expected a table, found {row!r:.40}")
    known = [one.name for one in fields(kind)]
    unknown = sorted(set(row) - set(known))
    if unknown:
        raise InvalidMixture(f"{where}: unknown key {', '.join(unknown)}; known: {', '.join(known)}")
    hints = get_type_hints(kind)
    for name, value in row.items():
        try:
            TypeAdapter(hints[name]).validate_python(value, strict=True)
        except ValidationError as fault:
            raise InvalidMixture(f"{where}: {name} = {value!r:.40}: {fault.errors()[0]['msg']}") from None
    try:
        return kind(**row)
    except TypeError as fault:
        raise InvalidMixture(f"{where}: {str(fault).split('() ')[-1]}") from None


def _check(config: MixConfig, where: str) -> None:
    if config.stage not in STAGE_KINDS:
        raise InvalidMixture(f"{where}: stage {config.stage!r}; known: {', '.join(STAGE_KINDS)}")
    if not config.sources:
        raise InvalidMixture(f"{where}: no [[source]]; name at least one")
    names = [source.name for source in config.sources]
    if len(set(names)) < len(names):
        raise InvalidMixture(
            f"{where}: a source's name stands twice: {', '.join(sorted({name for name in names if names.count(name) > 1}))}"
        )
    for source in config.sources:
        for key, value in (
            ("weight", source.weight),
            ("epochs", source.epochs),
            ("cap", source.cap if source.cap is not None else 1),
        ):
            if not (value > 0 and isfinite(value)):
                raise InvalidMixture(f"{where}: {source.name}: {key} = {value!r}; a number above 0")
    if not (config.temperature > 0 and isfinite(config.temperature)) or (config.total is not None and config.total < 1):
        raise InvalidMixture(f"{where}: temperature and total must be above 0")
    if config.general_per_domain is not None and (
        not 0 <= config.general_per_domain < inf or not any(source.general for source in config.sources)
    ):
        raise InvalidMixture(
            f"{where}: general_per_domain needs a source with general = true, and a number of 0 or above"
        )
