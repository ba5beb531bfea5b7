"""The index as a LangChain `VectorStore`. Kept apart: its import takes longer than answering a question."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from knowledge.errors import IndexDamaged, IndexMissing, InvalidUsage
from rag.added_documents import added_document, as_document, as_documents, filter_of
from rag.embedder import Embedder
from rag.embeddings_embedder import EmbeddingsEmbedder, unit_rows
from rag.generation_writer import Change, write_generation
from rag.generations import new_generation_name
from rag.langchain_plugs import EmbedderAdapter
from rag.manifest import FORMAT_VERSION, Manifest
from rag.open_generation import OpenGeneration
from rag.passage_index import ROUTING, PassageIndex
from rag.passage_store import ADDED, StoredDocument
from rag.passages import Passage
from rag.serving_index import ServingIndex
from rag.words import words_fingerprint
from rag.writer_lock import writing

if TYPE_CHECKING:
    from rag.milvus_store import MilvusStore
    from rag.served_or_local import ServedOrLocal

_BATCH = 1024  # texts embedded at once; bounds the memory
_WAIT_SECONDS = 60.0  # for another writer of the same folder


class PassageVectorStore(VectorStore):
    """Texts in a folder of immutable generations: every add and delete is one new generation, or nothing at all.

    A score is the cosine of question and text, in [-1, 1], higher is nearer. A filter is a `PassageFilter`, or a
    dict of its values (`language`, `departments`, `source_ids`), applied before the search. In the folder of a
    daozhen index the store finds what was ingested too, and adds and deletes only its own texts, which a rebuild
    keeps. Metadata must be JSON. Raises IndexDamaged where the folder was written with another embedder.
    store: searched instead of the folder, and given every generation once it is written.
    """

    def __init__(
        self, index_dir: Path | str, embedding: Embeddings | Embedder, store: MilvusStore | None = None
    ) -> None:
        self.index_dir = Path(index_dir)
        self._embedder: Embedder = EmbeddingsEmbedder.of(embedding) if isinstance(embedding, Embeddings) else embedding
        self._serving: ServingIndex | None = None
        self._store = store
        self._served: ServedOrLocal | None = None

    @property
    def embeddings(self) -> Embeddings:
        if isinstance(self._embedder, EmbeddingsEmbedder):
            return self._embedder.embeddings
        return EmbedderAdapter(self._embedder)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        index_dir: Path | str | None = None,
        **_: Any,
    ) -> PassageVectorStore:
        """A store of texts. index_dir: where it is kept; a temporary folder without one."""
        store = cls(index_dir or tempfile.mkdtemp(prefix="daozhen-store-"), embedding)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **_: Any,
    ) -> list[str]:
        """Adds texts, replacing those whose ids are there; gives their ids."""
        texts = list(texts)
        names = [name or uuid.uuid4().hex for name in (ids or [None] * len(texts))]
        rows = metadatas or [{} for _ in texts]
        if not len(texts) == len(names) == len(rows):
            raise InvalidUsage(f"{len(texts)} texts, {len(names)} ids, {len(rows)} metadatas; give one of each")
        last = {name: added_document(name, text, row) for name, text, row in zip(names, texts, rows, strict=True)}
        self._write(set(last), list(last.values()))
        return names

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """Deletes texts of this store by id, all of them without ids; ids that are not there are no fault."""
        index = self._index()
        if index is not None:
            gone = None if ids is None else set(ids)
            if _added_documents(index, gone):
                self._write(gone, [])
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        index = self._searched()
        return [] if index is None else as_documents(index, list(index.rows_of_ids(ids).values()))

    def similarity_search(self, query: str, k: int = 4, filter: Any = None, **_: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Any = None, **_: Any
    ) -> list[tuple[Document, float]]:
        """(document, cosine) of the k nearest texts, best first."""
        return self._nearest(self._embedder.encode_queries([query])[0], k, filter)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Any = None, **_: Any
    ) -> list[Document]:
        vector = unit_rows([embedding], self._embedder.dimension)[0]
        return [document for document, _ in self._nearest(vector, k, filter)]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, filter: Any = None, **_: Any
    ) -> list[Document]:
        index = self._searched()
        if index is None:
            return []
        vector = self._embedder.encode_queries([query])[0]
        held = index.held_at(index.by_meaning(vector, fetch_k, filter_of(filter)).rows)
        chosen = maximal_marginal_relevance(vector, [one.vector.tolist() for one in held], lambda_mult, k)
        return [as_document(held[place]) for place in chosen]

    def _select_relevance_score_fn(self) -> Any:
        return lambda cosine: max(0.0, cosine)

    def _nearest(self, vector: np.ndarray, k: int, only: Any) -> list[tuple[Document, float]]:
        index = self._searched()
        if index is None:
            return []
        found = index.by_meaning(vector, k, filter_of(only))
        return list(zip(as_documents(index, found.rows), found.scores, strict=True))

    def _searched(self) -> OpenGeneration | None:
        """The generation that is searched: the store's where there is one. None before anything was written."""
        index = self._index()
        if index is None or self._store is None:
            return index
        if self._served is None:
            from rag.served_or_local import ServedOrLocal

            store = self._store
            self._served = ServedOrLocal(lambda: store, self.index_dir, self._embedder)
        return self._served.current()

    def _index(self) -> PassageIndex | None:
        """The generation that serves; None before anything was written."""
        if self._serving is None:
            try:
                self._serving = ServingIndex(self.index_dir, self._embedder.fingerprint)
            except IndexMissing:
                return None
            _checked_embedder(self._serving.current(), self._embedder)
        return self._serving.current()

    def _write(self, gone: set[str] | None, arriving: Sequence[tuple[StoredDocument, list[Passage]]]) -> None:
        """gone: the ids of texts that go, None for all."""
        with writing(self.index_dir, _WAIT_SECONDS):
            base = self._index()
            change = Change(
                base=base,
                gone=_added_documents(base, gone) if base is not None else (),
                arriving=arriving,
                embed=self._embedded,
                keep_once=list,
                likeness_keys=lambda passage: (),  # every text has its own id, so all are kept
                extra_files=lambda folder: _copy_routing(base, folder),
            )
            write_generation(self.index_dir, _manifest(base, self._embedder), change)
            if self._store is not None:
                from rag.served_copy import copy_generation

                copy_generation(PassageIndex.open(self.index_dir), self._store)

    def _embedded(self, texts: Sequence[str]) -> Iterator[np.ndarray]:
        for start in range(0, len(texts), _BATCH):
            yield self._embedder.encode_passages(texts[start : start + _BATCH])


