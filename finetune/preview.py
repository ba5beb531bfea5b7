"""A few records of a mixture or a file, rendered, with what is trained on marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.mixing import check_is_there, with_persona
from finetune.mixture_config import load_mix
from finetune.record_readers import ReadingRules, read_records
from finetune.records import InvalidData, InvalidRecord, TrainingRecord, kind_of
from finetune.rendering import Template, marked_tokens, rendered_text, rendered_tokens
from knowledge.errors import InvalidUsage, MissingExtra, first_line


@dataclass(frozen=True)
class PreviewedRecord:
    """One record as shown. pieces: its text in order, each piece with whether it is trained."""

    place: str
    kind: str
    summary: str
    pieces: Sequence[tuple[str, bool]]


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model's folder. Raises MissingExtra without transformers, InvalidUsage where there is none."""
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingExtra(
            "--tokenizer needs transformers; pip install 'daozhen[models]', or leave it out for ChatML and characters"
        ) from None
    if not folder.expanduser().is_dir():
        raise InvalidUsage(f"{folder}: no such folder; give the folder of a model, with tokenizer.json in it")
    try:
        return AutoTokenizer.from_pretrained(str(folder.expanduser()), local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as fault:
        raise InvalidUsage(f"{folder}: no tokenizer that can be read ({first_line(fault)})") from None


def previewed(
    path: Path, data_dir: Path, number: int, tokenizer: Any = None, max_tokens: int | None = None
) -> list[PreviewedRecord]:
    """The first records of each source of a mixture, or of a file."""
    return [_shown(record, place, tokenizer, max_tokens) for record, place in _first(path, data_dir, number)]


def _first(path: Path, data_dir: Path, number: int) -> Iterator[tuple[TrainingRecord, str]]:
    if path.suffix != ".toml":
        for located in read_records(path, ReadingRules(at_most=number), _tell):
            yield located.record, f"{path.name}:{located.line}"
        return
    config = load_mix(path)
    for source in config.sources:
        file = data_dir / source.file
        check_is_there(file, source, config)
        rules = ReadingRules(source.reader, source=source.name, licence=source.licence, at_most=number)
        for located in read_records(file, rules, (lambda _: None) if source.skip_bad else _tell):
            place = f"{source.file}:{located.line}"
            yield with_persona(located.record, config, place), place


def _tell(problem: str) -> None:
    raise InvalidData(problem)


def _shown(record: TrainingRecord, place: str, tokenizer: Any, max_tokens: int | None) -> PreviewedRecord:
    try:
        if tokenizer is None:
            rendered = rendered_text(record, Template())
            pieces = list(rendered.pieces())
            trained = sum(len(text) for text, is_trained in pieces if is_trained)
            summary = f"{trained:,} of {len(rendered.text):,} characters trained (ChatML)"
        else:
            tokens = rendered_tokens(record, tokenizer, max_tokens)
            pieces = joined(marked_tokens(tokens, tokenizer))
            summary = f"{sum(label >= 0 for label in tokens.labels):,} of {len(tokens.labels):,} tokens trained"
    except InvalidRecord as fault:
        raise InvalidData(f"{place}: expected {fault}") from None
    return PreviewedRecord(place, kind_of(record), summary, pieces)


def joined(pieces: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Neighbouring tokens of one mark as one piece."""
    shown: list[tuple[str, bool]] = []
    for text, trained in pieces:
        if shown and shown[-1][1] == trained:
            shown[-1] = (shown[-1][0] + text, trained)
        else:
            shown.append((text, trained))
    return shown
