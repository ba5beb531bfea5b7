"""A generation in a served store, answering what retrieval asks of an open one (rag/open_generation.py)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knowledge.errors import IndexDamaged, StoreUnavailable
from knowledge.records import Language
from rag.facets import PassageFilter
from rag.generations import GENERATIONS
from rag.lexical import LexicalIndex, share_covered, tokens_of, words_fingerprint
from rag.manifest import MANIFEST, MANIFEST_SEAL, Manifest, faults
from rag.milvus_faults import COPY
from rag.open_generation import Held, Ranking, Weighed
from rag.passage_index import LEXICAL, ROUTING
from rag.passages import Passage
from rag.prepared import PREPARED
from rag.subjects import SubjectNames

if TYPE_CHECKING:
    from rag.milvus_store import Collection, MilvusStore

SERVED = "served"  # folder of the index folder: the small files of generations that are served from elsewhere
FILE, PAGE, SEAL = "file", "page", "seal"  # kinds of rows beside the passages
NO_WORD = 0  # the dimension that says a passage holds no word; of a word it is its place among the tokens and one
_KEPT_FOLDERS = 2
_RANKED = ("row", "source")
_PASSAGE = ("text", "body", "also_in")


class ServedGeneration:
    """An open generation whose passages, vectors and words a store holds. Here are only its small files."""

    def __init__(self, manifest: Manifest, folder: Path, passages: Collection, beside: Collection) -> None:
        self.manifest = manifest
        self.folder = folder
        self._passages = passages
        self._beside = beside
        self._words = LexicalIndex.load_words(folder / LEXICAL, manifest.passages)
        self._subjects: dict[str, SubjectNames] = {}

    @classmethod
    def open(cls, store: MilvusStore, generation: str, index_dir: Path) -> ServedGeneration:
        """A whole generation. Raises StoreUnavailable naming the collection where it is half-copied or does not fit."""
        passages, beside = store.passages(generation), store.beside(generation)
        seal = seal_of(beside)
        if seal is None or not passages.exists():
            raise StoreUnavailable(f"Milvus collection {passages.name}: half-copied; {COPY}")
        try:
            folder = _local_folder(index_dir, generation, seal) or _fetched(index_dir, generation, seal, beside)
            manifest = Manifest.read(folder)
        except IndexDamaged as fault:
            raise StoreUnavailable(f"Milvus collection {passages.name}: {fault}") from None
        count, dimension = passages.count(), passages.dimension()
        if (count, dimension) != (manifest.passages, manifest.dimension):
            raise StoreUnavailable(
                f"Milvus collection {passages.name}: holds {count} passages of {dimension} dimensions where its manifest "
                f"says {manifest.passages} of {manifest.dimension}; {COPY}"
            )
        if manifest.words_fingerprint != words_fingerprint():
            raise StoreUnavailable(
                f"Milvus collection {passages.name}: its words were made by another version of daozhen; "
                "run `daozhen index rebuild`"
            )
        return cls(manifest, folder, passages, beside)

    def by_meaning(self, query: np.ndarray, k: int, only: PassageFilter) -> Ranking:
        return self._ranked("vector", query.tolist(), k, only)

    def by_words(self, question: str, k: int, only: PassageFilter) -> Ranking:
        weights = {place + 1: weight for place, weight in self._words.query_weights(question).items()}
        return self._ranked("words", weights, k, only) if weights else Ranking([], [], [])

    def word_weights(self, text: str) -> dict[str, float]:
        return self._words.weights(text)

    def weighed(self, rows: Sequence[int], query: np.ndarray, focuses: Sequence[dict[str, float]]) -> list[Weighed]:
        found = self._passages.at(rows, ("vector", *_PASSAGE))
        return [self._weighed(found[row], query, focuses) for row in rows]

    def cosine_of(self, passage_id: str, query: np.ndarray) -> float:
        found = self._passages.those(f"passage_key == {key_of(passage_id)}", ("vector", *_PASSAGE))
        return max(
            (_cosine(row, query) for row in found if passage_of(row).passage_id == passage_id),
            default=0.0,
        )

    def of_source(self, source_id: str, language: str | None = None) -> list[Passage]:
        within = f"source_key == {key_of(source_id)}"
        within += "" if language is None else f" and language_key == {key_of(language)}"
        found = (passage_of(row) for row in self._passages.those(within, _PASSAGE))
        return [passage for passage in found if passage.source_id == source_id]

    def held_at(self, rows: Sequence[int]) -> list[Held]:
        found = self._passages.at(rows, ("vector", "added", *_PASSAGE))
        return [
            Held(passage_of(one), _vector(one), json.loads(one["added"]) if one["added"] else None)
            for one in map(found.__getitem__, rows)
        ]

    def rows_of_ids(self, passage_ids: Sequence[str]) -> dict[str, int]:
        keys = ", ".join(str(key_of(name)) for name in passage_ids)
        found = self._passages.those(f"passage_key in [{keys}]", _PASSAGE) if keys else []
        rows = {passage_of(one).passage_id: int(one["row"]) for one in found}
        return {name: rows[name] for name in passage_ids if name in rows}

    def guides(self) -> Iterator[Passage]:
        return map(passage_of, self._passages.those('kind == "guide"', _PASSAGE))

    def subjects(self, language: Language) -> SubjectNames:
        if language not in self._subjects:
            firsts: dict[str, Passage] = {}
            for row in self._passages.those(where(PassageFilter(language)), _PASSAGE):
                passage = passage_of(row)
                firsts.setdefault(passage.source_id, passage)
            self._subjects[language] = SubjectNames(firsts.values(), language, self._words.holds)
        return self._subjects[language]

    def page_text(self, source_id: str, page: int | None, section: str, quote: str = "") -> str | None:
        for row in pages_of(self._beside, page_key(source_id, page, section)):
            if quote in row["text"]:
                return str(row["text"])
        return None

    def _ranked(self, field: str, vector: Any, k: int, only: PassageFilter) -> Ranking:
        # more than are wanted: equals are put in the order of their rows before the ranking is cut
        found = self._passages.nearest(field, vector, 2 * k, where(only), _RANKED)
        best = sorted(((-score, int(row["row"]), row["source"]) for row, score in found))[:k]
        return Ranking([row for _, row, _ in best], [-score for score, _, _ in best], [source for *_, source in best])

    def _weighed(self, row: dict[str, Any], query: np.ndarray, focuses: Sequence[dict[str, float]]) -> Weighed:
        passage = passage_of(row)
        held = tokens_of(passage.embedded_text())
        covered = max((share_covered(weights, held) for weights in focuses), default=0.0)
        return Weighed(passage, _cosine(row, query), covered)


def where(only: PassageFilter) -> str:
    """A filter in the store's words. Values are named by keys, so that nothing a value holds is read as a condition."""
    parts = [] if only.language is None else [f"language_key == {key_of(only.language)}"]
    for field, values in (("department_keys", only.departments), ("source_keys", only.source_ids)):
        if values is not None:
            keys = ", ".join(str(key_of(value)) for value in sorted(values))
            parts.append(f"array_contains_any({field}, [{keys}])" if keys else "row < 0")
    return " and ".join(parts)


