"""The documents and passages of a generation in one SQLite file: written once, then only read, by row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from rag.passages import Passage

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE documents (
    document INTEGER PRIMARY KEY, source_id TEXT, origin TEXT, readable INTEGER, size INTEGER, changed_ns INTEGER,
    sha256 TEXT, body TEXT);
CREATE TABLE sections (document INTEGER, place INTEGER, body TEXT, PRIMARY KEY (document, place)) WITHOUT ROWID;
CREATE TABLE passages (
    "row" INTEGER PRIMARY KEY, document INTEGER, passage_id TEXT, source_id TEXT, language TEXT, departments TEXT,
    body TEXT);
CREATE TABLE twins (document INTEGER, source_id TEXT, body TEXT);
CREATE TABLE also_in ("row" INTEGER, source_id TEXT, PRIMARY KEY ("row", source_id)) WITHOUT ROWID;
"""
_INDEXES = """
CREATE INDEX passages_by_id ON passages (passage_id);
CREATE INDEX documents_by_source ON documents (source_id);
CREATE INDEX twins_by_source ON twins (source_id);
CREATE INDEX passages_by_document ON passages (document);
"""
_LISTED = "\x1f"  # between departments


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
    """The passages of a generation by row, and the documents they are from. Safe to read from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        # immutable: no locks and no journal, which a folder that may only be read could not hold
        self._connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        self._size = int(self._connection.execute("SELECT count(*) FROM passages").fetchone()[0])

    def __len__(self) -> int:
        return self._size

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
        wanted = [int(row) for row in rows]
        chosen = f"({','.join(map(str, wanted))})"
        also: dict[int, list[str]] = {}
        for row, source_id in self._connection.execute(f'SELECT "row", source_id FROM also_in WHERE "row" IN {chosen}'):
            also.setdefault(row, []).append(source_id)
        found = {
            row: StoredPassage(document, _passage_of(body, also.get(row, ())))
            for row, document, body in self._connection.execute(
                f'SELECT "row", document, body FROM passages WHERE "row" IN {chosen}'
            )
        }
        return [found[row] for row in wanted]

    def rows_of_ids(self, passage_ids: Iterable[str]) -> dict[str, int]:
        """passage_id -> row, for those that are there."""
        found: dict[str, int] = {}
        for passage_id in passage_ids:
            for (row,) in self._connection.execute('SELECT "row" FROM passages WHERE passage_id = ?', (passage_id,)):
                found[passage_id] = row
        return found

    def document_numbers(self) -> np.ndarray:
        """(rows,) int64: the document of each row."""
        return np.fromiter(
            (number for (number,) in self._connection.execute('SELECT document FROM passages ORDER BY "row"')),
            dtype=np.int64,
            count=len(self),
        )

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
        bodies = self._connection.execute('SELECT body FROM passages WHERE document = ? ORDER BY "row"', (number,))
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

    def also_in(self, rows: Iterable[int]) -> set[str]:
        """The further sources of any of some rows."""
        wanted = set(rows)
        return {source for row, source in self._connection.execute("SELECT * FROM also_in") if row in wanted}

    def close(self) -> None:
        self._connection.close()

    def _sections(self, number: int) -> Iterator[dict[str, Any]]:
        rows = self._connection.execute("SELECT body FROM sections WHERE document = ? ORDER BY place", (number,))
        return (json.loads(body) for (body,) in rows.fetchall())


class PassageStoreWriter:
    """Writes the store of a new generation, taking over from an older one what stays."""

    def __init__(self, path: Path, base: Path | None) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(_SCHEMA)
        self._base = base is not None
        if base is not None:
            self._connection.execute("ATTACH ? AS old", (str(base),))
        self._connection.execute("BEGIN")
        self._next_document = 0

    def keep_documents(self, gone: Iterable[int]) -> None:
        """Takes all other documents and their sections over; they keep their numbers."""
        if not self._base:
            return
        self._connection.execute("CREATE TEMP TABLE gone (document INTEGER PRIMARY KEY)")
        self._connection.executemany("INSERT INTO gone VALUES (?)", ((int(number),) for number in gone))
        for table in ("documents", "sections"):
            self._connection.execute(
                f"INSERT INTO {table} SELECT * FROM old.{table} WHERE document NOT IN (SELECT document FROM gone)"
            )
        self._next_document = 1 + int(
            self._connection.execute("SELECT coalesce(max(document), -1) FROM old.documents").fetchone()[0]
        )

    def add_document(self, document: StoredDocument) -> int:
        """Its number."""
        number, self._next_document = self._next_document, self._next_document + 1
        row = (
            number,
            document.source_id,
            document.origin,
            document.readable,
            document.size,
            document.changed_ns,
            document.sha256,
            _json(document.body),
        )
        self._connection.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._connection.executemany(
            "INSERT INTO sections VALUES (?, ?, ?)",
            ((number, place, _json(section)) for place, section in enumerate(document.sections)),
        )
        return number

    def keep_passages(self, rows: np.ndarray, places: np.ndarray, unsettled: frozenset[str] = frozenset()) -> None:
        """Takes over the passages of old rows; places: their rows from now on.

        What they share with sources that are not unsettled is taken over too, and those sources' twins.
        """
        if not self._base:
            return
        self._connection.execute('CREATE TEMP TABLE moved ("row" INTEGER PRIMARY KEY, place INTEGER)')
        self._connection.executemany(
            "INSERT INTO moved VALUES (?, ?)", zip(rows.tolist(), places.tolist(), strict=True)
        )
        self._connection.execute("CREATE TEMP TABLE unsettled (source_id TEXT PRIMARY KEY)")
        self._connection.executemany("INSERT INTO unsettled VALUES (?)", ((source_id,) for source_id in unsettled))
        self._connection.execute(
            "INSERT INTO passages SELECT place, document, passage_id, source_id, language, departments, body"
            ' FROM old.passages JOIN moved USING ("row") ORDER BY place'
        )
        self._connection.execute(
            'INSERT INTO also_in SELECT place, source_id FROM old.also_in JOIN moved USING ("row")'
            " WHERE source_id NOT IN unsettled"
        )
        self._connection.execute(
            "INSERT INTO twins SELECT * FROM old.twins WHERE document NOT IN (SELECT document FROM gone)"
            " AND source_id NOT IN unsettled ORDER BY old.twins.rowid"
        )

    def add_passages(self, passages: Iterable[tuple[int, StoredPassage]]) -> None:
        """Writes passages at rows."""
        self._connection.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    row,
                    stored.document,
                    stored.passage.passage_id,
                    stored.passage.source_id,
                    stored.passage.language,
                    _LISTED.join(stored.passage.departments),
                    _body_of(stored.passage),
                )
                for row, stored in passages
            ),
        )

    def add_twins(self, passages: Iterable[StoredPassage]) -> None:
        """Writes passages that are not searched, because another says the same."""
        self._connection.executemany(
            "INSERT INTO twins VALUES (?, ?, ?)",
            ((stored.document, stored.passage.source_id, _body_of(stored.passage)) for stored in passages),
        )

    def add_also_in(self, rows: Mapping[int, Iterable[str]]) -> None:
        """Writes the further sources of rows."""
        self._connection.executemany(
            "INSERT INTO also_in VALUES (?, ?)",
            ((row, source_id) for row, sources in rows.items() for source_id in sources),
        )

    def facet_pairs(self) -> dict[str, list[tuple[int, str]]]:
        """Facet name -> (row, value) pairs."""
        rows = self._connection.execute('SELECT "row", language, source_id, departments FROM passages').fetchall()
        also = self._connection.execute('SELECT "row", source_id FROM also_in').fetchall()
        return {
            "language": [(row, language) for row, language, _, _ in rows],
            "source": [(row, source_id) for row, _, source_id, _ in rows] + also,
            "department": [
                (row, department) for row, _, _, listed in rows if listed for department in listed.split(_LISTED)
            ],
        }

    def counts(self) -> tuple[int, int]:
        """Readable documents, and rows of the quarantine report."""
        documents, rows = self._connection.execute(
            "SELECT coalesce(sum(readable), 0), coalesce(sum(json_array_length(body, '$.quarantined')), 0) FROM documents"
        ).fetchone()
        return int(documents), int(rows)

    def sources(self) -> dict[str, str]:
        """source_id -> sha256, without what was added by hand; a source of several documents has one entry for each."""
        found: dict[str, str] = {}
        for number, source_id, sha256 in self._connection.execute(
            "SELECT document, source_id, sha256 FROM documents WHERE readable AND origin != ? ORDER BY document",
            (ADDED,),
        ):
            found[source_id if source_id not in found else f"{source_id}#{number}"] = sha256
        return found

    def finish(self) -> None:
        """Indexes and closes the file."""
        self._connection.execute("COMMIT")
        if self._base:
            self._connection.execute("DETACH old")
        self._connection.executescript(_INDEXES)
        self._connection.close()

    def abandon(self) -> None:
        """Closes the file as it is; its folder goes."""
        self._connection.close()


def _passage_of(body: str, also_in: Iterable[str]) -> Passage:
    return replace(Passage.from_row(json.loads(body)), also_in=tuple(also_in))


def _body_of(passage: Passage) -> str:
    return _json({**vars(passage), "also_in": ()})  # those are rows of their own, for they change without the passage


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as damaged JSON and old file systems hold them
        return text.encode(errors="replace").decode()
    return text
