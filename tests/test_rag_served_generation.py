"""A generation served by Milvus answers like the same one on this machine; what goes wrong leaves this machine's serving."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("langchain_milvus")

from knowledge.errors import CopyStopped, InvalidSettings, InvalidUsage, MissingExtra, StoreUnavailable
from rag.config import Settings
from rag.facets import PassageFilter
from rag.generations import roll_back
from rag.manifest import FORMAT_VERSION
from rag.milvus_store import MilvusAddress, MilvusStore, _generation_of
from rag.passage_index import PassageIndex
from rag.retriever import HybridSearch
from rag.served_copy import copy_generation, drop_old
from rag.served_generation import ServedGeneration, where
from rag.served_or_local import ServedOrLocal, connected, serve_newest, state_of
from rag.served_rows import key_of
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
QUESTIONS = ["发热三天怎么办", "血压高能吃盐吗", "my ankle is sprained", "咳嗽发热", "？？", "no such word as xyzzy"]
FILTERS = [
    PassageFilter(),
    PassageFilter("zh"),
    PassageFilter("en", source_ids=frozenset("ade")),
    PassageFilter(source_ids=frozenset(["b", "f", 'quoted " or row >= 0 \\'])),
    PassageFilter(departments=frozenset(["cardiology"])),
    PassageFilter(departments=frozenset()),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[MilvusStore]:
    """Milvus Lite in a file, shared by the tests of this module; each names its own alias."""
    path = tmp_path_factory.mktemp("milvus") / "lite.db"
    store = MilvusStore(MilvusAddress(str(path), "shared"))
    yield store
    _stop(store, path)


def _stop(store: MilvusStore, path: Path) -> None:
    from milvus_lite.server_manager import server_manager_instance

    store.close()
    server_manager_instance.release_server(str(path))


def another(store: MilvusStore, name: str) -> MilvusStore:
    return MilvusStore(replace(store.address, name=name))


@pytest.fixture
def index_dir(tmp_path) -> Path:
    local = PassageVectorStore(tmp_path / "index", EMBEDDER)
    local.add_texts(list(TEXTS.values()), [{"number": one} for one in range(len(TEXTS))], ids=list(TEXTS))
    return tmp_path / "index"


@pytest.fixture(scope="module")
def both(store, tmp_path_factory) -> tuple[PassageIndex, ServedGeneration]:
    """The same generation on this machine and in Milvus, read there by a machine that has no index."""
    folder = tmp_path_factory.mktemp("both")
    PassageVectorStore(folder / "index", EMBEDDER).add_texts(list(TEXTS.values()), ids=list(TEXTS))
    index, own = PassageIndex.open(folder / "index"), another(store, "both")
    copy_generation(index, own)
    return index, ServedGeneration.open(own, index.manifest.generation, folder / "elsewhere")


@pytest.mark.parametrize("only", FILTERS, ids=[f"filter {number}" for number in range(len(FILTERS))])
@pytest.mark.parametrize("question", QUESTIONS)
def test_search_finds_the_same_with_the_same_scores(question, only, both):
    local, served = (HybridSearch(one, EMBEDDER) for one in both)
    assert served.search(question, 4, only) == local.search(question, 4, only)
    assert served.source_strengths(question, only) == pytest.approx(local.source_strengths(question, only))
    assert served.reach(question, only) == pytest.approx(local.reach(question, only), abs=1e-6)


def test_everything_else_retrieval_asks_is_the_same_too(both):
    index, served = both
    local, there = (HybridSearch(one, EMBEDDER) for one in both)
    passage = index.passages[1]
    assert there.cosine("高血压", passage) == pytest.approx(local.cosine("高血压", passage))
    assert there.cosine("高血压", replace(passage, passage_id="nobody")) == 0
    assert there.passages_of("b", "zh") == local.passages_of("b", "zh") == [passage]
    assert there.passages_of("b", "en") == there.passages_of("nobody", "zh") == []
    assert served.word_weights("发热 ankles xyzzy") == index.word_weights("发热 ankles xyzzy")
    assert served.page_text("b", None, "", "少吃盐") == TEXTS["b"] == index.page_text("b", None, "", "少吃盐")
    assert served.page_text("b", None, "", "not said there") is None
    assert served.rows_of_ids(["d", "nobody", "a"]) == index.rows_of_ids(["d", "nobody", "a"])
    assert list(served.guides()) == list(index.guides()) == []
    assert served.manifest == index.manifest and served.folder != index.folder


def test_a_value_of_a_filter_is_never_read_as_a_condition():
    built = where(PassageFilter('zh" or row >= 0', frozenset(["x] or row >= 0"]), frozenset(["'"])))
    assert "row" not in built and '"' not in built and str(key_of("'")) in built


def test_a_copy_serves_in_one_step_and_is_not_repeated(store, index_dir):
    own, seen = another(store, "steps"), []
    first = copy_generation(PassageIndex.open(index_dir), own, lambda *step: seen.append(step))
    assert first.copied == len(TEXTS) and own.serving() == first.generation
    assert ("copying passages", len(TEXTS), len(TEXTS)) in seen
    assert copy_generation(PassageIndex.open(index_dir), own).copied == 0


def test_running_assistants_follow_the_alias_forward_and_back_and_two_generations_stay(store, index_dir):
    own, local = another(store, "follow"), PassageVectorStore(index_dir, EMBEDDER)
    copy_generation(PassageIndex.open(index_dir), own)
    search = HybridSearch(ServedOrLocal(lambda: own, index_dir / "nowhere", EMBEDDER), EMBEDDER)
    one_reply = search.current()
    local.add_texts(["膝盖疼要少爬楼"], ids=["knee"])
    report = copy_generation(PassageIndex.open(index_dir), own)
    assert search.search("膝盖疼", 1)[0].passage.text == "膝盖疼要少爬楼"
    assert "knee" not in {hit.passage.passage_id for hit in one_reply.search("膝盖疼", 7)}
    roll_back(index_dir)
    assert copy_generation(PassageIndex.open(index_dir), own).copied == 0
    assert search.index.manifest.generation == one_reply.index.manifest.generation
    local.add_texts(["手麻要量血压"], ids=["hand"])
    third = copy_generation(PassageIndex.open(index_dir), own)
    assert third.dropped == (report.generation,) or len(own.generations()) == 2
    assert own.serving() == third.generation in own.generations()


class Stopped:
    """Progress that stops the copy at its first step, as Ctrl-C does."""

    def __call__(self, what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt


def test_a_half_copied_collection_is_named_never_serves_and_is_gone_on_with(store, index_dir, monkeypatch):
    monkeypatch.setattr("rag.served_copy.BATCH", 2)
    own, index = another(store, "half"), PassageIndex.open(index_dir)
    with pytest.raises(CopyStopped, match="half_.*half-copied and does not serve"):
        copy_generation(index, own, Stopped())
    assert own.serving() is None and own.generations() == [index.manifest.generation]
    with pytest.raises(StoreUnavailable, match="half-copied; run `daozhen index copy --to milvus`"):
        ServedGeneration.open(own, index.manifest.generation, index_dir)
    own.point_at(index.manifest.generation)  # somebody forces it
    assert ServedOrLocal(lambda: own, index_dir, EMBEDDER).current().folder == index.folder
    report = copy_generation(index, own)
    assert (report.found, report.copied) == (2, len(TEXTS) - 2)
    served = ServedGeneration.open(own, own.serving(), index_dir)
    assert HybridSearch(served, EMBEDDER).search("发热", 3) == HybridSearch(index, EMBEDDER).search("发热", 3)


def test_what_a_broken_off_copy_of_another_generation_left_is_dropped(store, index_dir):
    own = another(store, "left")
    with pytest.raises(CopyStopped):
        copy_generation(PassageIndex.open(index_dir), own, Stopped())
    PassageVectorStore(index_dir, EMBEDDER).add_texts(["新的"], ids=["new"])
    report = copy_generation(PassageIndex.open(index_dir), own)
    assert len(report.dropped) == 1 and own.generations() == [report.generation]
    assert drop_old(own) == ()


def test_another_index_does_not_take_the_alias_over_by_accident(store, index_dir, tmp_path):
    own, other = another(store, "mine"), tmp_path / "other"
    generation = copy_generation(PassageIndex.open(index_dir), own).generation
    PassageVectorStore(other, EMBEDDER).add_texts(["别家医院"], ids=["x"])
    with pytest.raises(InvalidUsage, match=r"copied from another index; give another milvus_name, or .*--replace"):
        copy_generation(PassageIndex.open(other), own)
    assert own.serving() == generation and own.generations() == [generation]
    replaced = copy_generation(PassageIndex.open(other), own, replace=True)
    assert own.serving() == replaced.generation


def test_a_collection_that_lost_passages_does_not_serve(store, index_dir):
    own, index = another(store, "lost"), PassageIndex.open(index_dir)
    copy_generation(index, own)
    own.passages(index.manifest.generation).remove("row == 3")
    with pytest.raises(StoreUnavailable, match="holds 5 passages of 32 dimensions where its manifest says 6 of 32"):
        ServedGeneration.open(own, index.manifest.generation, index_dir)
    assert copy_generation(index, own).copied == len(TEXTS)


def test_small_files_that_are_not_as_written_or_of_another_version_do_not_serve(
    store, index_dir, tmp_path, monkeypatch
):
    own, elsewhere = another(store, "files"), tmp_path / "elsewhere"
    generation = copy_generation(PassageIndex.open(index_dir), own).generation
    with monkeypatch.context() as newer:
        newer.setattr("rag.manifest.FORMAT_VERSION", 99)
        with pytest.raises(
            StoreUnavailable, match=f"index format {FORMAT_VERSION}, this version reads 99; run `daozhen index rebuild`"
        ):
            ServedGeneration.open(own, generation, elsewhere)
    with monkeypatch.context() as newer:
        newer.setattr("rag.served_generation.words_fingerprint", lambda: "other words")
        with pytest.raises(StoreUnavailable, match="words were made by another version"):
            ServedGeneration.open(own, generation, elsewhere)
    shutil.rmtree(elsewhere)
    words = own.beside(generation).those('name == "lexical/tokens.npy"', ("kind",))
    own.beside(generation).remove(f"row == {words[0]['row']}")
    with pytest.raises(StoreUnavailable, match=r"files_.*_beside: its manifest\.json is not as it was written"):
        ServedGeneration.open(own, generation, elsewhere)
    assert not list((elsewhere / "served").iterdir())


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


def test_a_passage_that_is_gone_from_the_store_is_told_and_this_machine_answers(store, index_dir):
    own = another(store, "gone")
    copy_generation(PassageIndex.open(index_dir), own)
    served = ServedGeneration.open(own, own.serving(), index_dir)
    with pytest.raises(StoreUnavailable, match="has lost row 99"):
        served.held_at([0, 99])


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


def test_a_text_that_no_row_can_hold_is_refused_by_name(store, tmp_path):
    PassageVectorStore(tmp_path / "index", EMBEDDER).add_texts(["长" * 30_000], ids=["too_long"])
    with pytest.raises(InvalidUsage, match=r"too_long: longer than the 65,535 bytes"):
        copy_generation(PassageIndex.open(tmp_path / "index"), another(store, "long"))


def test_a_large_generation_is_searched_by_a_graph(store, index_dir, monkeypatch):
    monkeypatch.setattr("rag.served_copy.EXACT_UP_TO", 2)
    own, index = another(store, "graph"), PassageIndex.open(index_dir)
    served = ServedGeneration.open(own, copy_generation(index, own).generation, index_dir)
    assert served._passages._widely["vector"] == {"ef": 200}
    assert HybridSearch(served, EMBEDDER).search("发热", 3) == HybridSearch(index, EMBEDDER).search("发热", 3)


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
