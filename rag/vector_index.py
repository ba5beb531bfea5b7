"""The vectors of a generation in FAISS: searched exactly up to some 200,000, beyond that by IVF with refinement."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag.inverted_lists import ROWS_PER_BLOCK, ROWS_PER_RUN, KeptEntries, write_lists

EXACT_UP_TO = 200_000  # rows; an exact search of so many takes about 15 ms on one thread at 256 dimensions
VECTORS, LISTS = "vectors.faiss", "lists.faiss"
LISTS_PER_ROOT = 4  # inverted lists per square root of the rows
TRAINED_ON = 40  # rows per list that the lists' centres are learnt from
PROBED_SHARE = 0.04  # of the lists a query looks into, at least PROBED_LEAST
PROBED_LEAST = 32
REFINED = 8  # candidates per result, scored again with the exact vectors
RETRAIN_GROWTH = 2.0  # the lists are learnt anew once there are so many times more or fewer rows than they were for
_ROWS_AT = 8  # in the file's header, after its name and the dimension
_FEW = 0.05  # share of the rows below which a filtered search computes their scores directly


@dataclass(frozen=True)
class VectorIndex:
    """flat: every vector as it is, (n, dimension) float32 of unit length; lists: IVF with 8-bit codes, or None."""

    flat: Any
    lists: Any = None

    @classmethod
    def write(
        cls,
        folder: Path,
        dimension: int,
        blocks: Iterable[np.ndarray],
        exact_up_to: int = EXACT_UP_TO,
        before: VectorIndex | None = None,
        kept: np.ndarray | None = None,
        rows_per_run: int = ROWS_PER_RUN,
    ) -> VectorIndex:
        """Writes an index into a folder and opens it; in memory is one block, or what lists are learnt from and a run of them.

        blocks: (rows, dimension) float32 of unit length each; before: an older index whose lists may be used again;
        kept: (m,) its rows, ascending, that are the first m of the new ones.
        """
        _write_flat(folder / VECTORS, dimension, blocks)
        index = cls.load(folder)
        if len(index) <= exact_up_to:
            return index
        faiss = _faiss()
        with _threads_of(faiss, os.cpu_count() or 1):
            lists, entries = _carried_lists(faiss, before, kept, len(index)) or (
                _learnt_lists(faiss, index.vectors),
                None,
            )
            write_lists(faiss, folder / LISTS, lists, index.vectors, entries, rows_per_run)
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> VectorIndex:
        """The saved index. Vectors and lists stay on the disk, shared by all processes that read them."""
        faiss = _faiss()
        paths = [folder / name for name in (VECTORS, LISTS) if (folder / name).is_file() or name == VECTORS]
        return cls(*(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC) for path in paths))

    def __len__(self) -> int:
        return int(self.flat.ntotal)

    @property
    def vectors(self) -> np.ndarray:
        """(n, dimension) float32: a view of the index's own memory."""
        size = self.flat.ntotal * self.flat.d
        if not size:
            return np.zeros((0, self.flat.d), dtype=np.float32)
        return np.asarray(_Held(self.flat, _faiss().rev_swig_ptr(self.flat.get_xb(), size)))

    @property
    def search_kind(self) -> str:
        """How it is searched, for people."""
        if self.lists is None:
            return "exact"
        return f"IVF{self.lists.nlist} SQ8, {self._probed()} lists probed, refined exactly"

    def nearest(self, query: np.ndarray, k: int, admitted: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(rows, cosines) of the k vectors nearest to one (dimension,) query, best first, on one thread.

        admitted: (n,) bool; only those rows are looked at. Fewer come back where there are fewer.
        """
        if admitted is not None:
            count = int(np.count_nonzero(admitted))
            if count <= max(k, _FEW * len(self)):
                return self._among(np.flatnonzero(admitted), query, k)
        rows, cosines = self._search(query[None, :], k, admitted, threads=1)
        found = rows[0] >= 0  # FAISS pads with -1 when it holds fewer than k rows
        return rows[0][found], cosines[0][found]

    def nearest_many(
        self, queries: np.ndarray, k: int, admitted: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(queries, k) rows and cosines, on all threads; row -1 where there are fewer than k."""
        return self._search(queries, k, admitted, threads=os.cpu_count() or 1)

    def cosines(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(rows,) float32: the cosine of a query and each of some rows."""
        return np.asarray(self.vectors[rows] @ query)

    def _among(self, rows: np.ndarray, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        cosines = self.cosines(query, rows)
        best = np.argsort(-cosines, kind="stable")[:k]
        return rows[best], cosines[best]

    def _search(
        self, queries: np.ndarray, k: int, admitted: np.ndarray | None, threads: int
    ) -> tuple[np.ndarray, np.ndarray]:
        faiss = _faiss()
        bits = None if admitted is None else np.packbits(admitted, bitorder="little")
        chosen = None if bits is None else faiss.IDSelectorBitmap(bits)
        with _threads_of(faiss, threads):
            if self.lists is None:
                options = None if chosen is None else faiss.SearchParameters(sel=chosen)
                cosines, rows = self.flat.search(queries, k, params=options)
            else:
                inner = faiss.SearchParametersIVF(nprobe=self._probed(), sel=chosen)
                options = faiss.IndexRefineSearchParameters(k_factor=float(REFINED), base_index_params=inner)
                cosines, rows = faiss.IndexRefine(self.lists, self.flat).search(queries, k, params=options)
        return rows, cosines

    def _probed(self) -> int:
        return min(self.lists.nlist, max(PROBED_LEAST, round(PROBED_SHARE * self.lists.nlist)))


def blocks_of(vectors: np.ndarray, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """The vectors, or those of some rows, a few megabytes at a time."""
    for start in range(0, len(vectors if rows is None else rows), ROWS_PER_BLOCK):
        here = slice(start, start + ROWS_PER_BLOCK)
        yield vectors[here] if rows is None else vectors[rows[here]]


def _write_flat(path: Path, dimension: int, blocks: Iterable[np.ndarray]) -> None:
    """FAISS's own file of exact vectors. Its writer wants all of them in memory; what tells their number is 8 bytes at
    two places of the header, of which its writer gives us the rest."""
    faiss = _faiss()
    header = faiss.serialize_index(faiss.IndexFlatIP(dimension)).tobytes()
    count = 0
    with path.open("wb") as file:
        file.write(header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype=np.float32).data)
            count += len(block)
        for place, number in ((_ROWS_AT, count), (len(header) - 8, count * dimension)):
            file.seek(place)
            file.write(number.to_bytes(8, "little"))


def _empty_lists(faiss: Any, dimension: int, count: int) -> Any:
    return faiss.index_factory(dimension, f"IVF{count},SQ8", faiss.METRIC_INNER_PRODUCT)


def _learnt_lists(faiss: Any, vectors: np.ndarray) -> Any:
    count = max(1, round(LISTS_PER_ROOT * math.sqrt(len(vectors))))
    sample = np.random.default_rng(0).permutation(len(vectors))[: TRAINED_ON * count]
    lists = _empty_lists(faiss, vectors.shape[1], count)
    lists.train(np.ascontiguousarray(vectors[np.sort(sample)]))
    return lists


def _carried_lists(
    faiss: Any, before: VectorIndex | None, kept: np.ndarray | None, size: int
) -> tuple[Any, KeptEntries] | None:
    """Older lists, empty, and what they hold of the kept rows under their new numbers, where their centres still fit.

    To look for each vector's list again would cost more than all the rest of an update.
    """
    if before is None or before.lists is None or kept is None:
        return None
    learnt_for = (before.lists.nlist / LISTS_PER_ROOT) ** 2
    if not learnt_for / RETRAIN_GROWTH <= size <= learnt_for * RETRAIN_GROWTH:
        return None
    places = np.full(len(before), -1, dtype=np.int64)
    places[kept] = np.arange(len(kept))
    lists = _empty_lists(faiss, before.flat.d, before.lists.nlist)
    lists.quantizer.add(before.lists.quantizer.reconstruct_n(0, lists.nlist))
    faiss.copy_array_to_vector(faiss.vector_to_array(before.lists.sq.trained), lists.sq.trained)
    lists.is_trained = True
    return lists, KeptEntries(faiss, before.lists, places)


class _Held:
    """An index's memory as an array that keeps the index alive; a bare view of it would outlive what it looks at."""

    def __init__(self, index: Any, memory: np.ndarray) -> None:
        self.index = index
        self.__array_interface__ = {**memory.__array_interface__, "shape": (index.ntotal, index.d)}


class _threads_of:
    """FAISS on so many threads inside, one again after: a second thread makes a single query 5-12 times slower."""

    def __init__(self, faiss: Any, threads: int) -> None:
        self._faiss, self._threads = faiss, threads

    def __enter__(self) -> None:
        self._faiss.omp_set_num_threads(self._threads)

    def __exit__(self, *_: object) -> None:
        self._faiss.omp_set_num_threads(1)


def _faiss() -> Any:
    import faiss

    return faiss
