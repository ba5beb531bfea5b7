"""Several data sets into one training file, as a config says: weights, temperature, caps, epochs and the share of general data.

How many rows of each source are taken:

1. A source offers `available` rows, at most its `cap`.
2. Its share is weight × available^(1/temperature), so temperature 1 keeps the natural proportions and a higher one lifts
   the small sources; `general_per_domain` then sets how many general rows stand beside each row of the domain.
3. The mixture is as large as the sources allow without repeating one beyond its `epochs`, or has `total` rows; a source
   that is used up leaves its part to the others.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from finetune.cleaning_run import Progress
from finetune.record_readers import AUTO, BadRowHandler, ReadingRules, raise_bad_row, read_records
from finetune.records import KINDS, TrainingRecord, as_line, kind_of
from finetune.row_files import opened_to_write
from finetune.text_defects import filled_placeholders, has_placeholder
from knowledge.errors import AssistantError

STAGE_KINDS = {  # what a stage trains on
    "pt": {"text", "dialogue"},
    "sft": {"dialogue"},
    "rm": {"preference"},
    "dpo": {"preference"},
    "ppo": {"dialogue"},
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


@dataclass(frozen=True)
class MixedSource:
    """One row of the table of what went in. share: of the mixture's rows; epochs: how often each row was used, on average."""

    source: MixSource
    licences: Mapping[str, int]
    available: int
    taken: int
    share: float

    @property
    def epochs(self) -> float:
        return self.taken / self.available if self.available else 0.0


def load_mix(path: Path) -> MixConfig:
    """The mixture a TOML file describes. Raises InvalidMixture naming the file and the key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InvalidMixture(f"{path}: cannot be read: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InvalidMixture(f"{path.name}: {fault}") from None
    sources = tuple(_made(MixSource, row, f"{path.name}: source") for row in values.pop("source", []))
    persona = _made(Persona, values.pop("persona", {}), f"{path.name}: persona")
    licences = tuple(values.pop("licences", ()))
    config = _made(MixConfig, {**values, "sources": sources, "persona": persona, "licences": licences}, path.name)
    _check(config, path.name)
    return config


def _made(kind: type[Any], row: Mapping[str, Any], where: str) -> Any:
    known = [one.name for one in fields(kind)]
    unknown = sorted(set(row) - set(known))
    if unknown:
        raise InvalidMixture(f"{where}: unknown key {', '.join(unknown)}; known: {', '.join(known)}")
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
            if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
                raise InvalidMixture(f"{where}: {source.name}: {key} = {value!r}; a number above 0")
    if config.temperature <= 0 or (config.total is not None and config.total < 1):
        raise InvalidMixture(f"{where}: temperature and total must be above 0")
    if config.general_per_domain is not None and (
        config.general_per_domain < 0 or not any(source.general for source in config.sources)
    ):
        raise InvalidMixture(
            f"{where}: general_per_domain needs a source with general = true, and a number of 0 or above"
        )


def mix(
    config: MixConfig,
    data_dir: Path,
    out: Path,
    bad_row: BadRowHandler = raise_bad_row,
    progress: Progress = lambda *_: None,
) -> list[MixedSource]:
    """Writes the mixture, shuffled, and says what went in. The records wait on disk: memory holds 8 bytes a row."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out.parent) as spool:
        spooled: list[_Spooled] = []
        for source in config.sources:
            progress(source.name, len(spooled), len(config.sources))
            spooled.append(_spooled(source, config, data_dir, spool, bad_row))
        plan = planned_rows(config, [len(one.starts) for one in spooled])
        chosen = _chosen(plan, spooled, config.seed)
        with opened_to_write(out) as result:
            for start in chosen:
                spool.seek(int(start))
                result.write(spool.readline())
    total = max(1, sum(plan))
    return [
        MixedSource(one.source, one.licences, len(one.starts), taken, taken / total)
        for one, taken in zip(spooled, plan, strict=True)
    ]


@dataclass
class _Spooled:
    source: MixSource
    starts: np.ndarray
    licences: dict[str, int] = field(default_factory=dict)


def _spooled(
    source: MixSource, config: MixConfig, data_dir: Path, spool: IO[bytes], bad_row: BadRowHandler
) -> _Spooled:
    """The records of a source at the end of the spool, and where each begins."""
    rules = ReadingRules(source.reader, source=source.name, licence=source.licence)
    path = data_dir / source.file
    if not path.is_file():
        raise InvalidMixture(
            f"{config.name}: {source.name}: {path} is not there; `daozhen data doctor` says where data sets are to be had"
        )
    starts: list[int] = []
    licences: dict[str, int] = {}
    begin = spool.seek(0, 2)
    for located in read_records(path, rules, (lambda _: None) if source.skip_bad else bad_row):
        record = with_persona(located.record, config, f"{path.name}:{located.line}")
        _fits(record, config, source, f"{path.name}:{located.line}")
        licences[record.licence] = licences.get(record.licence, 0) + 1
        starts.append(begin)
        begin += spool.write(as_line(record))
    offsets = np.array(starts, dtype=np.int64)
    if source.cap is not None and len(offsets) > source.cap:
        chosen = np.random.default_rng([config.seed, len(offsets)]).permutation(len(offsets))[: source.cap]
        offsets = offsets[np.sort(chosen)]
    return _Spooled(source, offsets, licences)


