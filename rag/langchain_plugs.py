"""Retrieval and embeddings in LangChain's own forms. Kept apart: its import takes longer than answering a question."""

from __future__ import annotations

from collections.abc import Collection

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from rag.embedder import Embedder
from rag.facets import PassageFilter
from rag.passages import Passage, RetrievedPassage
from rag.retriever import HybridSearch


class EmbedderAdapter(Embeddings):
    """An Embedder where LangChain expects its `Embeddings`."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embedder.encode_passages(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.embedder.encode_queries([text])[0].tolist()


class PassageRetriever(BaseRetriever):
    """The retriever LangChain sees: `Document`s with title, section, page, source_id, language and score."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    search: HybridSearch
    k: int = 5
    only: PassageFilter = PassageFilter()
    min_score: float = 0.0

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        wanted = self.k if k is None else k
        found = self.search.whole(lambda one: one.search(query, wanted, self.only, self.min_score))
        return [as_document(passage) for passage in found]


def as_document(found: RetrievedPassage) -> Document:
    """A retrieved passage in LangChain's form."""
    document = passage_as_document(found.passage)
    document.metadata["score"] = found.score
    return document


def passage_as_document(passage: Passage) -> Document:
    """A passage in LangChain's form."""
    return Document(
        id=passage.passage_id,
        page_content=passage.text,
        metadata={
            "title": passage.title,
            "section": passage.section,
            "page": passage.page,
            "source_id": passage.source_id,
            "language": passage.language,
            "departments": list(passage.departments),
        },
    )


def filter_for(language: str | None, departments: Collection[str] | None) -> PassageFilter:
    """A filter from the plain values a caller has."""
    return PassageFilter(language, frozenset(departments) if departments is not None else None)
