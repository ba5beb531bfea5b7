"""What a rebuild need not do twice, kept beside the index: vectors by text, and files read by a rebuild that broke off."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from ingest.documents import SourceDocument
from ingest.stored import document_of, row_of
from rag.embedder import Embedder

CACHE = "cache.sqlite"
TEXTS_PER_COMMIT = 1024  # embedded between two commits: what a killed rebuild loses at most
FILES_PER_COMMIT = 16
_KEYS_PER_QUERY = 500
_TEXTS_PER_LOOK = 4096
_SPARE = 10_000  # vectors of texts no longer in the index that are kept before they are swept out
_SCHEMA = """
PRAGMA page_size = 16384;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB, checksum INTEGER);
CREATE TABLE IF NOT EXISTS readings (key TEXT PRIMARY KEY, document BLOB);
"""  # vectors in the order they came, on pages that hold ten: kept in the keys' order, each took three times its bytes

Encode = Callable[[Sequence[Sequence[str]]], Iterable[tuple[int, np.ndarray]]]  # batches → (number of one, its vectors)


class IndexCache:
    """One SQLite file, used by the one process that writes the index. A damaged file is begun anew: it holds nothing
    that cannot be computed again."""

    def __init__(self, path: Path, texts_per_commit: int = TEXTS_PER_COMMIT) -> None:
        self._path = path
        self._texts_per_commit = texts_per_commit
        self._unwritten_readings = 0
        try:
            self._connection = self._opened()
        except sqlite3.DatabaseError:
            self._begin_anew()

    def embedded(
        self,
        texts: Sequence[str],
        embedder: Embedder,
        step: Callable[[int, int], None] = lambda done, total: None,
        encode: Encode | None = None,
    ) -> tuple[Iterator[np.ndarray], int]:
        """The texts' vectors in order, some at a time, (n, dimension) float32 of unit length; and how many texts had to
        be embedded because they never were, which is done before this returns.

        encode: embeds many batches, in any order; the embedder itself does, one after another, where it is None.
        """
        connection = None
        while connection is not self._connection:  # where it is begun anew meanwhile, what was known is gone
            connection, missing = self._connection, self._missing(texts, embedder)
        batches = _Batches(texts, missing, self._texts_per_commit)
        done = 0
        encode = encode or (lambda batches: enumerate(map(embedder.encode_passages, batches)))
        for number, vectors in encode(batches):
            batch = batches[number]
            keys = (_key_of(embedder.fingerprint, text) for text in batch)
            self._store(zip(keys, (vector.tobytes() for vector in np.asarray(vectors, dtype=np.float32)), strict=True))
            done += len(batch)
            step(done, len(missing))
        return self._vectors(texts, embedder), len(missing)

    def reading(self, key: str) -> SourceDocument | None:
        """A document that a rebuild which broke off had read already."""
        try:
            found = self._connection.execute("SELECT document FROM readings WHERE key = ?", (key,)).fetchone()
            return document_of(json.loads(zlib.decompress(found[0]))) if found else None
        except (sqlite3.DatabaseError, zlib.error, ValueError, TypeError):
            return None

    def has_reading(self, key: str) -> bool:
        """Whether `reading` has that document, whole."""
        return self.reading(key) is not None

    def remember_reading(self, key: str, document: SourceDocument) -> None:
        """Keeps a document that was read until the rebuild is done."""
        packed = zlib.compress(json.dumps(row_of(document), ensure_ascii=False).encode(), 1)
        self._guarded(lambda: self._connection.execute("INSERT OR REPLACE INTO readings VALUES (?, ?)", (key, packed)))
        self._unwritten_readings += 1
        if self._unwritten_readings >= FILES_PER_COMMIT:
            self._guarded(self._connection.commit)
            self._unwritten_readings = 0

    def finish(self, texts: Callable[[], Iterable[str]], size: int, embedder: Embedder) -> None:
        """After a rebuild: the readings go, and, once there are many, vectors of texts the index no longer holds.

        texts: every text the index embeds, size of them.
        """

        def sweep() -> None:
            self._connection.execute("DELETE FROM readings")
            (held,) = self._connection.execute("SELECT count(*) FROM vectors").fetchone()
            if held > 2 * size + _SPARE:
                self._connection.execute("CREATE TEMP TABLE used (key BLOB PRIMARY KEY)")
                rows = ((_key_of(embedder.fingerprint, text),) for text in texts())
                self._connection.executemany("INSERT OR IGNORE INTO used VALUES (?)", rows)
                self._connection.execute("DELETE FROM vectors WHERE key NOT IN (SELECT key FROM used)")
            self._connection.commit()

        self._guarded(sweep)

    def close(self) -> None:
        """Keeps what was read since the last commit, also where the rebuild broke off."""
        self._guarded(self._connection.commit)
        self._connection.close()

    def _missing(self, texts: Sequence[str], embedder: Embedder) -> np.ndarray:
        """The places of texts without a vector, ascending, each text once. What counts as one text is told by 64 bits:
        where two differ all the same, the second is embedded when its turn comes in `_vectors`."""
        short_keys, unknown = np.zeros(len(texts), dtype=np.uint64), np.zeros(len(texts), dtype=bool)
        for places in _blocks(len(texts)):
            keys = [_key_of(embedder.fingerprint, texts[place]) for place in places]
            known = self._vectors_of(keys, embedder.dimension)
            short_keys[places] = [int.from_bytes(key[:8], "little") for key in keys]
            unknown[places] = [key not in known for key in keys]
        found = np.flatnonzero(unknown)
        return np.sort(found[np.unique(short_keys[found], return_index=True)[1]])

    def _vectors(self, texts: Sequence[str], embedder: Embedder) -> Iterator[np.ndarray]:
        """Read from the cache; one that it could not keep is made again."""
        for places in _blocks(len(texts)):
            keys = [_key_of(embedder.fingerprint, texts[place]) for place in places]
            known = self._vectors_of(keys, embedder.dimension)
            lost = {key: place for key, place in zip(keys, places, strict=True) if key not in known}
            if lost:
                known |= zip(lost, embedder.encode_passages([texts[place] for place in lost.values()]), strict=True)
            yield np.array([known[key] for key in keys], dtype=np.float32)

    def _vectors_of(self, keys: Sequence[bytes], dimension: int) -> dict[bytes, np.ndarray]:
        found: dict[bytes, np.ndarray] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = list(dict.fromkeys(keys[start : start + _KEYS_PER_QUERY]))
            marks = ",".join("?" * len(part))
            try:
                rows = self._connection.execute(f"SELECT * FROM vectors WHERE key IN ({marks})", part).fetchall()
            except sqlite3.DatabaseError:
                self._begin_anew()
                return found
            for key, vector, checksum in rows:
                if checksum == _checksum(key, vector) and len(vector) == 4 * dimension:
                    found[key] = np.frombuffer(vector, dtype=np.float32)
        return found

    def _store(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        sealed = [(key, vector, _checksum(key, vector)) for key, vector in rows]

        def write() -> None:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", sealed)
            self._connection.commit()

        self._guarded(write)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except sqlite3.DatabaseError:
            self._begin_anew()

    def _begin_anew(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink(missing_ok=True)
        self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        try:
            connection.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection


class _Batches(Sequence[list[str]]):
    """Texts by the batch, each batch made when it is asked for."""

    def __init__(self, texts: Sequence[str], places: np.ndarray, size: int) -> None:
        self._texts, self._places, self._size = texts, places, size

    def __len__(self) -> int:
        return -(-len(self._places) // self._size)

    @overload
    def __getitem__(self, number: int) -> list[str]: ...
    @overload
    def __getitem__(self, number: slice) -> list[list[str]]: ...
    def __getitem__(self, number: int | slice) -> list[str] | list[list[str]]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return [self._texts[place] for place in self._places[number * self._size : (number + 1) * self._size].tolist()]


def _blocks(size: int) -> Iterator[range]:
    for start in range(0, size, _TEXTS_PER_LOOK):
        yield range(start, min(start + _TEXTS_PER_LOOK, size))


def _key_of(fingerprint: str, text: str) -> bytes:
    return hashlib.sha256(f"{fingerprint}\0{text}".encode(errors="replace")).digest()


def _checksum(key: bytes, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(key))
