"""Which row each passage has in a new generation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rag.passage_index import PassageIndex


@dataclass(frozen=True)
class RowLayout:
    """Where every passage stands in the new generation: rows taken over first, in their old order, then new ones."""

    before: np.ndarray  # (old rows,) each old row's number in the store
    taken_over: np.ndarray  # (m,) old rows, ascending: their vectors, words and numbers are used again
    searched_places: np.ndarray  # of each arriving passage that is searched
    new: np.ndarray  # (new,) those among the arrivals, ascending, whose vectors and words are not there yet

    @property
    def size(self) -> int:
        return len(self.taken_over) + len(self.new)

    @cached_property
    def numbers(self) -> np.ndarray:
        """(size,) int64 ascending: each row's number in the store."""
        first = int(self.before[-1]) + 1 if len(self.before) else 0
        return np.concatenate([self.before[self.taken_over], np.arange(first, first + len(self.new), dtype=np.int64)])

    def numbers_without(self, staying: np.ndarray) -> np.ndarray:
        """Of the old rows that do not stay."""
        return np.delete(self.before, staying)

    def place_of(self, old_rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.taken_over, old_rows)

    def places_with(self, staying: np.ndarray) -> np.ndarray:
        """(old rows,) the row of each of those that stay, -1 for the others."""
        places = np.full(len(self.before), -1, dtype=np.int32)
        places[staying] = self.place_of(staying)
        return places

    @classmethod
    def lay_out(
        cls, base: PassageIndex | None, staying: np.ndarray, searched: np.ndarray, keys: np.ndarray
    ) -> RowLayout:
        """An arriving passage whose text a vanishing row holds takes that row over. keys: of every arrival."""
        reused = np.full(len(searched), -1, dtype=np.int64)
        if free := _vanishing_rows(base, staying):
            wanted = np.flatnonzero(np.isin(keys[searched], np.fromiter(free, dtype=np.uint64)))
            for place, key in zip(wanted.tolist(), keys[searched[wanted]].tolist(), strict=True):
                if free[key]:
                    reused[place] = free[key].pop()
        taken_over = np.sort(np.concatenate([staying, reused[reused >= 0]]))
        is_new = reused < 0
        places = np.searchsorted(taken_over, reused)
        places[is_new] = len(taken_over) + np.arange(np.count_nonzero(is_new))
        before = base.passages.numbers if base else np.zeros(0, dtype=np.int64)
        return cls(before, taken_over, places, searched[is_new])


def _vanishing_rows(base: PassageIndex | None, staying: np.ndarray) -> dict[int, list[int]]:
    """Key -> old rows that do not stay."""
    found: dict[int, list[int]] = {}
    if base is not None and len(staying) < len(base.passages):
        gone = np.ones(len(base.passages), dtype=bool)
        gone[staying] = False
        for row in np.flatnonzero(gone)[::-1].tolist():
            found.setdefault(int(base.keys[row]), []).append(row)
    return found
