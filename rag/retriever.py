"""Hybrid retrieval: dense and BM25 ranks fused, one documented score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from knowledge.records import Language
from rag.embedder import Embedder
from rag.facets import PassageFilter
from rag.passage_index import PassageIndex, ServingIndex
from rag.passages import Passage, RetrievedPassage
from rag.ranking_scores import CANDIDATES
from rag.sentences import split_sentences
from rag.subjects import Subject

FOCUS_SHARE = 0.4  # of a question's weight (by rarity) in a sentence that may be judged alone
FUSION_CONSTANT = 30  # reciprocal rank fusion: 1 / (constant + rank)
SOURCE_WEIGHTS = (1.0, 0.5, 0.3)  # of a source's best passages; like the next, chosen on the calibration questions
MEANING_WEIGHT = 0.3  # of what the embedder finds against what the words find, in judging whole sources
DENSE_WEIGHT = 1.0  # with equal weights and this constant the guides' calibration questions are found best


class HybridSearch:
    """Finds passages for a question in the index."""

    def __init__(self, index: PassageIndex | ServingIndex, embedder: Embedder) -> None:
        self._index = index
        self.embedder = embedder
        self._vectors: dict[str, np.ndarray] | None = None  # kept by a reply's own search alone: see `current`

    @property
    def index(self) -> PassageIndex:
        """The generation that serves now; two looks may see two generations (`current` does not change)."""
        return self._index.current() if isinstance(self._index, ServingIndex) else self._index

    def current(self) -> HybridSearch:
        """The same search over the generation that serves now, for everything one reply needs."""
        search = HybridSearch(self.index, self.embedder)
        search._vectors = {}
        return search

    def vector(self, question: str) -> np.ndarray:
        """(dimension,) float32 of unit length. Made once for a question within one reply, never kept beyond it."""
        if self._vectors is None:
            return self.embedder.encode_queries([question])[0]
        if question not in self._vectors:
            self._vectors[question] = self.embedder.encode_queries([question])[0]
        return self._vectors[question]

    def search(
        self, question: str, k: int, only: PassageFilter = PassageFilter(), min_score: float = 0.0
    ) -> list[RetrievedPassage]:
        """The k passages that fit the question best, best first; those below min_score are left out."""
        index = self.index
        query = self.vector(question)
        dense = [row for row, _ in index.nearest(query, CANDIDATES, only)]
        lexical = _best_by_words(index.lexical.scores(question), index.admitted(only))
        rows = fuse_ranks([(dense, DENSE_WEIGHT), (lexical, 1.0)])[: max(2 * k, k + 10)]
        scores = _relevance(index, query, question, rows)
        kept = [(row, score) for row, score in zip(rows, scores, strict=True) if score >= min_score][:k]
        passages = index.passages.at(row for row, _ in kept)
        return [RetrievedPassage(passage, score) for passage, (_, score) in zip(passages, kept, strict=True)]

    def subject(self, question: str, language: Language, told: str = "") -> Subject:
        """What a question is about, by the names of the sources in a language."""
        return self.index.subjects(language).read(question, told)

    def cosine(self, question: str, passage: Passage) -> float:
        """The cosine of a question and a passage of the index; 0 where the index does not hold it."""
        rows = self.index.passages.rows_of_ids([passage.passage_id])
        query = self.vector(question)
        return (
            max(
                (float(value) for value in self.index.vectors.cosines(query, np.array(list(rows.values())))),
                default=0.0,
            )
            if rows
            else 0.0
        )

    def reach(self, question: str, only: PassageFilter) -> tuple[float, float, float]:
        """How near the question comes to anything a filter admits: the best cosine, the best BM25 score for each unit of
        the question's rarity, and that score's logarithm (of 1 and it)."""
        index = self.index
        nearest = index.nearest(self.vector(question), 1, only)
        scores, admitted = index.lexical.scores(question), index.admitted(only)
        best = float(scores.max() if admitted is None else scores[admitted].max(initial=0.0)) if len(scores) else 0.0
        weight = sum(index.lexical.weights(question).values())
        return (nearest[0][1] if nearest else 0.0), (best / weight if weight else 0.0), math.log1p(best)

    def source_strengths(self, question: str, only: PassageFilter) -> dict[str, float]:
        """How strongly each source speaks to a question, by source id: its three best passages together, by words and
        by meaning, each against the best source of that kind."""
        index = self.index
        by_meaning = index.nearest(self.vector(question), CANDIDATES, only)
        scores = index.lexical.scores(question)
        by_words = [(row, float(scores[row])) for row in _best_by_words(scores, index.admitted(only))]
        strengths: dict[str, float] = {}
        for ranking, weight in ((by_words, 1.0), (by_meaning, MEANING_WEIGHT)):
            together = _together(ranking, *index.sources)
            best = max(together.values(), default=0.0)
            for source_id, value in together.items():
                strengths[source_id] = strengths.get(source_id, 0.0) + (weight * value / best if best > 0 else 0.0)
        return strengths

    def passages_of(self, source_id: str, language: str) -> list[Passage]:
        """Every passage of a source in a language, in order."""
        rows = self.index.rows_of(PassageFilter(language, source_ids=frozenset([source_id])))
        return [passage for passage in self.index.passages.at(rows) if passage.source_id == source_id]


def _together(ranking: Sequence[tuple[int, float]], places: np.ndarray, names: np.ndarray) -> dict[str, float]:
    """Source id → its best passages' scores, weighted by SOURCE_WEIGHTS and added up."""
    by_source: dict[str, list[float]] = {}
    for row, score in ranking:
        by_source.setdefault(str(names[places[row]]), []).append(score)
    return {
        source_id: sum(
            score * weight for score, weight in zip(sorted(scores, reverse=True), SOURCE_WEIGHTS, strict=False)
        )
        for source_id, scores in by_source.items()
    }


