"""Writes the words of a generation: counted a run of texts at a time, the runs kept on the disk, then merged.

An older index counts as one run more, from which rows may go. What stands in memory does not grow with the texts, but
for some 16 bytes for each different word and 8 for each text: one run while it is counted, then of all runs the
postings of some words at a time. Runs are ordered by word, so each is read once, from its beginning to its end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from rag.lexical import LexicalIndex
from rag.sorted_arrays import union_of

POSTINGS_AT_ONCE = 24_000_000  # some 20 bytes each while they are counted
_MERGED_SHARE = 6  # of that is merged at once: smaller pieces stay in the processor's cache


def write_words(
    folder: Path,
    texts: Iterable[str],
    before: LexicalIndex | None = None,
    kept: np.ndarray | None = None,
    postings_at_once: int = POSTINGS_AT_ONCE,
) -> None:
    """Writes into a folder the index over the texts of the kept rows (ascending) of an older one, followed by new ones.

    However many runs it takes, what is written is the same byte for byte.
    """
    parts = [] if before is None or kept is None else [_kept_part(before, kept, postings_at_once)]
    with tempfile.TemporaryDirectory(dir=folder, prefix="runs-") as spilled:
        runs = LexicalIndex.runs(texts, postings_at_once)
        last = next(runs)  # stays in memory, and most often is the only one
        for number, run in enumerate(runs):
            parts.append(_spilled(last, Path(spilled, str(number)), parts))
            last = run
        if parts:
            _merge(folder, [*parts, _Part(lambda: last, _rows_of(parts), len(last.lengths))], postings_at_once)
        else:
            last.save(folder)


@dataclass(frozen=True)
class _Part:
    """An index whose rows become some of the rows of the merged one. opened: gives it, its postings on the disk."""

    opened: Callable[[], LexicalIndex]
    first: int  # its first row in the merged index
    rows: int  # how many it gives to that
    places: np.ndarray | None = None  # (n,) int32: the row there of each of its own, -1 for one that goes
    sizes: np.ndarray | None = None  # (v,) int64: how many postings of each token stay

    def words(self) -> tuple[np.ndarray, np.ndarray]:
        """Its tokens, and how many postings each gives to the merged index; never none."""
        index = self.opened()
        sizes = np.diff(index.starts) if self.sizes is None else self.sizes
        return index.tokens[sizes > 0], sizes[sizes > 0]

    def lengths(self) -> np.ndarray:
        """(rows,) int32, of its texts that stay."""
        lengths = self.opened().lengths
        return lengths if self.places is None else lengths[self.places >= 0]

    def between(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(places among some neighbouring tokens, postings of each, rows in the merged index, counts)."""
        index = self.opened()
        low = int(np.searchsorted(index.tokens, tokens[0]))
        high = int(np.searchsorted(index.tokens, tokens[-1], side="right"))
        sizes = np.diff(index.starts[low : high + 1]) if self.sizes is None else self.sizes[low:high]
        here = slice(index.starts[low], index.starts[high])
        rows, counts = self._renumbered(index.rows[here], index.counts[here])
        used = sizes > 0
        return np.searchsorted(tokens, index.tokens[low:high][used]), sizes[used], rows, counts

    def _renumbered(self, rows: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.places is None:
            return rows + np.int32(self.first), counts
        rows = self.places[rows]
        stays = rows >= 0
        return rows[stays], counts[stays]


def _rows_of(parts: Sequence[_Part]) -> int:
    return sum(part.rows for part in parts)


def _spilled(run: LexicalIndex, folder: Path, parts: Sequence[_Part]) -> _Part:
    folder.mkdir()
    run.save(folder)
    return _Part(partial(LexicalIndex.load, folder), _rows_of(parts), len(run.lengths))


def _kept_part(before: LexicalIndex, kept: np.ndarray, at_once: int) -> _Part:
    if len(kept) == len(before.lengths):
        return _Part(lambda: before, 0, len(kept))
    places = np.full(len(before.lengths), -1, dtype=np.int32)
    places[kept] = np.arange(len(kept), dtype=np.int32)
    sizes = np.diff(before.starts)
    for low, high in pairwise(_cuts(before.starts, at_once)):
        first = before.starts[low]
        gone = first + np.flatnonzero(places[before.rows[first : before.starts[high]]] < 0)
        sizes -= np.bincount(np.searchsorted(before.starts, gone, side="right") - 1, minlength=len(sizes))
    return _Part(lambda: before, 0, len(kept), places, sizes)


def _merge(folder: Path, parts: Sequence[_Part], at_once: int) -> None:
    tokens = np.zeros(0, dtype=np.uint64)
    for part in parts:
        tokens = union_of(tokens, part.words()[0])
    sizes = np.zeros(len(tokens), dtype=np.int64)
    for part in parts:
        words, own = part.words()
        sizes[np.searchsorted(tokens, words)] += own
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for name, array in (("tokens", tokens), ("starts", starts)):
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    lengths = np.concatenate([part.lengths() for part in parts])
    np.save(folder / "lengths.npy", lengths, allow_pickle=False)
    with (folder / "rows.npy").open("wb") as rows_file, (folder / "counts.npy").open("wb") as counts_file:
        _write_header(rows_file, np.int32, int(starts[-1]))
        _write_header(counts_file, np.uint8, int(starts[-1]))
        for low, high in pairwise(_cuts(starts, -(-at_once // _MERGED_SHARE))):
            rows, counts = _joined(parts, tokens[low:high], starts[low : high + 1])
            rows.tofile(rows_file)
            counts.tofile(counts_file)


def _joined(parts: Sequence[_Part], tokens: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, counts) of some neighbouring tokens out of all parts, which follow each other by row."""
    size = int(starts[-1] - starts[0])
    rows, counts = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.uint8)
    free = starts[:-1] - starts[0]  # where the next posting of each token goes
    for part in parts:
        places, sizes, part_rows, part_counts = part.between(tokens)
        begins = np.cumsum(sizes) - sizes
        targets = np.repeat((free[places] - begins).astype(np.int32), sizes) + np.arange(len(part_rows), dtype=np.int32)
        rows[targets], counts[targets] = part_rows, part_counts
        free[places] += sizes
    return rows, counts


def _cuts(starts: np.ndarray, at_once: int) -> list[int]:
    """Places among the tokens, from 0 to their number, with some `at_once` postings between neighbours, or one token."""
    wanted = np.arange(0, starts[-1], at_once)
    places = np.searchsorted(starts, wanted, side="right") - 1
    return np.unique([0, *places.tolist(), len(starts) - 1]).tolist()


def _write_header(file: IO[bytes], kind: Any, count: int) -> None:
    """As np.save writes it before an array of so many numbers."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
