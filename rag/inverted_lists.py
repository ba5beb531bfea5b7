"""FAISS's own file of inverted lists, written without ever holding all of them in memory.

Its writer wants them whole: 0.4 KB a row. Here they are filled a run of rows at a time; a run's entries go to the disk
in the order of the lists, and the file takes from every run, list after list, what belongs there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

ROWS_PER_BLOCK = 16_384
ROWS_PER_RUN = 16 * ROWS_PER_BLOCK


class Entries(Protocol):
    """Some rows' entries in the lists. sizes: (lists,) int64, how many each list has."""

    @property
    def sizes(self) -> np.ndarray: ...

    def of(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """((m,) int64 rows, (m, code_size) uint8 codes) of a list."""
        ...


@dataclass(frozen=True)
class KeptEntries:
    """What stays of older lists. places: (old rows,) int64, the row of each from now on, -1 for one that goes."""

    faiss: Any
    lists: Any
    places: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        return np.array([len(self.of(number)[0]) for number in range(self.lists.nlist)], dtype=np.int64)

    def of(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        rows, codes = _entries(self.faiss, self.lists, number)
        rows = self.places[rows]
        return rows[rows >= 0], codes[rows >= 0]


@dataclass(frozen=True)
class _Run:
    """Entries of a run of rows: those of a list stand at [starts[number]:starts[number + 1]] of the arrays of all runs."""

    sizes: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    codes: np.ndarray

    def of(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        here = slice(self.starts[number], self.starts[number + 1])
        return self.rows[here], self.codes[here]


def write_lists(
    faiss: Any,
    path: Path,
    lists: Any,
    vectors: np.ndarray,
    kept: KeptEntries | None = None,
    rows_per_run: int = ROWS_PER_RUN,
) -> None:
    """Writes the file that faiss.write_index would, with the entries of all vectors.

    lists: learnt, and empty before and after; vectors: (n, dimension) float32, of which those kept come first.
    """
    first = 0 if kept is None else int(np.count_nonzero(kept.places >= 0))
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="runs-") as folder:
        rows_path, codes_path = Path(folder, "rows"), Path(folder, "codes")
        sizes = []
        with rows_path.open("wb") as rows_file, codes_path.open("wb") as codes_file:
            for begin in range(first, len(vectors), rows_per_run):
                lists.reset()
                lists.ntotal = begin  # the number of the row that is added next
                for block in _blocks(vectors[begin : begin + rows_per_run]):
                    lists.add(block)
                sizes.append(_spill(faiss, lists, rows_file, codes_file))
        lists.reset()
        runs = _runs(sizes, rows_path, codes_path, lists.code_size)
        _write(faiss, path, lists, [*([kept] if kept else []), *runs], len(vectors))


def _blocks(vectors: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(vectors), ROWS_PER_BLOCK):
        yield vectors[start : start + ROWS_PER_BLOCK]


def _entries(faiss: Any, lists: Any, number: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, codes) of a list in memory or in a mapped file: views."""
    held, size = lists.invlists, lists.invlists.list_size(number)
    if not size:
        return np.zeros(0, dtype=np.int64), np.zeros((0, lists.code_size), dtype=np.uint8)
    codes = faiss.rev_swig_ptr(held.get_codes(number), size * lists.code_size)
    return faiss.rev_swig_ptr(held.get_ids(number), size), codes.reshape(size, -1)


def _spill(faiss: Any, lists: Any, rows_file: IO[bytes], codes_file: IO[bytes]) -> np.ndarray:
    sizes = np.zeros(lists.nlist, dtype=np.int64)
    for number in range(lists.nlist):
        rows, codes = _entries(faiss, lists, number)
        sizes[number] = len(rows)
        rows_file.write(rows.data)
        codes_file.write(codes.data)
    return sizes


def _runs(sizes: Sequence[np.ndarray], rows_path: Path, codes_path: Path, code_size: int) -> Iterator[_Run]:
    if not sizes:
        return
    rows = np.asarray(np.memmap(rows_path, dtype=np.int64, mode="r"))
    codes = np.asarray(np.memmap(codes_path, dtype=np.uint8, mode="r")).reshape(-1, code_size)
    first = 0
    for own in sizes:
        starts = first + np.concatenate([[0], np.cumsum(own)])
        first = int(starts[-1])
        yield _Run(own, starts, rows, codes)


def _write(faiss: Any, path: Path, lists: Any, entries: Sequence[Entries], size: int) -> None:
    count, code_size = lists.nlist, lists.code_size
    sizes = sum((each.sizes for each in entries), np.zeros(count, dtype=np.int64))
    lists.ntotal = size
    lists.replace_invlists(None, False)
    header = faiss.serialize_index(lists).tobytes().removesuffix(b"il00")  # which says that there are no lists
    with path.open("wb") as file:
        file.write(header + b"ilar" + _numbers([count, code_size]) + _sizes_told(sizes))
        for number in range(count):
            of_list = [each.of(number) for each in entries]
            for _, codes in of_list:
                file.write(np.ascontiguousarray(codes).data)
            for rows, _ in of_list:
                file.write(np.ascontiguousarray(rows).data)


def _sizes_told(sizes: np.ndarray) -> bytes:
    """As FAISS tells them: each list's, or, where half are empty, the others' numbers and sizes."""
    used = np.flatnonzero(sizes)
    if len(used) > len(sizes) // 2:
        return b"full" + _numbers([len(sizes), *sizes.tolist()])
    pairs = np.stack([used, sizes[used]], axis=1).ravel()
    return b"sprs" + _numbers([len(pairs), *pairs.tolist()])


def _numbers(values: Iterable[int]) -> bytes:
    return np.array(list(values), dtype="<u8").tobytes()