def _best_by_words(scores: np.ndarray, admitted: np.ndarray | None) -> list[int]:
    """At most CANDIDATES rows that hold any of the question's words, best first, the lower row first among equals."""
    if admitted is not None:
        scores = np.where(admitted, scores, 0)
    if len(scores) > CANDIDATES:
        least = np.partition(scores, -CANDIDATES)[-CANDIDATES]
        rows = np.flatnonzero(scores > max(least, 0))
        if least > 0:
            rows = np.concatenate([rows, np.flatnonzero(scores == least)[: CANDIDATES - len(rows)]])
    else:
        rows = np.flatnonzero(scores > 0)
    best: list[int] = rows[np.lexsort((rows, -scores[rows]))].tolist()
    return best


def _relevance(index: PassageIndex, query: np.ndarray, question: str, rows: Sequence[int]) -> list[float]:
    """The documented score of each row, in [0, 1]."""
    if not rows:
        return []
    covered = index.lexical.shares_covered(_focus_weights(index, question), rows)
    cosines = np.maximum(0.0, index.vectors.cosines(query, np.asarray(rows)).astype(np.float64))
    return [round(float(score), 4) for score in (cosines + covered) / 2]


def _focus_weights(index: PassageIndex, question: str) -> list[dict[str, float]]:
    """The words of the question, and those of each of its sentences that carries enough of it to be asked alone."""
    whole = index.lexical.weights(question)
    enough = FOCUS_SHARE * sum(whole.values())
    parts = (index.lexical.weights(sentence.text) for sentence in split_sentences(question))
    return [whole, *(part for part in parts if sum(part.values()) >= enough)]


def fuse(dense: Sequence[int], lexical: Sequence[int]) -> list[int]:
    """Rows of both rankings as the assistant fuses them, best first."""
    return fuse_ranks([(dense, DENSE_WEIGHT), (lexical, 1.0)])


def fuse_ranks(rankings: Sequence[tuple[Sequence[int], float]]) -> list[int]:
    """Weighted reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009): rows, best first."""
    scores: dict[int, float] = {}
    for rows, weight in rankings:
        for rank, row in enumerate(rows, 1):
            scores[row] = scores.get(row, 0.0) + weight / (FUSION_CONSTANT + rank)
    return sorted(scores, key=lambda row: -scores[row])
