"""Which folders and sources the index is made from: those indexed before, those given now, less those removed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ingest.knowledge_sources import knowledge_fingerprint
from ingest.readers import READERS
from knowledge.errors import IndexDamaged, IndexMissing, InvalidUsage, UnreadableSource
from rag.generations import current_generation, finished_generations
from rag.manifest import FORMAT_VERSION, MANIFEST
from rag.passage_index import PassageIndex, serving_manifest
from rag.passage_store import KNOWLEDGE
from rag.words import words_fingerprint


@dataclass(frozen=True)
class Remembered:
    """folders: that are there now; waiting: indexed before, not there now, so their documents stay as they are;
    removed: source_ids left out on request; serving: the generation that should serve, None without an index."""

    folders: tuple[Path, ...] = ()
    waiting: tuple[Path, ...] = ()
    removed: frozenset[str] = frozenset()
    serving: str | None = None

    def names(self) -> tuple[str, ...]:
        """Every folder, as the manifest keeps them."""
        return tuple(sorted(str(folder) for folder in (*self.folders, *self.waiting)))

    def warnings(self) -> tuple[str, ...]:
        """One line for each folder that is not there."""
        return tuple(
            f"{folder}: not there now, or empty; its documents stay as they were. "
            f"`daozhen index remove {folder}` takes them out"
            for folder in self.waiting
        )


def remembered_sources(
    index_dir: Path, given: Sequence[Path] = (), remove: str | None = None, restore: Collection[str] = ()
) -> Remembered:
    """What a rebuild is made from.

    Raises UnreadableSource for a given folder that is missing or holds nothing readable, InvalidUsage where remove or
    restore names nothing, IndexDamaged where an index is there but nothing of it tells what it was made from.
    """
    asked = [_checked_folder(folder) for folder in given]
    manifest = _readable_manifest(index_dir)
    if manifest is None and finished_generations(index_dir) and not asked:
        raise IndexDamaged(
            f"{index_dir}: no manifest tells which folders were indexed; name them: `daozhen index rebuild --source FOLDER`"
        )
    before = [Path(folder) for folder in (manifest or {}).get("source_dirs", ())]
    removed = set((manifest or {}).get("removed", ()))
    if unknown := sorted(set(restore) - removed):
        raise InvalidUsage(f"{unknown[0]}: was not removed; removed: {_some(removed)}")
    removed -= set(restore)
    if remove is not None:
        folder = Path(remove).expanduser().resolve()
        if folder in before:
            before.remove(folder)
        else:
            removed.add(_source_named(index_dir, remove))
    there = [*asked, *(folder for folder in before if folder not in asked and _holds_a_source(folder))]
    ordered = sorted(
        dict.fromkeys(there), key=lambda folder: (folder not in before, before.index(folder) if folder in before else 0)
    )
    waiting = tuple(folder for folder in before if folder not in there)
    return Remembered(tuple(ordered), waiting, frozenset(removed), _serving_name(index_dir))


def last_good(index_dir: Path) -> PassageIndex | None:
    """The generation an update can start from; None where there is none that can be trusted."""
    try:
        return PassageIndex.open(index_dir)
    except (IndexMissing, IndexDamaged):
        return None


def index_state(index_dir: Path) -> Literal["missing", "outdated", "current"]:
    """missing: none was ever built; outdated: made from other shipped knowledge, or by another version.

    Raises IndexDamaged where no generation can be trusted.
    """
    try:
        manifest = serving_manifest(index_dir)
    except IndexMissing:
        return "missing"
    except IndexDamaged:
        old = _readable_manifest(index_dir)
        if old is not None and old.get("format_version") != FORMAT_VERSION:
            return "outdated"
        raise
    made = manifest.knowledge_fingerprint, manifest.words_fingerprint
    return "current" if made == (knowledge_fingerprint(), words_fingerprint()) else "outdated"


def indexed_source_dirs(index_dir: Path) -> list[Path]:
    """The folders the index was built from, there now or not; none without an index."""
    return [Path(folder) for folder in (_readable_manifest(index_dir) or {}).get("source_dirs", ())]


def _readable_manifest(index_dir: Path) -> dict[str, Any] | None:
    """A manifest's values though its generation may be damaged, or of another format: only to learn what was indexed."""
    try:
        return vars(serving_manifest(index_dir))
    except (IndexDamaged, IndexMissing):
        pass
    for folder in reversed(finished_generations(index_dir)):
        try:
            values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if all(isinstance(name, str) for name in values["source_dirs"]):
                return dict(values)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _checked_folder(folder: Path) -> Path:
    folder = folder.expanduser().resolve()
    if not str(folder).isprintable():
        raise UnreadableSource(f"{str(folder)!a}: the folder's name is no text; give it another")
    if not folder.is_dir():
        raise UnreadableSource(f"{folder}: no such folder; name the folder that holds the documents")
    if not _holds_a_source(folder):
        raise UnreadableSource(f"{folder}: holds no file daozhen can read; known: {', '.join(READERS)}")
    return folder


def _holds_a_source(folder: Path) -> bool:
    """Whether a folder is there and holds a file of a known ending; an empty mount point does not."""
    return folder.is_dir() and any(path.suffix.lower() in READERS for path in folder.rglob("*"))


def _source_named(index_dir: Path, name: str) -> str:
    """The source_id a person means: itself, or the path of its file."""
    base = last_good(index_dir)
    documents = [document for _, document in base.passages.documents()] if base else []
    path = Path(name).expanduser().resolve()
    for document in documents:
        if document.origin != KNOWLEDGE and name == document.source_id:
            return name
        if path == Path(document.origin, document.source_id):
            return document.source_id
    known = sorted({document.source_id for document in documents if document.origin != KNOWLEDGE})
    shipped = any(document.source_id == name for document in documents)
    why = "is part of the shipped knowledge" if shipped else "no such folder or source in the index"
    raise InvalidUsage(f"{name}: {why}; sources: {_some(known)}")


def _serving_name(index_dir: Path) -> str | None:
    try:
        return current_generation(index_dir).name
    except (IndexDamaged, IndexMissing):
        return None


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"
