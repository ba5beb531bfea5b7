"""Documents in the form the index keeps them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ingest.documents import QuarantineRow, SourceDocument, SourceSection
from ingest.plan import FoundFile
from rag.manifest import digest_of
from rag.passage_store import KNOWLEDGE, StoredDocument

_COLUMNS = ("source_id", "sha256", "sections")  # kept beside the body


def row_of(document: SourceDocument) -> dict[str, Any]:
    """A document as JSON can hold it."""
    return {
        **vars(document),
        "departments": list(document.departments),
        "sections": [vars(section) for section in document.sections],
        "quarantined": [vars(entry) for entry in document.quarantined],
    }


def document_of(row: Mapping[str, Any]) -> SourceDocument:
    """The document of such a row. Raises TypeError or KeyError where it is none."""
    return SourceDocument(
        **{
            **row,
            "departments": tuple(row["departments"]),
            "sections": tuple(_section_of(section) for section in row["sections"]),
            "quarantined": tuple(QuarantineRow(**entry) for entry in row["quarantined"]),
        }
    )


def _section_of(row: Mapping[str, Any]) -> SourceSection:
    return SourceSection(**{**row, "departments": tuple(row["departments"])})


def stored_file(document: SourceDocument, file: FoundFile) -> StoredDocument:
    """A document read from a file."""
    row = row_of(document)
    return StoredDocument(
        source_id=file.source_id,
        origin=str(file.folder),
        sha256=document.sha256,
        body={name: value for name, value in row.items() if name not in _COLUMNS},
        sections=row["sections"],
        size=file.size,
        changed_ns=file.changed_ns,
    )


def stored_unreadable(row: QuarantineRow, file: FoundFile) -> StoredDocument:
    """A file that was left out, so that it is not read again until it changes."""
    body = {"quarantined": [vars(row)]}
    return StoredDocument(file.source_id, str(file.folder), file.sha256, body, (), False, file.size, file.changed_ns)


def stored_knowledge(document: SourceDocument) -> StoredDocument:
    """A shipped document; its sha256 is of all that goes into its passages."""
    row = row_of(document)
    body = {name: value for name, value in row.items() if name not in _COLUMNS}
    return StoredDocument(document.source_id, KNOWLEDGE, digest_of([body, row["sections"]]), body, row["sections"])


def restored(stored: StoredDocument) -> SourceDocument:
    """The document as it was read."""
    return document_of(
        {**stored.body, "source_id": stored.source_id, "sha256": stored.sha256, "sections": stored.sections}
    )


def renamed(document: SourceDocument, source_id: str) -> SourceDocument:
    """The document under another name; a title that was only the old name follows."""
    was_named_after = document.title == PurePosixPath(document.source_id).stem
    title = PurePosixPath(source_id).stem if was_named_after else document.title
    rows = tuple(replace(row, source_id=source_id) for row in document.quarantined)
    return replace(document, source_id=source_id, title=title, quarantined=rows)
