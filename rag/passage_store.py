"""The documents and passages of a generation in one SQLite file, found by row. Written by rag/passage_store_writer.py.

A row's number among the file's passages never changes while the row stays, though the row itself moves up when rows
before it go: so the next generation's file is this one's copy with a few lines changed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from rag.passages import Passage


@dataclass(frozen=True)
class StoredDocument:
    """A source as the index keeps it, so that nothing unchanged is read twice and a quote can be shown in its page.

    origin: the folder it was found in, KNOWLEDGE or ADDED; size, changed_ns: of the file and when it last changed, to see that it has not since;
    body: all else it consists of, its quarantine rows included; sections: in order, each with text, heading, page.
    A file that could not be read is kept too, without sections, with the reason among its quarantine rows.
    """

    source_id: str
    origin: str
    sha256: str
    body: Mapping[str, Any]
    sections: Sequence[Mapping[str, Any]] = ()
    readable: bool = True
    size: int = 0  # bytes
    changed_ns: int = 0

    def added(self) -> dict[str, Any] | None:
        """The metadata of what was added through the Python interface; None for any other source."""
        return dict(self.body["metadata"]) if self.origin == ADDED else None


KNOWLEDGE, ADDED = "knowledge", "added"  # origins that are no folder: shipped, and added through the Python interface


@dataclass(frozen=True)
class StoredPassage:
    """A passage and the number of the document it is from."""

    document: int
    passage: Passage


class PassageStore(Sequence[Passage]):
    """The passages of a generation by row, and the documents they are from. Safe to read from several threads.

    numbers: (rows,) int64 ascending, each row's number in the file.
    """

    def __init__(self, path: Path, numbers: np.ndarray) -> None:
        self.path, self.numbers = path.resolve(), numbers
        # immutable: no locks and no journal, which a folder that may only be read could not hold
        self._connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, row: int) -> Passage: ...
    @overload
    def __getitem__(self, row: slice) -> list[Passage]: ...
    def __getitem__(self, row: int | slice) -> Passage | list[Passage]:
        if isinstance(row, slice):
            return self.at(range(*row.indices(len(self))))
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        return self.at([row % len(self)])[0]

    def __iter__(self) -> Iterator[Passage]:
        for start in range(0, len(self), 1000):
            yield from self[start : start + 1000]

    def at(self, rows: Iterable[int]) -> list[Passage]:
        """The passages of rows, in the order of the rows."""
        return [stored.passage for stored in self.stored_at(rows)]

    def stored_at(self, rows: Iterable[int]) -> list[StoredPassage]:
        """As `at`, with the documents' numbers."""
        wanted = self.numbers[np.fromiter(rows, dtype=np.int64)].tolist()
        chosen = f"({','.join(map(str, wanted))})"
        also: dict[int, list[str]] = {}
        for number, source_id in self._connection.execute(f"SELECT * FROM also_in WHERE number IN {chosen}"):
            also.setdefault(number, []).append(source_id)
        found = {
            number: StoredPassage(document, _passage_of(body, also.get(number, ())))
            for number, document, body in self._connection.execute(
                f"SELECT number, document, body FROM passages WHERE number IN {chosen}"
            )
        }
        return [found[number] for number in wanted]

    def rows_of_ids(self, passage_ids: Iterable[str]) -> dict[str, int]:
        """passage_id -> row, for those that are there."""
        found: dict[str, int] = {}
        for passage_id in passage_ids:
            for (number,) in self._connection.execute(
                "SELECT number FROM passages WHERE passage_id = ?", (passage_id,)
            ):
                found[passage_id] = int(np.searchsorted(self.numbers, number))
        return found

    def rows_of_documents(self, documents: Iterable[int]) -> np.ndarray:
        """(rows,) int64, ascending: those of some documents."""
        chosen = f"({','.join(str(int(document)) for document in documents)})"
        found = self._connection.execute(f"SELECT number FROM passages WHERE document IN {chosen} ORDER BY number")
        return np.searchsorted(self.numbers, np.array([number for (number,) in found], dtype=np.int64))

    def documents_of(self, origin: str, source_ids: Iterable[str]) -> list[int]:
        """The numbers of the documents that have one of some sources and that origin."""
        asked = "SELECT document FROM documents WHERE source_id = ? AND origin = ?"
        found = (self._connection.execute(asked, (source_id, origin)).fetchall() for source_id in set(source_ids))
        return sorted(number for rows in found for (number,) in rows)

    def documents(self, origin: str | None = None) -> Iterator[tuple[int, StoredDocument]]:
        """Every document (of one origin) with its number, without sections and body."""
        for number, source_id, found, sha256, readable, size, changed_ns in self._connection.execute(
            "SELECT document, source_id, origin, sha256, readable, size, changed_ns FROM documents"
            " WHERE origin = ?1 OR ?1 IS NULL ORDER BY document",
            (origin,),
        ):
            yield number, StoredDocument(source_id, found, sha256, {}, (), bool(readable), size, changed_ns)

    def source_ids(self, numbers: Iterable[int]) -> set[str]:
        """The sources of some documents."""
        chosen = f"({','.join(str(int(number)) for number in numbers)})"
        return {
            source_id
            for (source_id,) in self._connection.execute(f"SELECT source_id FROM documents WHERE document IN {chosen}")
        }

    def document(self, number: int) -> StoredDocument:
        """One document with its sections."""
        return replace(self.document_head(number), sections=tuple(self._sections(number)))

    def document_head(self, number: int) -> StoredDocument:
        """One document without its sections."""
        source_id, origin, readable, size, changed_ns, sha256, body = self._connection.execute(
            "SELECT source_id, origin, readable, size, changed_ns, sha256, body FROM documents WHERE document = ?",
            (number,),
        ).fetchone()
        return StoredDocument(source_id, origin, sha256, json.loads(body), (), bool(readable), size, changed_ns)

    def of_document(self, number: int) -> list[Passage]:
        """Every passage of a document, those not searched because another says the same included."""
        bodies = self._connection.execute("SELECT body FROM passages WHERE document = ? ORDER BY number", (number,))
        twins = self._connection.execute("SELECT body FROM twins WHERE document = ? ORDER BY rowid", (number,))
        return [_passage_of(body, ()) for (body,) in (*bodies, *twins)]

    def quarantined(self) -> list[dict[str, Any]]:
        """Every row of the quarantine report, by source."""
        bodies = self._connection.execute(
            "SELECT body FROM documents WHERE json_array_length(body, '$.quarantined') > 0 ORDER BY source_id"
        )
        return [row for (body,) in bodies for row in json.loads(body)["quarantined"]]

    def page_text(self, source_id: str, page: int | None, heading: str, quote: str = "") -> str | None:
        """The text of the page, or of the section under that heading, that holds a quote; None where none does."""
        numbers = self._connection.execute(
            "SELECT document FROM documents WHERE source_id = ?", (source_id,)
        ).fetchall()
        for (number,) in numbers:
            for section in self._sections(number):
                here = section.get("page") == page and (section.get("heading") or "") == heading
                if here and quote in section["text"]:
                    return str(section["text"])
        return None

    def twins_of(self, source_ids: Iterable[str]) -> list[StoredPassage]:
        """The passages of some sources that are not searched, because another passage says the same."""
        found: list[StoredPassage] = []
        for source_id in source_ids:
            rows = self._connection.execute("SELECT document, body FROM twins WHERE source_id = ?", (source_id,))
            found += [StoredPassage(document, _passage_of(body, ())) for document, body in rows]
        return found

    def also_in(self, rows: np.ndarray) -> set[str]:
        """The further sources of any of some rows."""
        wanted = set(self.numbers[rows].tolist())
        return {source for number, source in self._connection.execute("SELECT * FROM also_in") if number in wanted}

    def close(self) -> None:
        self._connection.close()

    def _sections(self, number: int) -> Iterator[dict[str, Any]]:
        rows = self._connection.execute("SELECT body FROM sections WHERE document = ? ORDER BY place", (number,))
        return (json.loads(body) for (body,) in rows.fetchall())


def _passage_of(body: str, also_in: Iterable[str]) -> Passage:
    return replace(Passage.from_row(json.loads(body)), also_in=tuple(also_in))
