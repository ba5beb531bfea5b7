"""What goes wrong with a served store is told in one line, and leaves this machine's index answering."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("langchain_milvus")

from knowledge.errors import InvalidSettings, MissingExtra, StoreUnavailable
from rag.config import Settings
from rag.milvus_store import MilvusAddress, MilvusStore, _generation_of
from rag.passage_index import PassageIndex
from rag.retriever import HybridSearch
from rag.served_copy import copy_generation
from rag.served_generation import ServedGeneration
from rag.served_or_local import ServedOrLocal, connected, serve_newest, state_of
from rag.vector_store import PassageVectorStore
from tests.fakes import HashEmbedder
from tests.served_store import EMBEDDER, TEXTS, another, index_of_texts, running_store


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[MilvusStore]:
    with running_store(tmp_path_factory.mktemp("milvus") / "lite.db") as store:
        yield store


@pytest.fixture
def index_dir(tmp_path) -> Path:
    return index_of_texts(tmp_path / "index")


def test_another_embedder_is_told_and_this_machine_serves_once_warned(store, index_dir, caplog):
    own = another(store, "embedder")
    copy_generation(PassageIndex.open(index_dir), own)
    other = HashEmbedder("other", 16)
    with pytest.raises(StoreUnavailable, match=r"built by embedder hash .* the settings name other"):
        ServedOrLocal(lambda: own, index_dir, other).current()
    other_dir = index_dir.with_name("other")
    PassageVectorStore(other_dir, other).add_texts(["头痛"])
    serving = ServedOrLocal(lambda: own, other_dir, other)
    assert [serving.current().manifest.dimension for _ in range(3)] == [16, 16, 16]
    assert caplog.text.count("Until then this machine's generation") == 1 and "index rebuild" in serving.fault


def test_a_store_that_fails_in_the_middle_of_a_question_leaves_the_whole_question_to_this_machine(
    store, index_dir, caplog
):
    own = another(store, "middle")
    copy_generation(PassageIndex.open(index_dir), own)
    search = HybridSearch(ServedOrLocal(lambda: own, index_dir, EMBEDDER), EMBEDDER)

    def work(one: HybridSearch) -> list[str]:
        found = [hit.passage.passage_id for hit in one.search("发热", 2)]
        if isinstance(one.index, ServedGeneration):
            raise StoreUnavailable("Milvus at x: cannot be reached")
        return found

    local = HybridSearch(PassageIndex.open(index_dir), EMBEDDER).search("发热", 2)
    assert search.whole(work) == [hit.passage.passage_id for hit in local]
    assert isinstance(search.index, PassageIndex) and "cannot be reached" in caplog.text


def test_after_a_failure_the_rest_of_the_reply_is_of_this_machines_generation_too(store, index_dir):
    own = another(store, "rest")
    copy_generation(PassageIndex.open(index_dir), own)
    serving = ServedOrLocal(lambda: own, index_dir, EMBEDDER)
    reply = HybridSearch(serving, EMBEDDER).current()
    assert isinstance(reply.index, ServedGeneration)
    own.drop(own.serving())
    assert reply.whole(lambda one: one.search("发热", 1))[0].passage.passage_id in TEXTS
    assert isinstance(reply.index, PassageIndex) and isinstance(serving.at_home(), PassageIndex)


def test_a_store_that_comes_back_serves_again_without_a_restart(store, index_dir, caplog, monkeypatch):
    own, tries = another(store, "back"), []
    copy_generation(PassageIndex.open(index_dir), own)

    def connect() -> MilvusStore:
        tries.append(1)
        if len(tries) == 1:
            raise StoreUnavailable("Milvus at x: cannot be reached")
        return own

    serving = ServedOrLocal(connect, index_dir, EMBEDDER)
    assert [isinstance(serving.current(), PassageIndex) for _ in range(3)] == [True] * 3 and len(tries) == 1
    monkeypatch.setattr("rag.served_or_local.time.monotonic", lambda: float("inf"))  # much later
    assert isinstance(serving.current(), ServedGeneration) and serving.fault == ""
    assert caplog.text.count("cannot be reached") == 1 and "answers again" in caplog.text


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://127.0.0.1:9", "cannot be reached; start it, or mend milvus_uri"),
        ("", "milvus_uri is missing"),
        ("ftp://somewhere", "path ending in .db"),
        ("http://root:secret@host:19530", "holds a password"),
    ],
)
def test_an_address_that_does_not_serve_is_one_line_and_this_machine_answers(uri, message, index_dir, caplog):
    settings = Settings(index_dir.parent, store="milvus", milvus_uri=uri)
    search = HybridSearch(ServedOrLocal(lambda: connected(settings), index_dir, EMBEDDER), EMBEDDER)
    assert search.search("发热", 1)[0].passage.passage_id in TEXTS
    assert message in caplog.text and "secret" not in caplog.text and "\n" not in caplog.records[0].getMessage()
    state = state_of(settings, EMBEDDER)
    assert state["serves"] == "local" and message in state["why_local"]
    with pytest.raises((StoreUnavailable, InvalidSettings), match=message.split("(")[0]):
        serve_newest(settings)


def test_a_refused_token_is_told_without_the_token(index_dir, refusing_milvus, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DAOZHEN_MILVUS_TOKEN", "root:wrong-secret")
    settings = Settings(index_dir.parent, store="milvus", milvus_uri=refusing_milvus)
    with pytest.raises(StoreUnavailable, match=r"refuses the token; put the right one in DAOZHEN_MILVUS_TOKEN"):
        connected(settings)
    assert "wrong-secret" not in caplog.text + repr(MilvusAddress(refusing_milvus, "x", "wrong-secret"))


@pytest.fixture
def refusing_milvus() -> Iterator[str]:
    """A server that speaks Milvus' protocol and lets nobody in."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc
    from pymilvus.grpc_gen import milvus_pb2_grpc

    class Refusing(milvus_pb2_grpc.MilvusServiceServicer):
        def Connect(self, request, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check api key is correct")

    server = grpc.server(ThreadPoolExecutor(1))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Refusing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(0)


def test_the_token_comes_from_a_file_where_one_is_named(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("rag.milvus_store.MilvusStore", lambda address: seen.append(address))
    (tmp_path / "token").write_text("root:one\n")
    connected(Settings(tmp_path, milvus_uri="https://milvus:19530", milvus_token_file="token"))
    assert seen[0].token == "root:one" and seen[0].uri == "https://milvus:19530"
    with pytest.raises(InvalidSettings, match="milvus_token_file .*missing cannot be read"):
        connected(Settings(tmp_path, milvus_uri="a.db", milvus_token_file="missing"))
    with pytest.raises(InvalidSettings, match="letters, digits"):
        connected(Settings(tmp_path, milvus_uri="a.db", milvus_name="no-such name"))


def test_collections_of_others_are_left_alone():
    assert _generation_of("daozhen_20261122T110319_123456789", "daozhen") == "20261122T110319-123456789"
    assert _generation_of("daozhen_two_20261122T110319_123456789", "daozhen") is None
    assert _generation_of("somebody", "daozhen") is None


def test_a_server_that_is_too_old_or_no_milvus_is_told(monkeypatch):
    class Old:
        def __init__(self, **arguments):
            pass

        def get_server_version(self):
            return "v2.3.21"

    monkeypatch.setattr("rag.milvus_store.MilvusClient", Old)
    with pytest.raises(StoreUnavailable, match=r"is version v2\.3\.21; update it to 2\.5 or newer"):
        MilvusStore(MilvusAddress("http://milvus:19530", "x"))


def test_without_the_extra_the_remedy_is_named(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "langchain_milvus", None)
    for name in ("milvus_libraries", "milvus_collection", "milvus_store"):
        monkeypatch.delitem(sys.modules, f"rag.{name}")
    with pytest.raises(MissingExtra, match=r"daozhen\[milvus\]"):
        connected(Settings(tmp_path, milvus_uri="a.db"))


def test_status_says_what_serves_and_what_is_there(store, index_dir):
    settings = Settings(index_dir.parent, store="milvus", milvus_uri=store.address.uri, milvus_name="status")
    serve_newest(settings)
    state = state_of(settings, EMBEDDER)
    assert state["serves"] == "milvus" and state["half_copied"] == [] and "why_local" not in state
    assert state["served_kept"] == [state["served_generation"]]
    json.dumps(state)