def key_of(value: str) -> int:
    """63 bits that stand for a text in filters."""
    return int.from_bytes(hashlib.blake2b(value.encode(errors="replace"), digest_size=8).digest(), "little") >> 1


def page_key(source_id: str, page: int | None, heading: str) -> int:
    """Stands for a page or section of a source."""
    return key_of("\0".join((source_id, "" if page is None else str(page), heading)))


def passage_of(row: dict[str, Any]) -> Passage:
    """The passage a row of the store holds."""
    return replace(Passage.from_row({**json.loads(row["body"]), "text": row["text"]}), also_in=tuple(row["also_in"]))


def pages_of(beside: Collection, key: int) -> Iterator[dict[str, Any]]:
    """The pages of a key, their parts put together."""
    whole: dict[int, str] = {}
    for row in beside.those(f"page_key == {key}", ("text", "number")):
        whole[row["number"]] = whole.get(row["number"], "") + row["text"]
    yield from ({"number": number, "text": text} for number, text in whole.items())


def seal_of(beside: Collection) -> dict[str, Any] | None:
    """What was written last: its presence says that the copy is whole. None for a half-copied generation."""
    if not beside.exists():
        return None
    rows = beside.those(f'kind == "{SEAL}"', ("text",), latest=True)
    return json.loads(rows[0]["text"]) if rows else None


def small_files(manifest: Manifest) -> list[str]:
    """The files a reader needs beside the store: rules, departments' phrases, and how rare words are."""
    words = (f"{LEXICAL}/tokens.npy", f"{LEXICAL}/starts.npy")
    return [name for name in manifest.files if name in (*words, PREPARED) or name.startswith(f"{ROUTING}/")]


def _cosine(row: dict[str, Any], query: np.ndarray) -> float:
    return float(_vector(row) @ query)


def _vector(row: dict[str, Any]) -> np.ndarray:
    return np.asarray(row["vector"], dtype=np.float32)


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
