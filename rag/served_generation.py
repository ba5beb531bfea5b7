"""A generation in a served store, answering what retrieval asks of an open one (rag/open_generation.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knowledge.errors import IndexDamaged, StoreUnavailable
from knowledge.records import Language
from rag.facets import PassageFilter
from rag.lexical import LexicalIndex
from rag.manifest import Manifest
from rag.milvus_faults import COPY
from rag.open_generation import Held, Ranking, Weighed
from rag.passage_index import LEXICAL
from rag.passages import Passage
from rag.served_files import folder_of
from rag.served_rows import PASSAGE, key_of, page_key, pages_of, passage_of, seal_of
from rag.subjects import SubjectNames
from rag.words import share_covered, tokens_of, words_fingerprint

if TYPE_CHECKING:
    from rag.milvus_collection import Collection
    from rag.milvus_store import MilvusStore

_RANKED = ("row", "source")


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
            folder = folder_of(index_dir, generation, seal, beside)
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
        found = self._passages.at(rows, ("vector", *PASSAGE))
        return [self._weighed(found[row], query, focuses) for row in rows]

    def cosine_of(self, passage_id: str, query: np.ndarray) -> float:
        found = self._passages.those(f"passage_key == {key_of(passage_id)}", ("vector", *PASSAGE))
        return max(
            (_cosine(row, query) for row in found if passage_of(row).passage_id == passage_id),
            default=0.0,
        )

    def of_source(self, source_id: str, language: str | None = None) -> list[Passage]:
        within = f"source_key == {key_of(source_id)}"
        within += "" if language is None else f" and language_key == {key_of(language)}"
        found = (passage_of(row) for row in self._passages.those(within, PASSAGE))
        return [passage for passage in found if passage.source_id == source_id]

    def held_at(self, rows: Sequence[int]) -> list[Held]:
        found = self._passages.at(rows, ("vector", "added", *PASSAGE))
        return [
            Held(passage_of(one), _vector(one), json.loads(one["added"]) if one["added"] else None)
            for one in map(found.__getitem__, rows)
        ]

    def rows_of_ids(self, passage_ids: Sequence[str]) -> dict[str, int]:
        keys = ", ".join(str(key_of(name)) for name in passage_ids)
        found = self._passages.those(f"passage_key in [{keys}]", PASSAGE) if keys else []
        rows = {passage_of(one).passage_id: int(one["row"]) for one in found}
        return {name: rows[name] for name in passage_ids if name in rows}

    def guides(self) -> Iterator[Passage]:
        return map(passage_of, self._passages.those('kind == "guide"', PASSAGE))

    def subjects(self, language: Language) -> SubjectNames:
        if language not in self._subjects:
            firsts: dict[str, Passage] = {}
            for row in self._passages.those(where(PassageFilter(language)), PASSAGE):
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


def _cosine(row: dict[str, Any], query: np.ndarray) -> float:
    return float(_vector(row) @ query)


def _vector(row: dict[str, Any]) -> np.ndarray:
    return np.asarray(row["vector"], dtype=np.float32)
