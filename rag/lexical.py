"""BM25 over the words of texts (rag/words.py), in postings that can be merged (rag/lexical_writer.py)."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from rag.words import tokens_of

_K1, _B = 1.2, 0.75  # how soon a word's repetitions stop counting, and how much longer texts need
_TEXTS_AT_ONCE = 2000
_POSTINGS_PER_STEP = 1 << 16  # scored at once: what stands between stays in the processor's cache
_ARRAYS = ("tokens", "starts", "rows", "counts", "lengths")
_NPY_HEADER = 128  # bytes


@dataclass(frozen=True)
class LexicalIndex:
    """BM25 in Lucene's form (Robertson and Zaragoza 2009; idf never negative), over postings that can be merged.

    tokens: (v,) uint64 ascending, each token's hash; postings of token i: [starts[i]:starts[i + 1]] of
    rows (int32, ascending) and counts (uint8, at most 255); lengths: (n,) int32, tokens of each text.
    No engine we know of takes texts away without a rebuild; an update here is a merge of sorted arrays.
    """

    tokens: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def build(cls, texts: Iterable[str]) -> LexicalIndex:
        """An index over texts, in their order, all of it in memory."""
        return next(cls.runs(texts, math.inf))

    @classmethod
    def runs(cls, texts: Iterable[str], postings: float) -> Iterator[LexicalIndex]:
        """Indexes over texts, one stretch of them after the other: each ends once it has so many postings, which bounds
        its memory (some 20 bytes each). At least one comes, be it empty."""
        texts = iter(texts)
        yield cls._next_run(texts, postings)
        while len((run := cls._next_run(texts, postings)).lengths):
            yield run

    @classmethod
    def _next_run(cls, texts: Iterator[str], postings: float) -> LexicalIndex:
        vocabulary: defaultdict[str, int] = defaultdict(itertools.count().__next__)
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        lengths: list[int] = []
        held, at_once = 0, int(min(_TEXTS_AT_ONCE, postings))
        while held < postings and (batch := [tokens_of(text) for text in itertools.islice(texts, at_once)]):
            parts.append(_counted(batch, vocabulary, len(lengths)))
            lengths += map(len, batch)
            held += len(parts[-1][0])
        hashes = np.array([_hash_of(token) for token in vocabulary], dtype=np.uint64)
        tokens = np.sort(hashes)
        starts, rows, counts = _gathered(parts, np.searchsorted(tokens, hashes))
        return cls(tokens, starts, rows, counts, np.array(lengths, dtype=np.int32))

    def save(self, folder: Path) -> None:
        """Arrays, no pickle."""
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> LexicalIndex:
        """The saved index; the postings stay on the disk until they are looked at."""
        return cls(*(_opened(folder / f"{name}.npy") for name in _ARRAYS))

    @classmethod
    def load_words(cls, folder: Path, texts: int) -> LexicalIndex:
        """Only the words of a saved index over so many texts, for where the postings are kept elsewhere: it knows how
        rare words are and what a question weighs, and scores nothing."""
        nothing = np.zeros(0, dtype=np.int32)
        lengths = np.broadcast_to(np.int32(0), (texts,))
        return cls(_opened(folder / "tokens.npy"), _opened(folder / "starts.npy"), nothing, nothing, lengths)

    def scores(self, question: str) -> np.ndarray:
        """(n,) float32: the BM25 score of every text for a question."""
        scores = np.zeros(len(self.lengths), dtype=np.float32)
        for place, weight in self.query_weights(question).items():
            end = int(self.starts[place + 1])
            for start in range(int(self.starts[place]), end, _POSTINGS_PER_STEP):
                here = slice(start, min(start + _POSTINGS_PER_STEP, end))
                rows, counts = self.rows[here], self.counts[here]
                scores[rows] += np.float32(weight) * (counts / (counts + self._norms[rows]))
        return scores

    def query_weights(self, question: str) -> dict[int, float]:
        """Place of each of a question's words among the tokens -> how often it is asked times its rarity.

        The sum over these of `text_weights` of a text is the text's score.
        """
        times = Counter(tokens_of(question))
        return {
            int(place): number * self._rarity_of(int(self.starts[place + 1] - self.starts[place]))
            for place, number in zip(self._places(times), times.values(), strict=True)
            if place >= 0
        }

    def text_weights(self, row: int, text: str) -> dict[int, float]:
        """Place of each word of the text of a row -> what it adds to the score for each unit of the question's weight."""
        times = Counter(tokens_of(text))
        counts = np.minimum(np.fromiter(times.values(), dtype=np.int64, count=len(times)), 255).astype(np.uint8)
        weights = counts / (counts + self._norms[row])
        return {
            int(place): float(weight) for place, weight in zip(self._places(times), weights, strict=True) if place >= 0
        }

    def weights(self, question: str) -> dict[str, float]:
        """Each of a question's words with its rarity; a word no text holds weighs as the rarest."""
        tokens = list(dict.fromkeys(tokens_of(question)))
        places = self._places(tokens)
        frequencies = np.where(places >= 0, self.starts[places + 1] - self.starts[places], 0)
        return {token: self._rarity_of(int(count)) for token, count in zip(tokens, frequencies, strict=True)}

    def holds(self, token: str) -> bool:
        """Whether any text holds a token."""
        return bool(self._places([token])[0] >= 0)

    def shares_covered(self, questions: Sequence[dict[str, float]], rows: Sequence[int]) -> np.ndarray:
        """(rows,) the largest share of any question's words, weighted by rarity, that each text holds; in [0, 1]."""
        wanted = np.asarray(rows, dtype=self.rows.dtype)
        tokens = list({token: None for weights in questions for token in weights})
        held = {token: self._holding(place, wanted) for token, place in zip(tokens, self._places(tokens), strict=True)}
        best = np.zeros(len(wanted))
        for weights in questions:
            if total := sum(weights.values()):
                best = np.maximum(best, sum(weight * held[token] for token, weight in weights.items()) / total)
        return best

    def _holding(self, place: int, rows: np.ndarray) -> np.ndarray:
        """(rows,) bool: which texts hold the token at that place."""
        if place < 0:
            return np.zeros(len(rows), dtype=bool)
        found = self.rows[self.starts[place] : self.starts[place + 1]]
        nearest = np.minimum(np.searchsorted(found, rows), len(found) - 1)
        return np.asarray(found[nearest] == rows)

    def _places(self, tokens: Iterable[str]) -> np.ndarray:
        """(tokens,) int64: where each stands among the tokens, -1 for one no text holds."""
        hashes = np.array([_hash_of(token) for token in tokens], dtype=np.uint64)
        if not len(self.tokens):
            return np.full(len(hashes), -1)
        places = np.minimum(np.searchsorted(self.tokens, hashes), len(self.tokens) - 1)
        return np.where(self.tokens[places] == hashes, places, -1)

    def _rarity_of(self, frequency: int) -> float:
        """Inverse document frequency of a token that stands in so many texts."""
        return math.log(1 + (len(self.lengths) - frequency + 0.5) / (frequency + 0.5))

    @cached_property
    def _norms(self) -> np.ndarray:
        """(n,) float32: what a count is weighed against, longer texts needing more."""
        usual = float(self.lengths.mean()) if len(self.lengths) else 1.0
        return (_K1 * (1 - _B + _B * self.lengths / (usual or 1.0))).astype(np.float32)


