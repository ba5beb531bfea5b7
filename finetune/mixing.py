"""Several data sets into one training file, as a config says: weights, temperature, caps, epochs and the share of general data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from finetune.cleaning_run import Progress
from finetune.mixture_config import STAGE_KINDS, InvalidMixture, MixConfig, MixSource
from finetune.mixture_plan import planned_rows
from finetune.record_readers import ReadingRules, read_records
from finetune.record_writer import as_line
from finetune.records import DISLIKED, KINDS, LIKED, InvalidData, TrainingRecord, kind_of
from finetune.text_defects import filled_placeholders, has_placeholder
from finetune.whole_files import opened_to_write, temporary_folder_beside


@dataclass(frozen=True)
class MixedSource:
    """One row of the table of what went in. share: of the mixture's rows; epochs: how often each row was used, on average; skipped: rows of no known shape."""

    source: MixSource
    licences: Mapping[str, int]
    available: int
    taken: int
    share: float
    skipped: int = 0

    @property
    def epochs(self) -> float:
        return self.taken / self.available if self.available else 0.0


def mix(
    config: MixConfig,
    data_dir: Path,
    out: Path,
    progress: Progress = lambda *_: None,
) -> list[MixedSource]:
    """Writes the mixture, shuffled, and says what went in. The records wait on disk: memory holds 8 bytes a row."""
    with temporary_folder_beside(out) as folder, (folder / "spool").open("w+b") as spool:
        spooled: list[_Spooled] = []
        for source in config.sources:
            progress(source.name, len(spooled), len(config.sources))
            spooled.append(_spooled(source, config, data_dir, spool))
        plan = planned_rows(config, [len(one.starts) for one in spooled])
        chosen = _chosen(plan, spooled, config.seed)
        with opened_to_write(out) as result:
            for start in chosen:
                spool.seek(int(start))
                result.write(spool.readline())
    total = max(1, sum(plan))
    return [
        MixedSource(one.source, one.licences, len(one.starts), taken, taken / total, one.skipped)
        for one, taken in zip(spooled, plan, strict=True)
    ]


@dataclass
class _Spooled:
    source: MixSource
    starts: np.ndarray
    licences: dict[str, int] = field(default_factory=dict)
    skipped: int = 0


def _spooled(source: MixSource, config: MixConfig, data_dir: Path, spool: IO[bytes]) -> _Spooled:
    """The records of a source at the end of the spool, and where each begins."""
    rules = ReadingRules(source.reader, source=source.name, licence=source.licence)
    path = data_dir / source.file
    check_is_there(path, source, config)
    skipped = 0

    def bad_row(problem: str) -> None:
        nonlocal skipped
        skipped += 1
        if not source.skip_bad:
            raise InvalidData(f"{problem}; skip_bad = true under {source.name} in the config leaves such rows out")

    starts: list[int] = []
    licences: dict[str, int] = {}
    begin = spool.seek(0, 2)
    for located in read_records(path, rules, bad_row):
        record = with_persona(located.record, config, f"{path.name}:{located.line}")
        _fits(record, config, source, f"{path.name}:{located.line}")
        licences[record.licence] = licences.get(record.licence, 0) + 1
        starts.append(begin)
        begin += spool.write(as_line(record))
    offsets = np.array(starts, dtype=np.int64)
    if source.cap is not None and len(offsets) > source.cap:
        chosen = np.random.default_rng([config.seed, len(offsets)]).permutation(len(offsets))[: source.cap]
        offsets = offsets[np.sort(chosen)]
    return _Spooled(source, offsets, licences, skipped)


def check_is_there(path: Path, source: MixSource, config: MixConfig) -> None:
    """Raises InvalidMixture where a source's file is not there, and says what makes or brings it."""
    if not path.is_file():
        raise InvalidMixture(
            f"{config.name}: {source.name}: {path} is not there; --data names the folder, `daozhen data convert` and "
            "`daozhen data ground` make such files, `daozhen data doctor` says where data sets are to be had"
        )


def _fits(record: TrainingRecord, config: MixConfig, source: MixSource, place: str) -> None:
    if kind_of(record) not in STAGE_KINDS[config.stage]:
        wanted = " or ".join(STAGE_KINDS[config.stage])
        raise InvalidMixture(
            f"{place}: a {kind_of(record)} record; stage {config.stage} trains on {wanted} records (kinds: {', '.join(KINDS)})"
        )
    thumbs = {LIKED, DISLIKED} & set(record.tags)
    if config.stage == "sft" and DISLIKED in thumbs:
        raise InvalidMixture(
            f"{place}: an answer with a thumb down, which stage sft would learn to give; stage kto learns from it"
        )
    if config.stage == "kto" and not thumbs:
        raise InvalidMixture(f"{place}: an answer without a thumb; stage kto needs the tag {LIKED} or {DISLIKED}")
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