def _fits(record: TrainingRecord, config: MixConfig, source: MixSource, place: str) -> None:
    if kind_of(record) not in STAGE_KINDS[config.stage]:
        wanted = " or ".join(sorted(STAGE_KINDS[config.stage]))
        raise InvalidMixture(
            f"{place}: a {kind_of(record)} record; stage {config.stage} trains on {wanted} records (kinds: {', '.join(KINDS)})"
        )
    if config.licences and record.licence not in config.licences:
        raise InvalidMixture(
            f"{place}: licence {record.licence or 'not stated'}, and {config.name} allows only {', '.join(config.licences)}; "
            f"leave {source.name} out, or set its licence if you know it"
        )


def with_persona(record: TrainingRecord, config: MixConfig, place: str) -> TrainingRecord:
    """The record with the persona's names put in. Raises InvalidMixture where they are needed and not given."""
    from finetune.records import as_row, from_row

    texts = [record.asked, *record.targets, *([record.system] if hasattr(record, "system") else [])]
    if not any(has_placeholder(text) for text in texts):
        return record
    persona = config.persona
    if not (persona.name and persona.author):
        raise InvalidMixture(
            f"{place}: a persona row with <NAME> or <AUTHOR>; set name and author under [persona] in the config, or leave the source out"
        )

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return filled_placeholders(value, persona.name, persona.author)
        if isinstance(value, list):
            return [fill(item) for item in value]
        return {key: fill(item) for key, item in value.items()} if isinstance(value, dict) else value

    return from_row(fill(as_row(record)))


def planned_rows(config: MixConfig, available: Sequence[int]) -> list[int]:
    """How many rows of each source are taken, given how many each offers."""
    most = np.array([source.epochs * rows for source, rows in zip(config.sources, available, strict=True)])
    shares = np.array(
        [
            source.weight * rows ** (1 / config.temperature) if rows else 0.0
            for source, rows in zip(config.sources, available, strict=True)
        ]
    )
    general = np.array([source.general for source in config.sources])
    if config.general_per_domain is not None and shares[general].sum() and shares[~general].sum():
        parts = {True: config.general_per_domain, False: 1.0}
        for kind, part in parts.items():
            shares[general == kind] *= part / shares[general == kind].sum()
    if not shares.sum():
        return [0] * len(available)
    shares = shares / shares.sum()
    if config.total is None:
        wanted = np.min(most[shares > 0] / shares[shares > 0])
        return [int(rows) for rows in np.floor(shares * wanted + 1e-9)]
    return _shared_out(config.total, shares, np.floor(most + 1e-9))


def _shared_out(total: int, shares: np.ndarray, most: np.ndarray) -> list[int]:
    """`total` rows by share, none above its most; what one cannot give the others do."""
    given = np.zeros(len(shares))
    open_ = shares > 0
    while open_.any() and given.sum() < min(total, most[shares > 0].sum()) - 0.5:
        left = total - given.sum()
        offered = np.where(open_, shares, 0) / shares[open_].sum() * left
        given = np.minimum(given + offered, most)
        open_ = open_ & (given < most - 0.5)
    rows = np.floor(given + 1e-9)
    remainder = int(min(total, most[shares > 0].sum()) - rows.sum())
    for place in np.argsort(-(given - rows), kind="stable"):
        if remainder > 0 and rows[place] < most[place]:
            rows[place] += 1
            remainder -= 1
    return [int(count) for count in rows]


def _chosen(plan: Sequence[int], spooled: Sequence[_Spooled], seed: int) -> np.ndarray:
    """Where the chosen rows begin in the spool, shuffled: whole epochs, and a sample for the rest."""
    parts = []
    for number, (taken, one) in enumerate(zip(plan, spooled, strict=True)):
        if not taken:
            continue
        rng = np.random.default_rng([seed, number])
        epochs, rest = divmod(taken, len(one.starts))
        parts += [one.starts] * epochs + [one.starts[rng.permutation(len(one.starts))[:rest]]]
    rows = np.concatenate(parts) if parts else np.array([], dtype=np.int64)
    return np.random.default_rng(seed).permutation(rows)
