"""Milvus Lite in a file, and a small index to be served from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rag.milvus_store import MilvusAddress, MilvusStore
from rag.vector_store import PassageVectorStore
from tests.fakes import HashEmbedder

EMBEDDER = HashEmbedder()
TEXTS = {
    "a": "发热超过三天要就医，发热伴抽搐马上去急诊",
    "b": "高血压要少吃盐，按时量血压",
    "c": "咳嗽三周要拍胸片",
    "d": "sprained ankles need rest and ice",
    "e": "fever for three days: see a doctor",
    "f": "???",  # no word at all
}


@contextmanager
def running_store(path: Path) -> Iterator[MilvusStore]:
    """A store that may be shared; each test names its own alias (`another`)."""
    from milvus_lite.server_manager import server_manager_instance

    store = MilvusStore(MilvusAddress(str(path), "shared"))
    yield store
    store.close()
    server_manager_instance.release_server(str(path))


def another(store: MilvusStore, name: str) -> MilvusStore:
    """The same Milvus under another alias."""
    return MilvusStore(replace(store.address, name=name))


def index_of_texts(folder: Path) -> Path:
    """An index of TEXTS on this machine."""
    local = PassageVectorStore(folder, EMBEDDER)
    local.add_texts(list(TEXTS.values()), [{"number": one} for one in range(len(TEXTS))], ids=list(TEXTS))
    return folder
