"""Generations of the index on disk, and the one pointer that says which of them serves.

    index/
      CURRENT                    the name of the generation that serves
      writer.lock  writer.json   held while somebody writes, and who
      cache.sqlite               vectors of texts embedded before
      generations/<name>/        see rag/passage_index.py
      origin  served/            of copies in a served store: see rag/served_copy.py, rag/served_files.py

A generation is written beside the others and takes over by one atomic replacement of CURRENT.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from knowledge.errors import IndexDamaged, IndexMissing
from rag.manifest import REBUILD, Manifest, faults, verify

POINTER, GENERATIONS = "CURRENT", "generations"
KEPT_GENERATIONS = 2

PointerState = tuple[int, int, int]  # changes whenever the pointer is replaced


def current_generation(index_dir: Path) -> Path:
    """The folder the pointer names; raises IndexMissing when there is no index, IndexDamaged where it names nothing."""
    try:
        name = (index_dir / POINTER).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        if finished_generations(index_dir):
            raise IndexDamaged(f"{index_dir / POINTER}: missing; {REBUILD}") from None
        raise IndexMissing(f"no passage index in {index_dir}; {REBUILD}") from None
    if name not in {path.name for path in finished_generations(index_dir)}:
        raise IndexDamaged(f"{index_dir / POINTER}: names generation {name!r}, which is not there; {REBUILD}")
    return index_dir / GENERATIONS / name


def finished_generations(index_dir: Path) -> list[Path]:
    """The folders of every complete generation, oldest first."""
    try:
        return sorted(path for path in (index_dir / GENERATIONS).iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def pointer_state(index_dir: Path) -> PointerState | None:
    """What to compare to notice a new generation."""
    return file_state(index_dir / POINTER)


def file_state(path: Path) -> PointerState | None:
    """What to compare to notice that a file was replaced: one look at the file system, microseconds. None: not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def new_generation_name() -> str:
    """Names sort by the time they were given."""
    now = time.time_ns()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 1_000_000_000)) + f"-{now % 1_000_000_000:09d}"


def begin(index_dir: Path, name: str) -> Path:
    """An empty folder in which a generation is written; readers do not see it. What a killed build left behind goes:
    the new one may want its room on the disk."""
    for left in (index_dir / GENERATIONS).glob(".*"):
        shutil.rmtree(left, ignore_errors=True)
    building = index_dir / GENERATIONS / f".building-{name}"
    building.mkdir(parents=True)
    return building


def publish(index_dir: Path, building: Path, name: str, keep: int = KEPT_GENERATIONS) -> None:
    """Makes a sealed folder the generation that serves; until the last step readers see the old one."""
    for path in (*building.rglob("*"), building):
        flush(path)
    before = _pointed_at(index_dir)
    os.replace(building, index_dir / GENERATIONS / name)
    flush(index_dir / GENERATIONS)
    point_at(index_dir, name)
    remove_old(index_dir, keep, previous=before)


def roll_back(index_dir: Path) -> Path:
    """Lets the newest intact generation before the one that serves take over. Raises IndexMissing where there is none."""
    serving = _pointed_at(index_dir)
    for folder in reversed(finished_generations(index_dir)):
        if serving and folder.name >= serving:
            continue
        try:
            verify(folder, Manifest.read(folder), thorough=True)
        except IndexDamaged:
            continue
        point_at(index_dir, folder.name)
        return folder
    raise IndexMissing(f"{index_dir}: no intact generation before {serving or 'the one named'}; {REBUILD}")


def faults_of_all(index_dir: Path) -> dict[str, list[str]]:
    """Generation -> one line for each of its files that is not as it was written, compared by sha256; and the pointer.

    Raises IndexMissing when there is no index.
    """
    found: dict[str, list[str]] = {}
    try:
        current_generation(index_dir)
    except IndexDamaged as fault:
        found[POINTER] = [str(fault).removesuffix(f"; {REBUILD}")]
    for folder in finished_generations(index_dir):
        try:
            found[folder.name] = faults(folder, Manifest.read(folder), thorough=True)
        except IndexDamaged as fault:
            found[folder.name] = [str(fault).removesuffix(f"; {REBUILD}")]
    return found


def point_at(index_dir: Path, name: str) -> None:
    """Replaces the pointer in one step that survives a power cut."""
    fresh = index_dir / f"{POINTER}.new"
    fresh.write_text(name + "\n", encoding="utf-8")
    flush(fresh)
    os.replace(fresh, index_dir / POINTER)
    flush(index_dir)


def remove_old(index_dir: Path, keep: int, previous: str | None = None) -> None:
    """Keeps `keep` generations: the serving one, the one before it, the newest. Remains of broken-off work go.

    A reader that still has an old generation open keeps its files: they are renamed, then unlinked.
    """
    serving = _pointed_at(index_dir)
    newest_first = [path.name for path in reversed(finished_generations(index_dir))]
    order = dict.fromkeys(name for name in (serving, previous, *newest_first) if name in newest_first)
    kept = list(order)[: max(1, keep)]
    for path in (index_dir / GENERATIONS).iterdir():
        if path.name in kept:
            continue
        if not path.name.startswith("."):
            hidden = path.with_name(f".removing-{path.name}")
            os.replace(path, hidden)  # never seen half removed
            path = hidden
        shutil.rmtree(path, ignore_errors=True)


def flush(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # folders cannot be opened on every system
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pointed_at(index_dir: Path) -> str | None:
    try:
        return (index_dir / POINTER).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
