"""An open generation of the index: its passages, their vectors, their words, and what they may be filtered by.

generations/<name>/
  manifest.json  manifest.json.sha256    what it is, and the seal of every file (rag/manifest.py)
  passages.sqlite  numbers.npy           documents, sections, passages; each row's number there (rag/passage_store.py)
  vectors.faiss  lists.faiss             exact vectors; lists only beyond exact search (rag/vector_index.py)
  lexical/  facets.npz                   BM25 postings; rows by language, department, source
  keys.npy  likeness.npz                 what the next update compares by
  routing/                               the departments' phrases (rag/routing.py)
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from knowledge.errors import IndexDamaged
from knowledge.records import Language
from rag.facets import Facets, PassageFilter
from rag.generations import current_generation, finished_generations, pointer_state
from rag.lexical import LexicalIndex
from rag.likeness import Likeness
from rag.manifest import REBUILD, Manifest, verify
from rag.open_generation import Held, Ranking, Weighed
from rag.passage_store import PassageStore
from rag.passages import Passage
from rag.subjects import SubjectNames
from rag.vector_index import VectorIndex

PASSAGES, LEXICAL, FACETS, KEYS, LIKENESS = "passages.sqlite", "lexical", "facets.npz", "keys.npy", "likeness.npz"
NUMBERS, ROUTING = "numbers.npy", "routing"
_FILTERS_REMEMBERED = 64

_log = logging.getLogger("daozhen.index")  # faults of files only; what patients say is never logged


class PassageIndex:
    """An open generation. It never changes; a newer one is another object (`ServingIndex`)."""

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        passages: PassageStore,
        vectors: VectorIndex,
        lexical: LexicalIndex,
        facets: Facets,
    ) -> None:
        self.manifest = manifest
        self.folder = folder
        self.passages = passages
        self.vectors = vectors
        self.lexical = lexical
        self.facets = facets
        self.admitted = lru_cache(_FILTERS_REMEMBERED)(self._admitted)
        self._subjects: dict[str, SubjectNames] = {}

    @classmethod
    def open(cls, index_dir: Path, embedder_fingerprint: str | None = None) -> PassageIndex:
        """The generation that serves, verified byte by byte; where it is damaged, the last good one, with a warning.

        embedder_fingerprint: an older generation of another embedder is no substitute then.
        Raises IndexMissing when none was ever built, IndexDamaged naming what is not as it was written.
        """
        damage: IndexDamaged | None = None
        for folder in _candidates(index_dir):
            if isinstance(folder, IndexDamaged):
                damage = folder
                continue
            try:
                index = cls.open_generation(folder)
            except IndexDamaged as fault:
                if pointer_state(index_dir) is not None and not folder.is_dir():
                    return cls.open(index_dir, embedder_fingerprint)  # replaced and removed while it was being opened
                damage = damage or fault
                continue
            if damage is None:
                return index
            if embedder_fingerprint in (None, index.manifest.embedder_fingerprint):
                _log.warning("daozhen: warning: %s. Until then generation %s serves", damage, folder.name)
                return index
        raise damage or IndexDamaged(f"{index_dir}: no generation can be opened; {REBUILD}")

    @classmethod
    def open_generation(cls, folder: Path) -> PassageIndex:
        """One generation, verified. Raises IndexDamaged naming the file that is not as it was written."""
        manifest = Manifest.read(folder)
        verify(folder, manifest)
        try:
            index = cls(
                manifest,
                folder,
                PassageStore(folder / PASSAGES, np.load(folder / NUMBERS, allow_pickle=False)),
                VectorIndex.load(folder),
                LexicalIndex.load(folder / LEXICAL),
                Facets.load(folder / FACETS),
            )
        except (OSError, ValueError, KeyError, RuntimeError, sqlite3.DatabaseError) as fault:
            raise IndexDamaged(f"{folder}: cannot be opened ({fault}); {REBUILD}") from None
        sizes = {len(index.passages), len(index.vectors), len(index.lexical.lengths), index.facets.size}
        if sizes != {manifest.passages}:
            raise IndexDamaged(f"{folder}: its files hold different numbers of passages; {REBUILD}")
        return index

    @cached_property
    def keys(self) -> np.ndarray:
        """(n,) uint64; see rag.arrivals.key_of."""
        return np.asarray(np.load(self.folder / KEYS, allow_pickle=False))

    @cached_property
    def likeness(self) -> Likeness:
        """By what passages that say the same find each other."""
        return Likeness.load(self.folder / LIKENESS)

    @cached_property
    def sources(self) -> tuple[np.ndarray, np.ndarray]:
        """((n,) int32, (s,) str): for each row the place of its source, and the sources."""
        return self.facets.first_of_rows("source"), self.facets.by_name["source"].values

    def subjects(self, language: Language) -> SubjectNames:
        """What the sources in a language are called."""
        if language not in self._subjects:
            rows = self.rows_of(PassageFilter(language))
            _, firsts = np.unique(self.sources[0][rows], return_index=True)
            self._subjects[language] = SubjectNames(self.passages.at(rows[firsts]), language, self.lexical.holds)
        return self._subjects[language]

    def _admitted(self, only: PassageFilter) -> np.ndarray | None:
        """(n,) bool, or None where a filter admits everything."""
        return self.facets.mask(only) if only.wanted() else None

    def rows_of(self, only: PassageFilter) -> np.ndarray:
        """(m,) int64: the rows a filter admits, ascending."""
        admitted = self.admitted(only)
        return np.arange(len(self.passages)) if admitted is None else np.flatnonzero(admitted)

    def nearest(self, query: np.ndarray, k: int, only: PassageFilter = PassageFilter()) -> list[tuple[int, float]]:
        """(row, cosine) of the k passages nearest to a query among those a filter admits, best first.

        query: (dimension,) float32 of unit length.
        """
        rows, cosines = self.vectors.nearest(query, k, self.admitted(only))
        return list(zip(rows.tolist(), cosines.tolist(), strict=True))

    def by_meaning(self, query: np.ndarray, k: int, only: PassageFilter) -> Ranking:
        rows, cosines = self.vectors.nearest(query, k, self.admitted(only))
        order = np.lexsort((rows, -cosines))  # FAISS leaves equals in no order
        return self._ranking(rows[order], cosines[order])

    def by_words(self, question: str, k: int, only: PassageFilter) -> Ranking:
        scores, admitted = self.lexical.scores(question), self.admitted(only)
        if admitted is not None:
            scores = np.where(admitted, scores, 0)
        rows = _best(scores, k)
        return self._ranking(rows, scores[rows])

    def word_weights(self, text: str) -> dict[str, float]:
        return self.lexical.weights(text)

    def weighed(self, rows: Sequence[int], query: np.ndarray, focuses: Sequence[dict[str, float]]) -> list[Weighed]:
        if not rows:
            return []
        cosines = self.vectors.cosines(query, np.asarray(rows)).tolist()
        covered = self.lexical.shares_covered(focuses, rows).tolist()
        return [Weighed(*one) for one in zip(self.passages.at(rows), cosines, covered, strict=True)]

    def cosine_of(self, passage_id: str, query: np.ndarray) -> float:
        row = self.passages.rows_of_ids([passage_id]).get(passage_id)
        return 0.0 if row is None else float(self.vectors.cosines(query, np.array([row]))[0])

    def of_source(self, source_id: str, language: str | None = None) -> list[Passage]:
        rows = self.rows_of(PassageFilter(language, source_ids=frozenset([source_id])))
        return [passage for passage in self.passages.at(rows) if passage.source_id == source_id]

    def held_at(self, rows: Sequence[int]) -> list[Held]:
        return [
            Held(stored.passage, self.vectors.vectors[row], self.passages.document_head(stored.document).added())
            for row, stored in zip(rows, self.passages.stored_at(rows), strict=True)
        ]

    def rows_of_ids(self, passage_ids: Sequence[str]) -> dict[str, int]:
        return self.passages.rows_of_ids(passage_ids)

    def guides(self) -> Iterator[Passage]:
        return (passage for passage in self.passages if passage.kind == "guide")

    def _ranking(self, rows: np.ndarray, scores: np.ndarray) -> Ranking:
        places, names = self.sources
        return Ranking(rows.tolist(), scores.tolist(), names[places[rows]].tolist())

    def page_text(self, source_id: str, page: int | None, section: str, quote: str = "") -> str | None:
        """The whole text of the page or section a quote stands in; None where the source has no such text."""
        return self.passages.page_text(source_id, page, section, quote)


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    """(at most k,) rows of a score above 0, best first, the lower row first among equals."""
    if len(scores) > k:
        least = np.partition(scores, -k)[-k]
        rows = np.flatnonzero(scores > max(least, 0))
        if least > 0:
            rows = np.concatenate([rows, np.flatnonzero(scores == least)[: k - len(rows)]])
    else:
        rows = np.flatnonzero(scores > 0)
    return np.asarray(rows[np.lexsort((rows, -scores[rows]))])


def serving_manifest(index_dir: Path) -> Manifest:
    """The manifest of the generation that serves, or of the newest good one; its files are not looked at.

    Raises IndexMissing when none was ever built, IndexDamaged where no manifest can be trusted.
    """
    damage: IndexDamaged | None = None
    for folder in _candidates(index_dir):
        if isinstance(folder, IndexDamaged):
            damage = folder
            continue
        try:
            return Manifest.read(folder)
        except IndexDamaged as fault:
            damage = damage or fault
    raise damage or IndexDamaged(f"{index_dir}: no generation can be opened; {REBUILD}")


def _candidates(index_dir: Path) -> Iterator[Path | IndexDamaged]:
    """The generation that serves (or why none does), then the others, newest first."""
    serving = None
    try:
        serving = current_generation(index_dir)
        yield serving
    except IndexDamaged as fault:
        yield fault
    for folder in reversed(finished_generations(index_dir)):
        if folder != serving:
            yield folder
