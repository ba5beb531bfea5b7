"""The data sets the field trains on, and the models: where each is to be had, under which licence, in which shape.

Ours is datasets.toml and models.toml; CareGPT's `dataset_info.json` and LLaMA-Factory's are read as they are.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from finetune.record_readers import AUTO, ReadingRules
from finetune.row_files import COMPRESSED, ROWS
from knowledge.errors import AssistantError, InvalidUsage

HERE = Path(__file__).resolve().parent
DATASETS, MODELS = HERE / "datasets.toml", HERE / "models.toml"
NOT_STATED = "not stated"
STAGES = ("pretraining", "supervised", "reward", "exam")


class InvalidRegistry(AssistantError):
    """A registry does not say what it must; the text names the file and the entry."""


@dataclass(frozen=True)
class DatasetEntry:
    """One data set. Empty fields are not known, never guessed.

    hub: its id on the Hugging Face hub. url: where else it is to be had. licence: as its own page states it.
    languages: zh, en. rows: how many it has, as its own page says. file: its name in the data folder, when it has a fixed one.
    format: what its files are. columns, tags: their names → the reader's (see ReadingRules). needs_script: it is a loading script.
    """

    name: str
    stage: str = "supervised"
    title: str = ""
    hub: str = ""
    subset: str = ""
    split: str = ""
    url: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()
    rows: int | None = None
    file: str = ""
    sha1: str = ""
    format: str = ""
    reader: str = AUTO
    columns: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    at_most: int | None = None
    needs_script: bool = False
    note: str = ""

    @property
    def rules(self) -> ReadingRules:
        return ReadingRules(self.reader, self.columns, self.tags, self.name, self.licence, self.at_most)

    @property
    def where(self) -> str:
        """Where it is to be had, in words."""
        if self.hub:
            return f"huggingface.co/datasets/{self.hub}" + (f" ({self.subset})" if self.subset else "")
        return self.url or (
            "made by a loading script, which today's libraries refuse: look for it elsewhere"
            if self.needs_script
            else "not stated"
        )

    def files_in(self, folder: Path) -> list[Path]:
        """Its files in a data folder: `file`, else a file or folder that bears its name."""
        if self.file:
            path = folder / self.file
            return data_files(path) if path.is_dir() else [path] if path.is_file() else []
        if (folder / self.name).is_dir():
            return data_files(folder / self.name)
        endings = [ending + packed for ending in ROWS for packed in ("", *COMPRESSED)]
        return [path for ending in endings if (path := folder / f"{self.name}{ending}").is_file()]


def data_files(folder: Path) -> list[Path]:
    """The files of a folder that can be read as rows."""
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and any(suffix in ROWS for suffix in path.suffixes[-2:])
        and path.name not in ("dataset_info.json", "dataset_infos.json") and path.suffix != ".md"
    )  # fmt: skip


def load_registry(path: Path | None = None) -> dict[str, DatasetEntry]:
    """Data sets by name: of datasets.toml, or of a dataset_info.json. Raises InvalidRegistry."""
    path = path or DATASETS
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as fault:
        raise InvalidRegistry(f"{path}: cannot be read: {fault.strerror}") from None
    if path.suffix == ".json":
        return _dataset_info(path, text)
    entries = [_entry(path, row) for row in _toml(path, text).get("dataset", [])]
    return _by_name(path, entries)


def _toml(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise InvalidRegistry(f"{path.name}: {fault}") from None


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


# CareGPT's and LLaMA-Factory's

ALPACA_COLUMNS = {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}
SHAREGPT_COLUMNS = {"messages": "conversations"}
COLUMNS = {
    **ALPACA_COLUMNS,
    **SHAREGPT_COLUMNS,
    "system": "system",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "kto_tag",
}
_MEDIA = ("images", "videos", "audios")


def _dataset_info(path: Path, text: str) -> dict[str, DatasetEntry]:
    try:
        table = json.loads(text)
    except ValueError as fault:
        raise InvalidRegistry(f"{path.name}: {fault}") from None
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise InvalidRegistry(
            f"{path.name}: expected an object that maps names to data sets, as CareGPT and LLaMA-Factory write it"
        )
    return {name: _info_entry(path, name, row) for name, row in table.items()}


def _info_entry(path: Path, name: str, row: dict[str, Any]) -> DatasetEntry:
    formatting, columns = row.get("formatting", "alpaca"), row.get("columns", {})
    if formatting not in ("alpaca", "sharegpt") or not isinstance(columns, dict):
        raise InvalidRegistry(f"{path.name}: {name}: formatting {formatting!r}; known: alpaca, sharegpt")
    renaming = {
        COLUMNS[ours]: theirs for ours, theirs in columns.items() if ours in COLUMNS and isinstance(theirs, str)
    }
    is_text = (
        bool(columns)
        and not columns.get("response")
        and "prompt" in columns
        and not row.get("ranking")
        and formatting == "alpaca"
    )
    media = [kind for kind in _MEDIA if columns.get(kind)]
    if is_text:
        reader, renaming = "plain_text", {"text": columns["prompt"]}
    elif row.get("ranking") and "chosen" in columns:
        reader = "chosen_rejected"
    else:
        reader = "conversations" if formatting == "sharegpt" else "alpaca"
    if not columns and formatting == "alpaca":
        reader = AUTO  # nothing is said of its columns: hub sets differ
    return DatasetEntry(
        name=name,
        stage="pretraining" if is_text else "reward" if row.get("ranking") else "supervised",
        hub=str(row.get("hf_hub_url", "")),
        subset=str(row.get("subset", "") or ""),
        split=str(row.get("split", "") or ""),
        url=f"modelscope.cn/datasets/{row['ms_hub_url']}"
        if row.get("ms_hub_url") and not row.get("hf_hub_url")
        else "",
        file=str(row.get("file_name", "")),
        sha1=str(row.get("file_sha1", "")),
        reader=reader,
        columns=renaming,
        tags={key: str(tag) for key, tag in row.get("tags", {}).items()},
        at_most=row.get("num_samples"),
        needs_script="script_url" in row,
        note=f"has {', '.join(media)}, which are left out" if media else "",
    )


# what is there


@dataclass(frozen=True)
class DatasetState:
    """Whether a data set is in the data folder. problem: what is wrong with it, "" where it is ready."""

    entry: DatasetEntry
    files: tuple[Path, ...]
    problem: str = ""

    @property
    def is_ready(self) -> bool:
        return bool(self.files) and not self.problem


def state_of(entry: DatasetEntry, folder: Path) -> DatasetState:
    """Looks for the files of a data set and checks the sum its registry gives."""
    files = tuple(entry.files_in(folder))
    if not files:
        expected = entry.file or f"{entry.name}.jsonl (.json, .csv …) or a folder {entry.name}/"
        return DatasetState(entry, (), f"not in {folder}: put {expected} there; to be had from {entry.where}")
    if entry.sha1 and len(files) == 1 and sha1_of(files[0]) != entry.sha1:
        return DatasetState(
            entry,
            files,
            f"{files[0].name} is not the file the registry means (SHA-1 differs): fetch it again from {entry.where}",
        )
    return DatasetState(entry, files)


def sha1_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha1").hexdigest()


def download(entry: DatasetEntry, folder: Path) -> list[Path]:
    """Fetches a data set from the Hugging Face hub into a folder of its name. Raises InvalidUsage where it is not there."""
    if not entry.hub:
        raise InvalidUsage(f"{entry.name}: not on the hub; fetch it by hand from {entry.where}")
    try:
        from huggingface_hub import constants, snapshot_download
    except ImportError:
        raise InvalidUsage(f"{entry.name}: downloading needs huggingface_hub; pip install 'daozhen[models]'") from None
    if constants.HF_HUB_OFFLINE:
        constants.HF_HUB_OFFLINE = False  # the user asked for a download
    patterns = [f"*{ending}*" for ending in ROWS]
    try:
        snapshot_download(entry.hub, repo_type="dataset", local_dir=folder / entry.name, allow_patterns=patterns)
    except Exception as fault:  # the hub client's own many errors
        line = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        raise InvalidUsage(f"{entry.name}: {entry.where}: not downloaded: {line}") from None
    return data_files(folder / entry.name)


# models


@dataclass(frozen=True)
class ModelEntry:
    """One model of the catalogue. parameters: as named by its makers, such as "7B"; base: what it was tuned from.

    kind: base (to tune) or medical (tuned by others). stages: what it went through, or for a base which stages apply.
    """

    name: str
    kind: str
    hub: str = ""
    url: str = ""
    parameters: str = ""
    licence: str = ""
    base: str = ""
    chat_template: str = ""
    languages: tuple[str, ...] = ()
    data: str = ""
    stages: tuple[str, ...] = ()
    note: str = ""


def load_models(path: Path = MODELS) -> list[ModelEntry]:
    """The catalogue of models. Raises InvalidRegistry."""
    entries = []
    for row in _toml(path, path.read_text(encoding="utf-8")).get("model", []):
        unknown = sorted(set(row) - {one.name for one in fields(ModelEntry)})
        if unknown or row.get("kind") not in ("base", "medical"):
            raise InvalidRegistry(
                f"{path.name}: {row.get('name', 'an entry without a name')}: {', '.join(unknown) or 'kind base or medical'}"
            )
        entries.append(
            ModelEntry(**{**row, "languages": tuple(row.get("languages", ())), "stages": tuple(row.get("stages", ()))})
        )
    return entries
