"""Exact and near duplicates among more rows than fit in memory: keys on disk, one sorted column at a time.

Near duplicates are found by MinHash with locality-sensitive hashing (Broder 1997; Indyk and Motwani 1998): 64
permutations in 8 bands of 8, so that two records that share 80 % of their shingles meet in a band with probability .77,
90 % with .99; a pair that meets is then compared over all 64. Memory: about 40 bytes a row while a column is sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from io import RawIOBase
from pathlib import Path

import numpy as np

from finetune.records import TrainingRecord
from finetune.text_defects import tokens_of

PERMUTATIONS, BANDS = 64, 8
SHINGLE = 5  # tokens
SHORTEST = 20  # tokens; shorter records are compared exactly only: a changed word changes what they say
_SEED = 1
_BLOCK = 50_000  # rows, or pairs, held at a time
_MIX = np.random.default_rng(_SEED).integers(
    1, 2**63, size=(BANDS, PERMUTATIONS // BANDS), dtype=np.uint64
) | np.uint64(1)


def said(record: TrainingRecord) -> str:
    """Everything a record says, in the order in which it is compared."""
    return "\n".join([record.asked, *record.targets]) if record.targets != (record.asked,) else record.asked


def exact_key(tokens: Sequence[str]) -> int:
    """64 bits of what is said, whatever its marks, blanks and width: two of two million rows meet by chance once in ten million times."""
    return int.from_bytes(blake2b("".join(tokens).encode("utf-8", "replace"), digest_size=8).digest(), "little")


def signature(tokens: Sequence[str]) -> np.ndarray:
    """(64,) uint32: the MinHash of the shingles; all ones where the text is too short to be compared so."""
    if len(tokens) < SHORTEST:
        return np.full(PERMUTATIONS, 0xFFFFFFFF, dtype=np.uint32)
    from rensa import RMinHash

    sketch = RMinHash(PERMUTATIONS, _SEED)
    sketch.update([" ".join(tokens[start : start + SHINGLE]) for start in range(len(tokens) - SHINGLE + 1)])
    return np.asarray(sketch.digest(), dtype=np.uint32)


def keys_of(record: TrainingRecord, near: bool) -> tuple[int, np.ndarray | None]:
    """(a key equal for records that say the same, the MinHash signature by which near ones are found, or None)."""
    tokens = tokens_of(said(record)) or [said(record)]
    return exact_key(tokens), signature(tokens) if near else None


class RowKeys:
    """The keys of all rows kept so far, in files of a folder."""

    def __init__(self, folder: Path, near_duplicates: float) -> None:
        self.near_duplicates = near_duplicates
        self.rows = 0
        self._exact_path, self._sketch_path = folder / "exact", folder / "sketches"
        self._exact, self._sketches = self._exact_path.open("wb"), self._sketch_path.open("wb")

    def add(self, exact: bytes, sketches: bytes, rows: int) -> None:
        """exact: rows × uint64; sketches: rows × 64 × uint32, empty where near duplicates are not looked for."""
        self._exact.write(exact)
        self._sketches.write(sketches)
        self.rows += rows

    def exact_duplicates(self) -> np.ndarray:
        """(rows,) bool: whether an earlier row says the same."""
        self._exact.close()
        repeated = np.zeros(self.rows, dtype=bool)
        if self.rows:
            _mark_runs(np.fromfile(self._exact_path, dtype=np.uint64), repeated)
        return repeated

    def near_duplicates_of(self, exact: np.ndarray) -> np.ndarray:
        """(rows,) bool: whether an earlier row says nearly the same, exact duplicates apart."""
        self._sketches.close()
        near = np.zeros(self.rows, dtype=bool)
        if not self.rows or not self.near_duplicates:
            return near
        with self._sketch_path.open("rb", buffering=0) as sketches:
            for band in range(BANDS):
                column = self._band(band)
                column[exact] = 0  # never compared
                order = np.argsort(column, kind="stable")
                ordered = column[order]
                starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
                first = order[np.repeat(starts, np.diff(np.concatenate((starts, [self.rows]))))]
                before = np.concatenate((order[:1], order[:-1]))
                for others in (first, before):  # the first of the bucket, and the neighbour
                    meets = (others != order) & (ordered != 0) & (column[others] == ordered) & ~near[order]
                    pairs = np.flatnonzero(meets)
                    for at in range(0, len(pairs), _BLOCK):
                        some = pairs[at : at + _BLOCK]
                        equal = (_rows_of(sketches, order[some]) == _rows_of(sketches, others[some])).mean(axis=1)
                        near[order[some[equal >= self.near_duplicates]]] = True
        return near

    def _band(self, band: int) -> np.ndarray:
        """(rows,) uint64: one number for the band of each row; 0 where a text is too short to be compared."""
        width = PERMUTATIONS // BANDS
        column = np.empty(self.rows, dtype=np.uint64)
        with self._sketch_path.open("rb") as file:
            for at in range(0, self.rows, _BLOCK):
                block = np.fromfile(file, dtype=np.uint32, count=_BLOCK * PERMUTATIONS).reshape(-1, PERMUTATIONS)
                part = block[:, band * width : (band + 1) * width]
                mixed = (part.astype(np.uint64) * _MIX[band]).sum(axis=1, dtype=np.uint64)
                mixed[(part == 0xFFFFFFFF).all(axis=1)] = 0
                column[at : at + len(part)] = mixed
        return column


def _rows_of(sketches: RawIOBase, rows: np.ndarray) -> np.ndarray:
    """(len(rows), 64) uint32: some rows of the file, read one by one: mapped into memory, the whole file would stay there."""
    width = PERMUTATIONS * 4
    read = bytearray()
    for row in rows.tolist():
        sketches.seek(row * width)
        read += sketches.read(width) or b""
    return np.frombuffer(read, dtype=np.uint32).reshape(-1, PERMUTATIONS)


def _mark_runs(keys: np.ndarray, repeated: np.ndarray) -> None:
    order = np.argsort(keys, kind="stable")  # stable: of equal keys the earliest row comes first
    ordered = keys[order]
    repeated[order[1:][ordered[1:] == ordered[:-1]]] = True
