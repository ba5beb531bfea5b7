"""The passage index on disk: immutable generations, one pointer, nothing half read.

    index/
      CURRENT                    the name of the generation that serves
      generations/<name>/
        manifest.json            format, embedder, counts, sources, sha256 of every file
        passages.jsonl  vectors.faiss  lexical/*  routing.npz

A generation is written beside the others and takes over by one atomic replacement of CURRENT.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.errors import IndexDamaged, IndexMissing
from rag.lexical import LexicalIndex
from rag.passages import Passage

FORMAT_VERSION = 1
POINTER, GENERATIONS, MANIFEST = "CURRENT", "generations", "manifest.json"
PASSAGES, VECTORS, LEXICAL = "passages.jsonl", "vectors.faiss", "lexical"
REBUILD = "run `daozhen index rebuild`"


@dataclass(frozen=True)
class Manifest:
    """What a generation is. files: relative path -> sha256; sources: source_id -> sha256 of the source's bytes."""

    format_version: int
    generation: str
    embedder: str
    embedder_fingerprint: str
    dimension: int
    passages: int
    knowledge_fingerprint: str
    source_dirs: tuple[str, ...]
    sources: dict[str, str]
    files: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a generation's folder. Raises IndexDamaged where it is missing or not of this format."""
        try:
            values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            manifest = cls(**{**values, "source_dirs": tuple(values["source_dirs"])})
        except (OSError, ValueError, TypeError, KeyError):
            raise IndexDamaged(f"{folder / MANIFEST}: missing or unreadable; {REBUILD}") from None
        if manifest.format_version != FORMAT_VERSION:
            raise IndexDamaged(
                f"{folder}: index format {manifest.format_version}, this version reads {FORMAT_VERSION}; {REBUILD}"
            )
        return manifest

    def write(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")


class PassageIndex:
    """An open generation: its passages, their vectors, their words."""

    def __init__(
        self, manifest: Manifest, folder: Path, passages: list[Passage], vectors: Any, lexical: LexicalIndex
    ) -> None:
        self.manifest = manifest
        self.folder = folder
        self.passages = passages
        self.lexical = lexical
        self._vectors = vectors

    @classmethod
    def open(cls, index_dir: Path) -> PassageIndex:
        """The generation that serves, verified byte by byte.

        Raises IndexMissing when none was ever built, IndexDamaged naming the file that is not as it was written.
        """
        folder = current_generation(index_dir)
        manifest = Manifest.read(folder)
        verify(folder, manifest)
        passages = [
            Passage.from_row(json.loads(line)) for line in (folder / PASSAGES).read_text(encoding="utf-8").splitlines()
        ]
        vectors = _faiss().read_index(str(folder / VECTORS))
        if not len(passages) == vectors.ntotal == manifest.passages:
            raise IndexDamaged(f"{folder}: {len(passages)} passages, {vectors.ntotal} vectors; {REBUILD}")
        return cls(manifest, folder, passages, vectors, LexicalIndex.load(folder / LEXICAL))

    def nearest(self, query: np.ndarray, k: int, rows: np.ndarray | None = None) -> list[tuple[int, float]]:
        """(row, cosine) of the k passages nearest to a query, best first; only among `rows` when given.

        query: (dimension,) float32 of unit length. rows: (m,) int64.
        """
        faiss = _faiss()
        chosen = None if rows is None else faiss.SearchParameters(sel=faiss.IDSelectorBatch(rows))
        scores, found = self._vectors.search(query[None, :], k, params=chosen)
        return [(int(row), float(score)) for score, row in zip(scores[0], found[0], strict=True) if row != -1]

    def cosine(self, query: np.ndarray, row: int) -> float:
        """The cosine of a query and one passage."""
        return float(query @ self._vectors.reconstruct(row))

    def rows_where(self, holds: Callable[[Passage], bool]) -> np.ndarray:
        """(m,) int64: rows of the passages for which `holds`."""
        return np.array([row for row, passage in enumerate(self.passages) if holds(passage)], dtype=np.int64)


def write_generation(
    index_dir: Path,
    manifest: Manifest,
    passages: Sequence[Passage],
    vectors: np.ndarray,
    extra_files: Callable[[Path], None],
) -> Manifest:
    """Writes a generation and makes it the one that serves. Until the last step readers see the old one.

    vectors: (passages, dimension) float32 of unit length. extra_files writes further files into the folder it is given.
    """
    building = index_dir / GENERATIONS / f".building-{manifest.generation}"
    (building / LEXICAL).mkdir(parents=True)
    lines = (json.dumps(passage.as_row(), ensure_ascii=False) for passage in passages)
    (building / PASSAGES).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    LexicalIndex.build([passage.embedded_text() for passage in passages]).save(building / LEXICAL)
    flat = _faiss().IndexFlatIP(manifest.dimension)
    flat.add(vectors)
    _faiss().write_index(flat, str(building / VECTORS))
    extra_files(building)
    finished = Manifest(**{**asdict(manifest), "files": _hashes(building)})
    finished.write(building)
    for path in (*building.rglob("*"), building):
        _flush(path)
    os.replace(building, index_dir / GENERATIONS / manifest.generation)
    _point_at(index_dir, manifest.generation)
    return finished


def current_generation(index_dir: Path) -> Path:
    """The folder of the generation that serves; raises IndexMissing when there is none."""
    try:
        name = (index_dir / POINTER).read_text(encoding="utf-8").strip()
    except OSError:
        raise IndexMissing(f"no passage index in {index_dir}; {REBUILD}") from None
    folder = index_dir / GENERATIONS / name
    if not name or not folder.is_dir():
        raise IndexDamaged(f"{index_dir / POINTER}: names generation {name!r}, which is not there; {REBUILD}")
    return folder


def verify(folder: Path, manifest: Manifest) -> None:
    """Raises IndexDamaged naming the first file that is missing or not as it was written."""
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise IndexDamaged(f"{path}: missing; {REBUILD}")
        if sha256_of(path) != expected:
            raise IndexDamaged(f"{path}: not as it was written; {REBUILD}")


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _point_at(index_dir: Path, generation: str) -> None:
    fresh = index_dir / f"{POINTER}.new"
    fresh.write_text(generation + "\n", encoding="utf-8")
    _flush(fresh)
    os.replace(fresh, index_dir / POINTER)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _faiss() -> Any:
    import faiss

    faiss.omp_set_num_threads(1)  # two threads answer a single query 5-12 times more slowly
    return faiss
