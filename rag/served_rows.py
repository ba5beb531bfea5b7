"""How a generation stands in a served store: rows of passages, and beside them the small files, the pages and the seal."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from knowledge.errors import InvalidUsage
from rag.manifest import MANIFEST, MANIFEST_SEAL, Manifest
from rag.passage_index import LEXICAL, ROUTING, PassageIndex
from rag.passages import Passage
from rag.prepared import PREPARED

if TYPE_CHECKING:
    from rag.milvus_collection import Collection

Row = dict[str, Any]

MOST_VALUES = 4096  # of one passage in an array: Milvus' own limit
MOST_BYTES = 65_535  # of a text: Milvus' own limit
BATCH = 500  # rows sent at once: some megabytes
FILE, PAGE, SEAL = "file", "page", "seal"  # kinds of rows beside the passages
PASSAGE = ("text", "body", "also_in")  # the fields a passage is read from
_NO_WORD = 0  # the dimension that says a passage holds no word; of a word it is its place among the tokens and one
_PART = 15_000  # characters of a page in one row; four bytes each at most


def passage_rows(index: PassageIndex) -> Iterator[Row]:
    """Every passage of an open generation as a row of the store's first collection, in order."""
    places, names = index.sources
    for start in range(0, len(index.passages), BATCH):
        rows = range(start, min(start + BATCH, len(index.passages)))
        vectors = index.vectors.vectors[rows.start : rows.stop]
        for row, stored, vector in zip(rows, index.passages.stored_at(rows), vectors, strict=True):
            passage = stored.passage
            words = index.lexical.text_weights(row, passage.embedded_text())
            added = index.passages.document_head(stored.document).added()
            yield _row(row, passage, vector, words, str(names[places[row]]), added)


def _row(
    row: int,
    passage: Passage,
    vector: np.ndarray,
    words: Mapping[int, float],
    source: str,
    added: Mapping[str, Any] | None,
) -> Row:
    """source: by which the local index counts the passage; words: place among the tokens -> weight."""
    sources = (passage.source_id, *passage.also_in)[:MOST_VALUES]
    found: Row = {
        "row": row,
        "text": passage.text,
        "vector": vector.tolist(),
        "words": {place + 1: weight for place, weight in words.items()} or {_NO_WORD: 1.0},
        "passage_key": key_of(passage.passage_id),
        "source_key": key_of(passage.source_id),
        "language_key": key_of(passage.language),
        "department_keys": [key_of(department) for department in passage.departments][:MOST_VALUES],
        "source_keys": [key_of(source_id) for source_id in sources],
        "also_in": list(passage.also_in[:MOST_VALUES]),
        "kind": passage.kind,
        "source": source,
        "body": json.dumps({**passage.as_row(), "text": "", "also_in": ()}, ensure_ascii=False),
        "added": "" if added is None else json.dumps(added, ensure_ascii=False),
    }
    for name in ("text", "body", "added"):
        if len(found[name].encode(errors="replace")) > MOST_BYTES:
            raise InvalidUsage(
                f"passage {passage.passage_id[:80]}: longer than the {MOST_BYTES:,} bytes Milvus holds in one row; "
                'split that text, or keep store = "local"'
            )
    return found


def beside_rows(index: PassageIndex) -> Iterator[Row]:
    """The small files, then the pages, in parts; numbered in this order."""
    numbers = itertools.count()
    for name in (MANIFEST, MANIFEST_SEAL, *small_files(index.manifest)):
        coded = base64.b64encode((index.folder / name).read_bytes()).decode()
        for part in _parts(coded, 4 * _PART):
            yield beside_row(next(numbers), FILE, part, name)
    place = itertools.count()
    for number, _ in index.passages.documents():
        document = index.passages.document(number)
        for section in document.sections:
            key = page_key(document.source_id, section.get("page"), section.get("heading") or "")
            here = next(place)
            for part in _parts(section["text"], _PART):
                yield beside_row(next(numbers), PAGE, part, number=here, key=key)


def beside_row(row: int, kind: str, text: str, name: str = "", number: int = 0, key: int = 0) -> Row:
    """A row of the store's second collection; its vector means nothing."""
    return {
        "row": row,
        "text": text,
        "vector": [1.0, 0.0],
        "kind": kind,
        "name": name,
        "number": number,
        "page_key": key,
    }


def _parts(text: str, size: int) -> Iterable[str]:
    return (text[start : start + size] for start in range(0, max(1, len(text)), size))


def key_of(value: str) -> int:
    """63 bits that stand for a text in filters."""
    return int.from_bytes(hashlib.blake2b(value.encode(errors="replace"), digest_size=8).digest(), "little") >> 1


def page_key(source_id: str, page: int | None, heading: str) -> int:
    """Stands for a page or section of a source."""
    return key_of("\0".join((source_id, "" if page is None else str(page), heading)))


def passage_of(row: dict[str, Any]) -> Passage:
    """The passage a row of the store holds."""
    return replace(Passage.from_row({**json.loads(row["body"]), "text": row["text"]}), also_in=tuple(row["also_in"]))


def pages_of(beside: Collection, key: int) -> Iterator[dict[str, Any]]:
    """The pages of a key, their parts put together."""
    whole: dict[int, str] = {}
    for row in beside.those(f"page_key == {key}", ("text", "number")):
        whole[row["number"]] = whole.get(row["number"], "") + row["text"]
    yield from ({"number": number, "text": text} for number, text in whole.items())


def seal_of(beside: Collection) -> dict[str, Any] | None:
    """What was written last: its presence says that the copy is whole. None for a half-copied generation."""
    if not beside.exists():
        return None
    rows = beside.those(f'kind == "{SEAL}"', ("text",), latest=True)
    return json.loads(rows[0]["text"]) if rows else None


def small_files(manifest: Manifest) -> list[str]:
    """The files a reader needs beside the store: rules, departments' phrases, and how rare words are."""
    words = (f"{LEXICAL}/tokens.npy", f"{LEXICAL}/starts.npy")
    return [name for name in manifest.files if name in (*words, PREPARED) or name.startswith(f"{ROUTING}/")]
