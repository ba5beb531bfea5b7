"""Documents added through LangChain's interface: as the index keeps them, as it hands them back, and what they are filtered by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document

from knowledge.errors import InvalidUsage
from knowledge.script import holds_chinese
from rag.facets import PassageFilter
from rag.langchain_plugs import passage_as_document
from rag.open_generation import Held, OpenGeneration
from rag.passage_store import ADDED, StoredDocument
from rag.passages import Passage


def added_document(name: str, text: str, metadata: dict[str, Any]) -> tuple[StoredDocument, list[Passage]]:
    """A text as the index keeps it. Raises InvalidUsage where its metadata is no JSON."""
    try:
        json.dumps(metadata)
    except (TypeError, ValueError) as fault:
        raise InvalidUsage(f"{name}: its metadata is no JSON ({fault}); give text, numbers, lists and dicts") from None
    language = "zh" if holds_chinese(text) else "en"
    passage = Passage(name, name, "", "", None, 0, text, language, "document")
    body = {"metadata": metadata, "quarantined": []}
    sections = ({"text": text, "heading": "", "page": None},)
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()
    return StoredDocument(name, ADDED, digest, body, sections), [passage]


def as_documents(index: OpenGeneration, rows: Sequence[int]) -> list[Document]:
    """The passages of rows, in their order."""
    return [as_document(held) for held in index.held_at(rows)]


def as_document(held: Held) -> Document:
    """A passage as LangChain has it: as it was added, or with what ingestion knows of it."""
    if held.added is None:
        return passage_as_document(held.passage)
    return Document(id=held.passage.passage_id, page_content=held.passage.text, metadata=dict(held.added))


def filter_of(values: Any) -> PassageFilter:
    """The filter a caller means. Raises InvalidUsage where it is none."""
    if values is None or isinstance(values, PassageFilter):
        return values or PassageFilter()
    try:
        sets = {name: value if isinstance(value, str) else frozenset(value) for name, value in dict(values).items()}
        only = PassageFilter(**sets)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidUsage(f"{values!r}: no filter; its keys are language, departments, source_ids") from None
    if isinstance(only.departments, str) or isinstance(only.source_ids, str):
        raise InvalidUsage(f"{values!r}: departments and source_ids need lists")
    return only
