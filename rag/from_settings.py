"""What a home folder's settings name, opened: the embedder, and the index it searches."""

from __future__ import annotations

from pathlib import Path

from knowledge.errors import IndexDamaged
from rag.config import Settings
from rag.embedder import Embedder, load_embedder
from rag.manifest import REBUILD
from rag.retriever import HybridSearch
from rag.served_or_local import MILVUS, ServedOrLocal, connected
from rag.serving_index import ServingIndex


def open_search(settings: Settings) -> HybridSearch:
    """The index in DAOZHEN_HOME, whichever generation serves, and the embedder it was built with."""
    embedder = embedder_for(settings)
    if settings.store == MILVUS:
        served = ServedOrLocal(lambda: connected(settings), settings.index_dir, embedder)
        served.current()  # the fault of a store is told now, not to a patient
        return HybridSearch(served, embedder)
    serving = ServingIndex(settings.index_dir, embedder.fingerprint)
    index = serving.current()
    if index.manifest.embedder_fingerprint != embedder.fingerprint:
        made, here = index.manifest, embedder
        raise IndexDamaged(
            f"{index.folder}: built by embedder {made.embedder} ({made.embedder_fingerprint[:8]}), "
            f"the settings name {here.name} ({here.fingerprint[:8]}); {REBUILD}"
        )
    return HybridSearch(serving, embedder)


def embedder_for(settings: Settings) -> Embedder:
    """The embedder the settings name; the shipped one by default."""
    return load_embedder(
        Path(settings.embedder).expanduser()
        if settings.embedder and Path(settings.embedder).expanduser().exists()
        else settings.embedder or None,
        query_prefix=settings.query_prefix or None,
        passage_prefix=settings.passage_prefix or None,
        allow_download=settings.allow_download,
    )
