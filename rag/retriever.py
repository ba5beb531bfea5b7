"""Hybrid retrieval: dense and BM25 ranks fused, one documented score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from knowledge.errors import StoreUnavailable
from knowledge.records import Language
from rag.embedder import Embedder
from rag.facets import PassageFilter
from rag.open_generation import OpenGeneration, Ranking, Served, Serving, Weighed
from rag.passages import Passage, RetrievedPassage
from rag.ranking_scores import CANDIDATES
from rag.sentences import split_sentences
from rag.subjects import Subject

T = TypeVar("T")

FOCUS_SHARE = 0.4  # of a question's weight (by rarity) in a sentence that may be judged alone
FUSION_CONSTANT = 30  # reciprocal rank fusion: 1 / (constant + rank)
SOURCE_WEIGHTS = (1.0, 0.5, 0.3)  # of a source's best passages; like the next, chosen on the calibration questions
MEANING_WEIGHT = 0.3  # of what the embedder finds against what the words find, in judging whole sources
DENSE_WEIGHT = 1.0  # with equal weights and this constant the guides' calibration questions are found best


class HybridSearch:
    """Finds passages for a question in the generation that serves, wherever it is kept."""

    def __init__(self, index: OpenGeneration | Serving, embedder: Embedder) -> None:
        self._index = index
        self._instead = index.instead if isinstance(index, Served) else None
        self.embedder = embedder
        # kept by a reply's own search alone: see `current`
        self._vectors: dict[str, np.ndarray] | None = None
        self._rankings: dict[tuple[str, PassageFilter], tuple[Ranking, Ranking]] | None = None

    @property
    def index(self) -> OpenGeneration:
        """The generation that serves now; two looks may see two generations (`current` does not change)."""
        return self._index.current() if isinstance(self._index, Serving) else self._index

    def current(self) -> HybridSearch:
        """The same search over the generation that serves now, for everything one reply needs."""
        return self if self._vectors is not None else self._over(self.index)

    def whole(self, work: Callable[[HybridSearch], T]) -> T:
        """What work makes of one generation. Where a served store fails meanwhile, work is done again from its start, and
        all that this reply still needs, over this machine's own generation; raises StoreUnavailable where there is none."""
        search = self.current()
        try:
            return work(search)
        except StoreUnavailable as fault:
            if self._instead is None:
                raise
            search._index, search._vectors, search._rankings = self._instead(fault), {}, {}
            return work(search)

    def at_home(self) -> OpenGeneration:
        """A generation of this machine where there is one, for what no failing store may interrupt."""
        return self._index.at_home() if isinstance(self._index, Served) else self.index

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
        by_meaning, by_words = self._ranked(index, question, only)
        rows = fuse_ranks([(by_meaning.rows, DENSE_WEIGHT), (by_words.rows, 1.0)])[: max(2 * k, k + 10)]
        weighed = index.weighed(rows, self.vector(question), _focus_weights(index, question))
        found = (RetrievedPassage(one.passage, _score(one)) for one in weighed)
        return [one for one in found if one.score >= min_score][:k]

    def subject(self, question: str, language: Language, told: str = "") -> Subject:
        """What a question is about, by the names of the sources in a language."""
        return self.index.subjects(language).read(question, told)

    def cosine(self, question: str, passage: Passage) -> float:
        """The cosine of a question and a passage of the index; 0 where the index does not hold it."""
        return self.index.cosine_of(passage.passage_id, self.vector(question))

    def reach(self, question: str, only: PassageFilter) -> tuple[float, float, float]:
        """How near the question comes to anything a filter admits: the best cosine, the best BM25 score for each unit of
        the question's rarity, and that score's logarithm (of 1 and it)."""
        index = self.index
        by_meaning, by_words = self._ranked(index, question, only)
        best, weight = by_words.best(), sum(index.word_weights(question).values())
        return by_meaning.best(), (best / weight if weight else 0.0), math.log1p(best)

    def source_strengths(self, question: str, only: PassageFilter) -> dict[str, float]:
        """How strongly each source speaks to a question, by source id: its three best passages together, by words and
        by meaning, each against the best source of that kind."""
        by_meaning, by_words = self._ranked(self.index, question, only)
        strengths: dict[str, float] = {}
        for ranking, weight in ((by_words, 1.0), (by_meaning, MEANING_WEIGHT)):
            together = _together(ranking)
            best = max(together.values(), default=0.0)
            for source_id, value in together.items():
                strengths[source_id] = strengths.get(source_id, 0.0) + (weight * value / best if best > 0 else 0.0)
        return strengths

    def passages_of(self, source_id: str, language: str) -> list[Passage]:
        """Every passage of a source in a language, in order."""
        return self.index.of_source(source_id, language)

    def _over(self, index: OpenGeneration) -> HybridSearch:
        search = HybridSearch(index, self.embedder)
        search._instead, search._vectors, search._rankings = self._instead, {}, {}
        return search

    def _ranked(self, index: OpenGeneration, question: str, only: PassageFilter) -> tuple[Ranking, Ranking]:
        """By meaning and by words. Looked up once for a question and filter within one reply, never kept beyond it."""
        known = {} if self._rankings is None else self._rankings
        if (question, only) not in known:
            by_meaning = index.by_meaning(self.vector(question), CANDIDATES, only)
            known[question, only] = by_meaning, index.by_words(question, CANDIDATES, only)
        return known[question, only]


def _together(ranking: Ranking) -> dict[str, float]:
    """Source id → its best passages' scores, weighted by SOURCE_WEIGHTS and added up."""
    by_source: dict[str, list[float]] = {}
    for source_id, score in zip(ranking.sources, ranking.scores, strict=True):
        by_source.setdefault(source_id, []).append(score)
    return {
        source_id: sum(
            score * weight for score, weight in zip(sorted(scores, reverse=True), SOURCE_WEIGHTS, strict=False)
        )
        for source_id, scores in by_source.items()
    }


def _score(one: Weighed) -> float:
    """The documented score, in [0, 1]."""
    return round((max(0.0, one.cosine) + one.covered) / 2, 4)


def _focus_weights(index: OpenGeneration, question: str) -> list[dict[str, float]]:
    """The words of the question, and those of each of its sentences that carries enough of it to be asked alone."""
    whole = index.word_weights(question)
    enough = FOCUS_SHARE * sum(whole.values())
    parts = (index.word_weights(sentence.text) for sentence in split_sentences(question))
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
