"""By what passages may be filtered, and which rows each filter leaves: looked up, never scanned."""

from __future__ import annotations

import itertools
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.passages import Passage
from rag.sorted_arrays import union_of

LANGUAGE, DEPARTMENT, SOURCE, ALSO_IN = "language", "department", "source", "also_in"
_FACETS_OF = {LANGUAGE: (LANGUAGE,), DEPARTMENT: (DEPARTMENT,), SOURCE: (SOURCE, ALSO_IN)}  # of what a filter asks


@dataclass(frozen=True)
class PassageFilter:
    """Which passages may be found; None leaves a side open. Applied before the search, never after.

    source_ids admits a passage that is also in one of those sources.
    """

    language: str | None = None
    departments: frozenset[str] | None = None
    source_ids: frozenset[str] | None = None

    def wanted(self) -> dict[str, frozenset[str]]:
        """Facet name -> values of which a passage needs at least one."""
        language = None if self.language is None else frozenset([self.language])
        sides = {LANGUAGE: language, DEPARTMENT: self.departments, SOURCE: self.source_ids}
        return {name: values for name, values in sides.items() if values is not None}


@dataclass(frozen=True)
class Facet:
    """For each value, in order, the rows that have it: rows[starts[i]:starts[i + 1]], ascending."""

    values: np.ndarray  # (v,) str, sorted
    starts: np.ndarray  # (v + 1,) int64
    rows: np.ndarray  # (pairs,) int32

    def updated(self, places: np.ndarray, new: Facet) -> Facet:
        """With new rows; places: for each old row its row from now on, -1 for one that goes."""
        values = union_of(self.values, new.values)
        rows = np.concatenate([places[self.rows].astype(np.int32), new.rows])
        codes = np.concatenate([np.searchsorted(values, each.values)[each.codes] for each in (self, new)])
        return self._sorted(values, codes[rows >= 0], rows[rows >= 0])

    @property
    def codes(self) -> np.ndarray:
        """(pairs,) for each of `rows` the place of its value."""
        return np.repeat(np.arange(len(self.values)), np.diff(self.starts))

    @classmethod
    def _sorted(cls, values: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> Facet:
        """values: sorted, those without rows included; codes: of each of rows."""
        order = np.lexsort((rows, codes))
        sizes = np.bincount(codes, minlength=len(values))
        starts = np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64)
        return cls(values[sizes > 0], starts, rows[order])

    def rows_of(self, value: str) -> np.ndarray:
        """(m,) int32: the rows that have a value; none for a value never met."""
        place = int(np.searchsorted(self.values, value))
        if place == len(self.values) or self.values[place] != value:
            return self.rows[:0]
        return self.rows[self.starts[place] : self.starts[place + 1]]


class _Column:
    """A facet while its (row, value) pairs come, each value held once."""

    def __init__(self) -> None:
        self._codes: defaultdict[str, int] = defaultdict(itertools.count().__next__)
        self._code_of, self._rows = array("i"), array("i")

    def add(self, row: int, value: str) -> None:
        self._code_of.append(self._codes[value])
        self._rows.append(row)

    def facet(self) -> Facet:
        values, places = np.unique(np.array(list(self._codes), dtype=np.str_), return_inverse=True)
        return Facet._sorted(values, places[np.array(self._code_of, dtype=np.int64)], np.array(self._rows, np.int32))


@dataclass(frozen=True)
class Facets:
    """Every facet of a generation. size: rows in all."""

    size: int
    by_name: dict[str, Facet]

    @classmethod
    def of(cls, size: int, passages: Iterable[tuple[int, Passage]], also_in: Iterable[tuple[int, str]]) -> Facets:
        """From (row, passage) and from (row, further source) pairs."""
        columns = {name: _Column() for name in (LANGUAGE, DEPARTMENT, SOURCE, ALSO_IN)}
        for row, passage in passages:
            columns[LANGUAGE].add(row, passage.language)
            columns[SOURCE].add(row, passage.source_id)
            for department in passage.departments:
                columns[DEPARTMENT].add(row, department)
        for row, source in also_in:
            columns[ALSO_IN].add(row, source)
        return cls(size, {name: column.facet() for name, column in columns.items()})

    def updated(self, places: np.ndarray, new: Facets) -> Facets:
        """With new rows, and with the further sources told anew; places: as Facet.updated has it."""
        own = {name: facet.updated(places, new.by_name[name]) for name, facet in self.by_name.items()}
        return Facets(new.size, {**own, ALSO_IN: new.by_name[ALSO_IN]})

    def mask(self, only: PassageFilter) -> np.ndarray:
        """(size,) bool: the rows a filter admits."""
        admitted = np.ones(self.size, dtype=bool)
        for name, values in only.wanted().items():
            having = np.zeros(self.size, dtype=bool)
            for value in values:
                for facet in _FACETS_OF[name]:
                    having[self.by_name[facet].rows_of(value)] = True
            admitted &= having
        return admitted

    def first_of_rows(self, name: str) -> np.ndarray:
        """(size,) int32: for each row the place of its first value among that facet's values, -1 where it has none."""
        facet = self.by_name[name]
        places = np.full(self.size, -1, dtype=np.int32)
        places[facet.rows[::-1]] = facet.codes[::-1]
        return places

    def save(self, path: Path) -> None:
        """One .npz, no pickle."""
        arrays = {
            f"{name}.{part}": getattr(facet, part)
            for name, facet in self.by_name.items()
            for part in ("values", "starts", "rows")
        }
        np.savez(path, size=np.int64(self.size), **arrays)

    @classmethod
    def load(cls, path: Path) -> Facets:
        with np.load(path, allow_pickle=False) as arrays:
            names = dict.fromkeys(name.split(".")[0] for name in arrays.files if "." in name)
            parts = {
                name: Facet(arrays[f"{name}.values"], arrays[f"{name}.starts"], arrays[f"{name}.rows"])
                for name in names
            }
            return cls(int(arrays["size"]), parts)
