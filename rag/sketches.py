"""Which passages could be near-duplicates of each other: a few hashes of each, compared before any text is."""

from __future__ import annotations

import re

import numpy as np

SHINGLE_CHARS = 5
SKETCH_SIZE = 4  # smallest shingle hashes kept; texts that share 85 % of their shingles share one of four in 99.9 %
_NOT_SAID = re.compile(r"[\W_]+")
_STEP, _MIX = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)


def sketch_of(text: str) -> np.ndarray:
    """(SKETCH_SIZE,) uint64: the smallest distinct hashes of a text's shingles, punctuation and case aside.

    A text of fewer shingles repeats its smallest; one without letters or digits gives zeros.
    """
    said = _NOT_SAID.sub("", text).casefold()
    letters = np.frombuffer(said.encode("utf-32-le", errors="replace"), dtype=np.uint32).astype(np.uint64)
    if not len(letters):
        return np.zeros(SKETCH_SIZE, dtype=np.uint64)
    width = min(SHINGLE_CHARS, len(letters))
    hashes = np.zeros(len(letters) - width + 1, dtype=np.uint64)
    for offset in range(width):
        hashes = hashes * _STEP + letters[offset : offset + len(hashes)]
    hashes = np.unique((hashes ^ (hashes >> np.uint64(29))) * _MIX)
    return np.resize(hashes[:SKETCH_SIZE], SKETCH_SIZE) if len(hashes) < SKETCH_SIZE else hashes[:SKETCH_SIZE]


def sketches_of(texts: list[str]) -> np.ndarray:
    """(texts, SKETCH_SIZE) uint64."""
    return np.stack([sketch_of(text) for text in texts]) if texts else np.zeros((0, SKETCH_SIZE), dtype=np.uint64)


def alike(arriving: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(arriving,) and (present,) bool: the rows that share a hash with an arriving row other than themselves."""
    ordered = np.sort(arriving, axis=1)
    repeated = np.concatenate([np.zeros((len(ordered), 1), dtype=bool), ordered[:, 1:] == ordered[:, :-1]], axis=1)
    hashes, counts = np.unique(ordered[~repeated], return_counts=True)
    in_present = np.isin(present, hashes)
    shared = np.union1d(hashes[counts > 1], present[in_present])
    return np.asarray(np.isin(arriving, shared).any(axis=1)), np.asarray(in_present.any(axis=1))
