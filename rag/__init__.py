"""daozhen's assistant: `from rag import load_assistant, load_retriever`. Importing it loads no model and no torch."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.assistant import Assistant
    from rag.config import Settings
    from rag.langchain_plugs import PassageRetriever
    from rag.writers import Writer

__all__ = ["load_assistant", "load_retriever"]


def load_assistant(settings: Settings | None = None, writer: Writer | None = None) -> Assistant:
    """The assistant over the index in DAOZHEN_HOME. Raises IndexMissing, naming the command that builds one."""
    from rag import assistant
    from rag.config import quiet_libraries

    quiet_libraries()
    return assistant.load_assistant(settings, writer)


def load_retriever(
    k: int = 5,
    language: str | None = None,
    departments: Collection[str] | None = None,
    min_score: float = 0.0,
    settings: Settings | None = None,
) -> PassageRetriever:
    """A LangChain retriever over the same index: at most k passages of score min_score (0-1) or more, best first.

    language: "zh" or "en"; departments: department ids; both filter before the search.
    """
    from rag.config import load_settings, quiet_libraries
    from rag.from_settings import open_search
    from rag.langchain_plugs import PassageRetriever, filter_for

    quiet_libraries()
    search = open_search(settings or load_settings())
    return PassageRetriever(search=search, k=k, only=filter_for(language, departments), min_score=min_score)
