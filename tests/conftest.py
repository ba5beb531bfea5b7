"""Shared by all tests: a home folder with a built index, made once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.config import Settings, quiet_libraries

quiet_libraries()
os.environ["DAOZHEN_HOME"] = "/nonexistent/daozhen-home-for-tests"  # no test touches a real home by accident


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose index holds the shipped knowledge."""
    from ingest.pipeline import rebuild_index
    from rag.embedder import load_embedder

    home = tmp_path_factory.mktemp("home")
    rebuild_index(Settings(home).index_dir, load_embedder(), [])
    return home


@pytest.fixture(scope="session")
def served(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of that home folder, its index copied into Milvus Lite and served from there."""
    pytest.importorskip("langchain_milvus")
    from milvus_lite.server_manager import server_manager_instance

    from rag.served_or_local import serve_newest

    path = tmp_path_factory.mktemp("served") / "milvus.db"
    settings = Settings(built_home, store="milvus", milvus_uri=str(path))
    serve_newest(settings)
    yield settings
    server_manager_instance.release_server(str(path))


@pytest.fixture(scope="session")
def assistant(built_home: Path):
    """The assistant over the shipped knowledge."""
    from rag import load_assistant

    return load_assistant(Settings(built_home))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model of two small layers with random weights."""
    pytest.importorskip("trl")
    import torch

    from tests.tiny_chat_model import build_tiny_chat_model

    torch.set_num_threads(1)
    return build_tiny_chat_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def client(assistant):
    """Of the API over the shipped knowledge, with its default settings."""
    from tests.api_client import client_of

    with client_of(assistant) as client:
        yield client
