"""The small files of a served generation on the machine that reads it: found beside its index, or fetched from the store."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import IndexDamaged, StoreUnavailable
from rag.generations import GENERATIONS
from rag.manifest import MANIFEST, MANIFEST_SEAL, Manifest, faults
from rag.milvus_faults import COPY
from rag.served_rows import FILE, small_files

if TYPE_CHECKING:
    from rag.milvus_collection import Collection

SERVED = "served"  # folder of the index folder
_KEPT_FOLDERS = 2


def folder_of(index_dir: Path, generation: str, seal: dict[str, Any], beside: Collection) -> Path:
    """The folder with a generation's small files as they were written. Raises StoreUnavailable, and IndexDamaged for the
    format of another version."""
    return _local_folder(index_dir, generation, seal) or _fetched(index_dir, generation, seal, beside)


def _local_folder(index_dir: Path, generation: str, seal: dict[str, Any]) -> Path | None:
    """The folder on this machine that holds the generation's small files as they were written; None where none does."""
    folders = (index_dir / GENERATIONS / generation, index_dir / SERVED / generation)
    return next((folder for folder in folders if _is_whole(folder, seal)), None)


def _is_whole(folder: Path, seal: dict[str, Any]) -> bool:
    """Whether a folder holds the small files as they were written."""
    try:
        if (folder / MANIFEST_SEAL).read_text(encoding="utf-8") != seal["manifest"]:
            return False
        manifest = Manifest.read(folder)
    except (OSError, ValueError, IndexDamaged):
        return False
    needed = {name: manifest.files[name] for name in small_files(manifest)}
    return not faults(folder, replace(manifest, files=needed), thorough=True)


def _fetched(index_dir: Path, generation: str, seal: dict[str, Any], beside: Collection) -> Path:
    """Fetches the small files into the index folder, or into a temporary one where that cannot be written."""
    try:
        (index_dir / SERVED).mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".fetching-", dir=index_dir / SERVED))
    except OSError:  # a folder that may only be read
        fresh = Path(tempfile.mkdtemp(prefix="daozhen-served-")) / generation
        fresh.mkdir()
    try:
        _write_files(fresh, beside)
        Manifest.read(fresh)  # tells the format of another version apart
        if _is_whole(fresh, seal):
            return _named(fresh, generation, seal)
    except (OSError, ValueError) as fault:
        raise StoreUnavailable(f"Milvus collection {beside.name}: its files cannot be kept here ({fault})") from None
    finally:
        if fresh.name.startswith(".fetching-"):
            shutil.rmtree(fresh, ignore_errors=True)  # gone by now where all went well
    raise StoreUnavailable(f"Milvus collection {beside.name}: its {MANIFEST} is not as it was written; {COPY}")


def _write_files(folder: Path, beside: Collection) -> None:
    """Raises ValueError for a name that leads out of the folder, and for bytes that were not written so."""
    written: dict[str, str] = {}
    for row in beside.those(f'kind == "{FILE}"', ("text", "name")):
        written[row["name"]] = written.get(row["name"], "") + row["text"]
    for name, coded in written.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ValueError(f"{name} lies outside")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(coded))


def _named(fresh: Path, generation: str, seal: dict[str, Any]) -> Path:
    """Gives a fetched folder its name and removes older ones; where another process was quicker, its folder serves."""
    if not fresh.name.startswith(".fetching-"):
        return fresh
    folder = fresh.with_name(generation)
    if not _is_whole(folder, seal):
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(fresh, folder)
    others = sorted(path for path in folder.parent.iterdir() if not path.name.startswith(".") and path != folder)
    for path in others[: -(_KEPT_FOLDERS - 1)]:
        shutil.rmtree(path, ignore_errors=True)
    return folder