def _counted(
    batch: Sequence[Sequence[str]], vocabulary: defaultdict[str, int], first: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(token numbers, rows, counts) of some texts, by token, then row. vocabulary grows."""
    numbers = np.fromiter(map(vocabulary.__getitem__, itertools.chain.from_iterable(batch)), dtype=np.int64)
    rows = np.repeat(np.arange(len(batch), dtype=np.int64), [len(tokens) for tokens in batch])
    pairs, counts = np.unique(numbers * len(batch) + rows, return_counts=True)
    numbers_of, rows_of = np.divmod(pairs, max(1, len(batch)))
    return numbers_of.astype(np.int32), (first + rows_of).astype(np.int32), np.minimum(counts, 255).astype(np.uint8)


def _gathered(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(starts, rows, counts) of all parts, by token; places: of each token number. Empties the parts as it goes."""
    sizes = np.zeros(len(places), dtype=np.int64)
    for numbers, _, _ in parts:
        sizes += np.bincount(places[numbers], minlength=len(places))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows, counts = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1], dtype=np.uint8)
    free = starts[:-1].copy()  # where the next posting of each token goes; parts follow each other by row
    parts.reverse()
    while parts:
        numbers, part_rows, part_counts = parts.pop()
        first = np.flatnonzero(np.diff(numbers, prepend=-1))
        sizes = np.diff(first, append=len(numbers))
        targets = np.repeat(free[places[numbers[first]]] - first, sizes) + np.arange(len(numbers))
        rows[targets], counts[targets] = part_rows, part_counts
        free[places[numbers[first]]] += sizes
    return starts, rows, counts


def _opened(path: Path) -> np.ndarray:
    """A saved array, left on the disk unless it is empty, which cannot be mapped."""
    mode: Literal["r"] | None = "r" if path.stat().st_size > _NPY_HEADER else None
    return np.asarray(np.load(path, mmap_mode=mode, allow_pickle=False))  # a plain array: slices of a memmap are slow


def _hash_of(token: str) -> int:
    """64 bits: two of a million tokens share one once in forty million indexes."""
    return int.from_bytes(hashlib.blake2b(token.encode(errors="replace"), digest_size=8).digest(), "little")
