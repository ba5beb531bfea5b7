"""Sources → passages → vectors → a new generation of the index."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from filelock import FileLock, Timeout

from ingest.documents import QuarantineRow, SourceDocument
from ingest.knowledge_sources import knowledge_documents, knowledge_fingerprint
from ingest.readers import READERS, read_source
from ingest.splitting import passages_of
from knowledge.departments import load_departments
from knowledge.errors import IndexBusy, IndexDamaged, IndexMissing, UnreadableSource
from rag.embedder import Embedder
from rag.passage_index import FORMAT_VERSION, GENERATIONS, Manifest, current_generation, write_generation
from rag.passages import Passage
from rag.routing import RoutingIndex

BATCH = 256  # passages embedded between two steps of the progress bar
KEPT_GENERATIONS = 2
ROUTING = "routing"

Progress = Callable[[str, int, int], None]  # what is being done, done so far, in all


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild did. seconds: wall time."""

    generation: str
    documents: int
    passages: int
    quarantined: tuple[QuarantineRow, ...]
    seconds: float


def rebuild_index(
    index_dir: Path, embedder: Embedder, source_dirs: Sequence[Path], progress: Progress | None = None
) -> RebuildReport:
    """Reads the shipped knowledge and every folder given, and makes the new generation the one that serves.

    Files that cannot be read are left out and reported; the index in use stays as it was until the last step.
    Raises UnreadableSource for a folder that is missing or holds nothing readable, IndexBusy when another process writes.
    """
    begun = time.monotonic()
    step = progress or (lambda *_: None)
    folders = [_checked_folder(folder) for folder in source_dirs]
    index_dir.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(index_dir / "writer.lock", timeout=0):
            documents, quarantined = _read_all(folders, step)
            passages = [passage for document in documents for passage in passages_of(document)]
            vectors = _embedded(passages, embedder, step)
            manifest = _manifest(embedder, documents, passages, folders)
            routing = RoutingIndex.build(load_departments(), embedder)
            step("writing", 0, 1)
            write_generation(index_dir, manifest, passages, vectors, lambda folder: routing.save(folder / ROUTING))
            _remove_old(index_dir)
            step("writing", 1, 1)
    except Timeout:
        raise IndexBusy(f"{index_dir}: another process is writing the index; wait until it is done") from None
    return RebuildReport(
        manifest.generation, len(documents), len(passages), tuple(quarantined), round(time.monotonic() - begun, 2)
    )


def index_state(index_dir: Path) -> Literal["missing", "outdated", "current"]:
    """missing: none was ever built; outdated: the shipped knowledge has changed since. Raises IndexDamaged."""
    try:
        manifest = Manifest.read(current_generation(index_dir))
    except IndexMissing:
        return "missing"
    return "current" if manifest.knowledge_fingerprint == knowledge_fingerprint() else "outdated"


def indexed_source_dirs(index_dir: Path) -> list[Path]:
    """The folders the index that serves was built from, where they still exist; none without an index."""
    try:
        manifest = Manifest.read(current_generation(index_dir))
    except (IndexMissing, IndexDamaged):
        return []
    return [Path(folder) for folder in manifest.source_dirs if Path(folder).is_dir()]


def _checked_folder(folder: Path) -> Path:
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise UnreadableSource(f"{folder}: no such folder; name the folder that holds the documents")
    if not any(path.suffix.lower() in READERS for path in _files_in(folder)):
        raise UnreadableSource(f"{folder}: holds no file daozhen can read; known: {', '.join(READERS)}")
    return folder


def _files_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts):
            yield path


def _read_all(folders: Iterable[Path], step: Progress) -> tuple[list[SourceDocument], list[QuarantineRow]]:
    documents = list(knowledge_documents())
    quarantined: list[QuarantineRow] = []
    files = [(folder, path) for folder in folders for path in _files_in(folder)]
    for number, (folder, path) in enumerate(files, 1):
        try:
            documents.append(read_source(path, folder))
            quarantined += documents[-1].quarantined
        except UnreadableSource as fault:
            quarantined.append(quarantine_row(path.relative_to(folder).as_posix(), fault))
        step("reading", number, len(files))
    return documents, quarantined


def quarantine_row(source_id: str, fault: UnreadableSource) -> QuarantineRow:
    """The row of a file that cannot be read; its fault reads "<file>: <reason>; <remedy>"."""
    reason, _, remedy = str(fault).removeprefix(f"{PurePosixPath(source_id).name}: ").rpartition("; ")
    return QuarantineRow(source_id, None, reason, remedy)


def _embedded(passages: Sequence[Passage], embedder: Embedder, step: Progress) -> np.ndarray:
    """(passages, dimension) float32 of unit length."""
    parts = []
    for start in range(0, len(passages), BATCH):
        parts.append(embedder.encode_passages([passage.embedded_text() for passage in passages[start : start + BATCH]]))
        step("embedding", min(start + BATCH, len(passages)), len(passages))
    return np.ascontiguousarray(np.concatenate(parts), dtype=np.float32)


def _manifest(
    embedder: Embedder, documents: Iterable[SourceDocument], passages: Sequence[Passage], folders: Iterable[Path]
) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        generation=time.strftime("%Y%m%dT%H%M%S") + f"-{time.time_ns() % 1_000_000_000:09d}",
        embedder=embedder.name,
        embedder_fingerprint=embedder.fingerprint,
        dimension=embedder.dimension,
        passages=len(passages),
        knowledge_fingerprint=knowledge_fingerprint(),
        source_dirs=tuple(str(folder) for folder in folders),
        sources={f"{document.source_id}:{number}": document.sha256 for number, document in enumerate(documents)},
        files={},
    )


def _remove_old(index_dir: Path) -> None:
    """Keeps the newest generations; the serving one is among them. Remains of a broken-off rebuild go."""
    folder = index_dir / GENERATIONS
    serving = current_generation(index_dir).name
    finished = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    keep = {serving, *finished[-KEPT_GENERATIONS:]}
    for path in folder.iterdir():
        if path.name not in keep:
            shutil.rmtree(path, ignore_errors=True)
