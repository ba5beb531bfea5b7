"""Hybrid retrieval: dense and BM25 ranks fused, one documented score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag.embedder import Embedder
from rag.lexical import share_covered, tokens_of
from rag.passage_index import PassageIndex
from rag.passages import Passage, RetrievedPassage
from rag.sentences import split_sentences

CANDIDATES = 60  # taken from either ranking before they are fused
FOCUS_SHARE = 0.4  # of a question's weight (by rarity) in a sentence that may be judged alone
FUSION_CONSTANT = 10  # reciprocal rank fusion: 1 / (constant + rank); 10 did best with this embedder's family
DENSE_WEIGHT = 0.7  # the static embedder ranks below BM25 alone


@dataclass(frozen=True)
class PassageFilter:
    """Which passages may be found; None leaves a side open. Applied before the search, never after."""

    language: str | None = None
    departments: frozenset[str] | None = None
    source_ids: frozenset[str] | None = None

    def admits(self, passage: Passage) -> bool:
        return (
            (self.language is None or passage.language == self.language)
            and (self.departments is None or bool(self.departments.intersection(passage.departments)))
            and (self.source_ids is None or passage.source_id in self.source_ids)
        )


class HybridSearch:
    """Finds passages for a question in an open index."""

    def __init__(self, index: PassageIndex, embedder: Embedder) -> None:
        self.index = index
        self.embedder = embedder
        self._rows: dict[PassageFilter, np.ndarray] = {}

    def search(
        self, question: str, k: int, only: PassageFilter = PassageFilter(), min_score: float = 0.0
    ) -> list[RetrievedPassage]:
        """The k passages that fit the question best, best first; those below min_score are left out."""
        rows = self._rows_for(only)
        if not rows.size:
            return []
        query = self.embedder.encode_queries([question])[0]
        dense = [
            row
            for row, _ in self.index.nearest(
                query, min(CANDIDATES, rows.size), rows if only != PassageFilter() else None
            )
        ]
        lexical_scores = self.index.lexical.scores(question)[rows]
        best = np.argsort(-lexical_scores, kind="stable")[:CANDIDATES]
        lexical = [int(rows[place]) for place in best if lexical_scores[place] > 0]
        fused = fuse(dense, lexical)
        weights = self._focus_weights(question)
        found = (
            RetrievedPassage(self.index.passages[row], self._relevance(query, weights, row))
            for row in fused[: max(2 * k, k + 10)]
        )
        return [passage for passage in found if passage.score >= min_score][:k]

    def cosine(self, question: str, passage: Passage) -> float:
        """The cosine of a question and a passage of the index."""
        query = self.embedder.encode_queries([question])[0]
        return max(
            (
                self.index.cosine(query, row)
                for row in self._rows_of(passage.source_id)
                if self.index.passages[row] == passage
            ),
            default=0.0,
        )

    def passages_of(self, source_id: str, language: str) -> list[Passage]:
        """Every passage of a source in a language, in order."""
        return [found for row in self._rows_of(source_id) if (found := self.index.passages[row]).language == language]

    def _rows_of(self, source_id: str) -> list[int]:
        return [int(row) for row in self._rows_for(PassageFilter(source_ids=frozenset({source_id})))]

    def _relevance(self, query: np.ndarray, weights: list[dict[str, float]], row: int) -> float:
        tokens = tokens_of(self.index.passages[row].embedded_text())
        covered = max(share_covered(part, tokens) for part in weights)
        return round((max(0.0, self.index.cosine(query, row)) + covered) / 2, 4)

    def _focus_weights(self, question: str) -> list[dict[str, float]]:
        """The words of the question, and those of each of its sentences that carries enough of it to be asked alone."""
        whole = self.index.lexical.weights(question)
        enough = FOCUS_SHARE * sum(whole.values())
        parts = (self.index.lexical.weights(sentence.text) for sentence in split_sentences(question))
        return [whole, *(part for part in parts if sum(part.values()) >= enough)]

    def _rows_for(self, only: PassageFilter) -> np.ndarray:
        if only not in self._rows:
            self._rows[only] = self.index.rows_where(only.admits)
        return self._rows[only]


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
