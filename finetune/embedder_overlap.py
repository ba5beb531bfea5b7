"""Near-duplicates: which training texts say almost what a held-apart text says.

Two texts are near-duplicates when their sets of character five-grams, of letters and digits alone, share at least
LEAST_JACCARD of their union. The share is estimated from each set's SKETCH smallest hashes (bottom-k sketches: Cohen
and Kaplan, PODC 2007), exactly for texts with fewer grams. Of short texts only equal ones count.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

GRAM = 5
SKETCH = 48
LEAST_JACCARD = 0.6
SHORTEST = 12  # characters; below this a few shared grams prove nothing
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads near numbers far apart


def normalised(text: str) -> str:
    """Letters and digits only, NFKC, lower case: how two spellings of one text are found equal."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).lower())


def sketch(plain: str) -> np.ndarray:
    """The smallest hashes of a normalised text's five-grams, rising, at most SKETCH of them."""
    codes = np.frombuffer(plain.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    hashes = np.zeros(len(codes) - GRAM + 1, dtype=np.uint64)
    for place in range(GRAM):
        hashes = (hashes ^ codes[place : place + len(hashes)]) * _MIXER
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)[:SKETCH]


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """The estimated share of grams that two sketched texts have in common, of all they have."""
    union = np.union1d(one, other)[:SKETCH]
    return len(np.intersect1d(np.intersect1d(one, other), union)) / len(union)


class HeldApartTexts:
    """Texts that no training text may repeat."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.plain = {normalised(text) for text in texts} - {""}
        self._sketches = [sketch(plain) for plain in sorted(self.plain) if len(plain) >= SHORTEST]
        holders: defaultdict[int, list[int]] = defaultdict(list)
        for number, held in enumerate(self._sketches):
            for value in held.tolist():
                holders[value].append(number)
        self._holders = {value: np.array(numbers) for value, numbers in holders.items()}  # which sketches hold a hash
        self._known: dict[str, bool] = {}

    def repeats(self, text: str) -> bool:
        """Whether a text is, or nearly is, one of these."""
        if text not in self._known:
            self._known[text] = self._repeats(normalised(text))
        return self._known[text]

    def _repeats(self, plain: str) -> bool:
        if plain in self.plain:
            return True
        if len(plain) < SHORTEST:
            return False
        own = sketch(plain)
        holders = [self._holders[value] for value in own.tolist() if value in self._holders]
        if len(holders) < LEAST_JACCARD * len(own) / 2:
            return False
        shared = np.bincount(np.concatenate(holders))
        likely = np.argsort(-shared)[:20]
        return any(
            jaccard(own, self._sketches[number]) >= LEAST_JACCARD
            for number in likely
            if shared[number] >= LEAST_JACCARD * len(own) / 2
        )
