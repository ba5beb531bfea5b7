"""Writes the SQLite file that rag/passage_store.py reads: the one before copied, and what has changed changed in it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rag.passage_store import ADDED, StoredDocument, StoredPassage
from rag.passages import Passage

_SPARE_SHARE = 0.25  # of the file that may lie empty before it is written anew
_SETTINGS = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA secure_delete = ON;
"""  # the folder is thrown away where anything fails; what was deleted must not stay readable in the file
_SCHEMA = """
CREATE TABLE documents (
    document INTEGER PRIMARY KEY, source_id TEXT, origin TEXT, readable INTEGER, size INTEGER, changed_ns INTEGER,
    sha256 TEXT, body TEXT);
CREATE TABLE sections (document INTEGER, place INTEGER, body TEXT, PRIMARY KEY (document, place)) WITHOUT ROWID;
CREATE TABLE passages (number INTEGER PRIMARY KEY, document INTEGER, passage_id TEXT, source_id TEXT, body TEXT);
CREATE TABLE twins (document INTEGER, source_id TEXT, body TEXT);
CREATE TABLE also_in (number INTEGER, source_id TEXT, PRIMARY KEY (number, source_id)) WITHOUT ROWID;
"""
_INDEXES = """
CREATE INDEX passages_by_id ON passages (passage_id);
CREATE INDEX passages_by_document ON passages (document);
CREATE INDEX documents_by_source ON documents (source_id);
CREATE INDEX twins_by_source ON twins (source_id);
CREATE INDEX twins_by_document ON twins (document);
"""


class PassageStoreWriter:
    """The store of a new generation, begun as the copy of an older one where there is one."""

    def __init__(self, path: Path, base: Path | None) -> None:
        if base is not None:
            shutil.copyfile(base, path)
        self._has_base = base is not None
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(_SETTINGS if base else _SETTINGS + _SCHEMA)
        self._connection.execute("BEGIN")
        (last,) = self._connection.execute("SELECT coalesce(max(document), -1) FROM documents").fetchone()
        self._next_document = 1 + int(last)

    def remove_documents(self, gone: Iterable[int]) -> None:
        """Removes documents with their sections and twins; all others keep their numbers."""
        numbers = [(int(number),) for number in gone]
        for table in ("documents", "sections", "twins"):
            self._connection.executemany(f"DELETE FROM {table} WHERE document = ?", numbers)

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

    def remove_passages(self, numbers: np.ndarray, unsettled: Iterable[str] = ()) -> None:
        """Removes passages, and of the others what they share with sources that are to be settled anew."""
        gone = [(number,) for number in numbers.tolist()]
        for table in ("passages", "also_in"):
            self._connection.executemany(f"DELETE FROM {table} WHERE number = ?", gone)
        self._connection.execute("CREATE TEMP TABLE unsettled (source_id TEXT PRIMARY KEY)")
        self._connection.executemany("INSERT INTO unsettled VALUES (?)", ((source_id,) for source_id in unsettled))
        for table in ("also_in", "twins"):
            self._connection.execute(f"DELETE FROM {table} WHERE source_id IN unsettled")

    def add_passages(self, passages: Iterable[tuple[int, StoredPassage]]) -> None:
        """Writes passages under numbers."""
        self._connection.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?)",
            (
                (number, stored.document, stored.passage.passage_id, stored.passage.source_id, _body_of(stored.passage))
                for number, stored in passages
            ),
        )

    def add_twins(self, passages: Iterable[StoredPassage]) -> None:
        """Writes passages that are not searched, because another says the same."""
        self._connection.executemany(
            "INSERT INTO twins VALUES (?, ?, ?)",
            ((stored.document, stored.passage.source_id, _body_of(stored.passage)) for stored in passages),
        )

    def add_also_in(self, numbers: Mapping[int, Iterable[str]]) -> None:
        """Writes the further sources of passages."""
        self._connection.executemany(
            "INSERT INTO also_in VALUES (?, ?)",
            ((number, source_id) for number, sources in numbers.items() for source_id in sources),
        )

    def also_in(self) -> list[tuple[int, str]]:
        """(number, further source) of every passage that has one."""
        return self._connection.execute("SELECT number, source_id FROM also_in").fetchall()

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
        if not self._has_base:
            self._connection.executescript(_INDEXES)
        elif self._pragma("freelist_count") > _SPARE_SHARE * self._pragma("page_count"):
            self._connection.execute("VACUUM")
        self._connection.close()

    def abandon(self) -> None:
        """Closes the file as it is; its folder goes."""
        self._connection.close()

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def _body_of(passage: Passage) -> str:
    return _json({**vars(passage), "also_in": ()})  # those are rows of their own, for they change without the passage


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as damaged JSON and old file systems hold them
        return text.encode(errors="replace").decode()
    return text
