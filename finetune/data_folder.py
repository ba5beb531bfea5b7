"""The folder the data sets lie in: which are there, which are not and where they are to be had, and fetching one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from finetune.dataset_entry import NOT_STATED, DatasetEntry
from finetune.row_files import ROWS
from finetune.text_files import COMPRESSED
from knowledge.errors import InvalidUsage, first_line


@dataclass(frozen=True)
class DatasetState:
    """Whether a data set is in the data folder. problem: what is wrong with it, "" where it is ready."""

    entry: DatasetEntry
    files: tuple[Path, ...]
    problem: str = ""

    @property
    def is_ready(self) -> bool:
        return bool(self.files) and not self.problem


def files_of(entry: DatasetEntry, folder: Path) -> list[Path]:
    """Its files in a data folder: `file`, else a file or folder that bears its name."""
    if entry.file:
        path = folder / entry.file
        return data_files(path) if path.is_dir() else [path] if path.is_file() else []
    if (folder / entry.name).is_dir():
        return data_files(folder / entry.name)
    endings = [ending + packed for ending in ROWS for packed in ("", *COMPRESSED)]
    return [path for ending in endings if (path := folder / f"{entry.name}{ending}").is_file()]


def data_files(folder: Path) -> list[Path]:
    """The files of a folder that can be read as rows."""
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and any(suffix in ROWS for suffix in path.suffixes[-2:])
        and path.name not in ("dataset_info.json", "dataset_infos.json") and path.suffix != ".md"
    )  # fmt: skip


def state_of(entry: DatasetEntry, folder: Path) -> DatasetState:
    """Looks for the files of a data set and checks the sum its registry gives."""
    files = tuple(files_of(entry, folder))
    if not files:
        expected = entry.file or f"{entry.name}.jsonl (.json, .csv …) or a folder {entry.name}/"
        return DatasetState(entry, (), f"not in {folder}: put {expected} there; {_origin(entry)}")
    if entry.sha1 and len(files) == 1 and sha1_of(files[0]) != entry.sha1:
        problem = f"{files[0].name} is not the file its registry means (SHA-1 differs); {_origin(entry)}"
        return DatasetState(entry, files, problem)
    return DatasetState(entry, files)


def _origin(entry: DatasetEntry) -> str:
    known = entry.where != NOT_STATED
    return f"to be had from {entry.where}" if known else "its registry does not say where it is to be had"


def sha1_of(path: Path) -> str:
    """The SHA-1 of a file's bytes, in hex, as dataset_info.json names it."""
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
        raise InvalidUsage(f"{entry.name}: {entry.where}: not downloaded: {first_line(fault)}") from None
    return data_files(folder / entry.name)
