"""A generation served by Milvus answers like the same one on this machine; what goes wrong leaves this machine's serving."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("langchain_milvus")

from knowledge.errors import CopyStopped, InvalidUsage, StoreUnavailable
from rag.facets import PassageFilter
from rag.generations import roll_back
from rag.manifest import FORMAT_VERSION
from rag.milvus_store import MilvusStore
from rag.passage_index import PassageIndex
from rag.retriever import HybridSearch
from rag.served_copy import copy_generation, drop_old
from rag.served_generation import ServedGeneration, where
from rag.served_or_local import ServedOrLocal
from rag.served_rows import key_of
from rag.vector_store import PassageVectorStore
from tests.served_store import EMBEDDER, TEXTS, another, index_of_texts, running_store

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
    with running_store(tmp_path_factory.mktemp("milvus") / "lite.db") as store:
        yield store


@pytest.fixture
def index_dir(tmp_path) -> Path:
    return index_of_texts(tmp_path / "index")


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


def test_a_passage_that_is_gone_from_the_store_is_told_and_this_machine_answers(store, index_dir):
    own = another(store, "gone")
    copy_generation(PassageIndex.open(index_dir), own)
    served = ServedGeneration.open(own, own.serving(), index_dir)
    with pytest.raises(StoreUnavailable, match="has lost row 99"):
        served.held_at([0, 99])


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
