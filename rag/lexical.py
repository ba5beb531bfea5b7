"""Words of both languages, and BM25 over them.

Chinese is read as characters and pairs of neighbouring characters: it needs no dictionary, finds words
no dictionary has, and on medical questions ranks as well as a segmenter (nDCG@10 .112 against .111).
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from knowledge.records import KNOWLEDGE_DIR
from rag.wording import normalise

_K1, _B = 1.2, 0.75  # how soon a word's repetitions stop counting, and how much longer texts need
_TEXTS_PER_MERGE = 2000
_ARRAYS = ("tokens", "starts", "rows", "counts", "lengths")
_NPY_HEADER = 128  # bytes

_CHINESE_RUN = re.compile(r"[\u3400-\u9fff]+")
_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_SUFFIX = re.compile(r"(?:'s|ies|ing|ed|es|s)$")
_ENGLISH_STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "on",
        "at",
        "for",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "am",
        "i",
        "my",
        "me",
        "you",
        "your",
        "he",
        "she",
        "it",
        "his",
        "her",
        "we",
        "they",
        "this",
        "that",
        "with",
        "from",
        "as",
        "by",
        "do",
        "does",
        "did",
        "have",
        "has",
        "had",
        "not",
        "no",
        "what",
        "why",
        "how",
        "when",
        "which",
        "who",
        "can",
        "could",
        "should",
        "would",
        "will",
        "if",
        "so",
        "but",
        "about",
        "there",
        "then",
        "than",
        "too",
        "very",
        "just",
        "any",
        "some",
        "get",
        "got",
        "im",
        "its",
    ]
)
_CHINESE_STOP = frozenset(
    [
        "的",
        "了",
        "吗",
        "呢",
        "吧",
        "啊",
        "我",
        "你",
        "他",
        "她",
        "它",
        "是",
        "有",
        "和",
        "就",
        "都",
        "也",
        "在",
        "请",
        "问",
        "怎",
        "么",
        "什",
        "么样",
        "请问",
        "怎么",
        "什么",
        "怎样",
        "这",
        "那",
        "该",
        "会",
        "要",
        "去",
        "医生",
        "您好",
        "你好",
        "可以",
        "一下",
    ]
)


def tokens_of(text: str) -> list[str]:
    """Characters and character pairs of the Chinese in a text, stems of its English words, its numbers."""
    plain = normalise(text)
    tokens: list[str] = []
    for run in _CHINESE_RUN.findall(plain):
        tokens += [character for character in run if character not in _CHINESE_STOP]
        tokens += [pair for pair in map("".join, itertools.pairwise(run)) if pair not in _CHINESE_STOP]
    tokens += [_stem(word) for word in _WORD.findall(plain) if word not in _ENGLISH_STOP]
    return tokens


@cache
def words_fingerprint() -> str:
    """Changes with any byte of what decides which words a text holds; an index of other words finds too little."""
    here = Path(__file__).resolve()
    sources = (here, here.with_name("wording.py"), KNOWLEDGE_DIR / "spellings.yaml")
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def _stem(word: str) -> str:
    """An English word without its plural or verb ending; too short a rest is left whole."""
    stem = _SUFFIX.sub("", word)
    return stem if len(stem) >= 4 else word


@dataclass(frozen=True)
class LexicalIndex:
    """BM25 in Lucene's form (Robertson and Zaragoza 2009; idf never negative), over postings that can be updated.

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
        """An index over texts, in their order."""
        vocabulary: defaultdict[str, int] = defaultdict(itertools.count().__next__)
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        lengths: list[int] = []
        texts = iter(texts)
        while batch := [tokens_of(text) for text in itertools.islice(texts, _TEXTS_PER_MERGE)]:
            parts.append(_counted(batch, vocabulary, len(lengths)))
            lengths += map(len, batch)
        hashes = np.array([_hash_of(token) for token in vocabulary], dtype=np.uint64)
        tokens = np.sort(hashes)
        starts, rows, counts = _gathered(parts, np.searchsorted(tokens, hashes))
        return cls(tokens, starts, rows, counts, np.array(lengths, dtype=np.int32))

    def updated(self, kept: np.ndarray, texts: Iterable[str]) -> LexicalIndex:
        """The index over the texts of the kept rows (ascending) followed by new ones."""
        old, new = self._only(kept), LexicalIndex.build(texts)
        if not len(old.lengths):
            return new
        if not len(new.lengths):
            return old
        tokens = np.unique(np.concatenate([old.tokens, new.tokens]))
        old_starts, new_starts = old._starts_among(tokens), new._starts_among(tokens)
        places = np.repeat(old_starts[1:], np.diff(new_starts))  # new rows follow the old ones of the same token
        return LexicalIndex(
            tokens,
            old_starts + new_starts,
            np.insert(old.rows, places, new.rows + np.int32(len(old.lengths))),
            np.insert(old.counts, places, new.counts),
            np.concatenate([old.lengths, new.lengths]),
        )

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
            here = slice(self.starts[place], self.starts[place + 1])
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

    def _only(self, kept: np.ndarray) -> LexicalIndex:
        """Without the rows that are not kept; kept ones are numbered anew in their order."""
        if len(kept) == len(self.lengths):
            return self
        place = np.full(len(self.lengths), -1, dtype=np.int32)
        place[kept] = np.arange(len(kept), dtype=np.int32)
        rows = place[self.rows]
        stays = rows >= 0
        gone = (
            np.searchsorted(self.starts, np.flatnonzero(~stays), side="right") - 1
        )  # the token of each posting that goes
        starts = self.starts.copy()
        starts[1:] -= np.cumsum(np.bincount(gone, minlength=len(self.tokens)))
        used = np.diff(starts) > 0
        return LexicalIndex(
            self.tokens[used],
            np.concatenate([[0], starts[1:][used]]).astype(np.int64),
            rows[stays],
            self.counts[stays],
            self.lengths[kept],
        )

    def _starts_among(self, tokens: np.ndarray) -> np.ndarray:
        """(tokens + 1,) where each of more tokens' postings begin in this index's own arrays."""
        sizes = np.zeros(len(tokens), dtype=np.int64)
        sizes[np.searchsorted(tokens, self.tokens)] = np.diff(self.starts)
        return np.concatenate([[0], np.cumsum(sizes)])


def share_covered(weights: Mapping[str, float], tokens: Sequence[str]) -> float:
    """The weighted share of words that occur among tokens; 0 for no words."""
    total = sum(weights.values())
    held = set(tokens)
    return sum(weight for token, weight in weights.items() if token in held) / total if total else 0.0


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
