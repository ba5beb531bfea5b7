"""By what passages that say the same find each other: keys, of which two of them share at least one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Likeness:
    """rows (pairs,) int32 ascending and keys (pairs,) uint64: which row has which key; a row may have none or several."""

    rows: np.ndarray
    keys: np.ndarray

    @classmethod
    def nothing(cls) -> Likeness:
        """Of no rows."""
        return cls(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.uint64))

    def only(self, kept: np.ndarray) -> Likeness:
        """Of the kept rows (ascending), numbered anew in their order."""
        stays = np.isin(self.rows, kept)
        return Likeness(np.searchsorted(kept, self.rows[stays]).astype(np.int32), self.keys[stays])

    def updated(self, kept: np.ndarray, new: Likeness) -> Likeness:
        """Of the kept rows (ascending) followed by new ones."""
        old = self.only(kept)
        return Likeness(
            np.concatenate([old.rows, new.rows + np.int32(len(kept))]), np.concatenate([old.keys, new.keys])
        )

    def alike(self, present: Likeness, staying: np.ndarray) -> tuple[list[int], list[int]]:
        """Rows that share a key with another row or with one of the staying rows of `present`; and those rows."""
        theirs = np.isin(present.keys, self.keys) & np.isin(present.rows, staying)
        ordered = np.sort(self.keys)
        shared = np.concatenate([ordered[1:][ordered[1:] == ordered[:-1]], present.keys[theirs]])
        return np.unique(self.rows[np.isin(self.keys, shared)]).tolist(), np.unique(present.rows[theirs]).tolist()

    def save(self, path: Path) -> None:
        """One .npz, no pickle."""
        np.savez(path, rows=self.rows, keys=self.keys)

    @classmethod
    def load(cls, path: Path) -> Likeness:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["rows"], arrays["keys"])