def _manifest(base: PassageIndex | None, embedder: Embedder) -> Manifest:
    if base is not None:
        return replace(base.manifest, generation=new_generation_name(), files={}, sources={})
    return Manifest(
        format_version=FORMAT_VERSION,
        generation=new_generation_name(),
        embedder=embedder.name,
        embedder_fingerprint=embedder.fingerprint,
        dimension=embedder.dimension,
        knowledge_fingerprint="",
        reading_fingerprint="",
        words_fingerprint=words_fingerprint(),
        source_dirs=(),
    )


def _added_documents(index: PassageIndex, ids: set[str] | None) -> list[int]:
    """The numbers of this store's own documents, of those ids or of all."""
    if ids is not None:
        return index.passages.documents_of(ADDED, ids)
    return [number for number, _ in index.passages.documents(ADDED)]


def _copy_routing(base: PassageIndex | None, folder: Path) -> None:
    if base is not None and (base.folder / ROUTING).is_dir():
        shutil.copytree(base.folder / ROUTING, folder / ROUTING)


def _checked_embedder(index: PassageIndex, embedder: Embedder) -> None:
    made = index.manifest
    if made.embedder_fingerprint != embedder.fingerprint:
        raise IndexDamaged(
            f"{index.folder}: written with embedder {made.embedder} ({made.dimension} dimensions), "
            f"asked with {embedder.name} ({embedder.dimension}); use the same, or another folder"
        )
