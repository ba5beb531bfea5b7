"""The index as LangChain's vector store and retriever: LangChain's own standard tests, and what they do not ask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from knowledge.errors import IndexDamaged, InvalidUsage
from rag.config import Settings
from rag.from_settings import open_search
from rag.generations import current_generation
from rag.langchain_plugs import PassageRetriever
from rag.passage_index import PassageIndex
from rag.vector_store import PassageVectorStore
from tests.fakes import HashEmbedder


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> PassageVectorStore:
        return PassageVectorStore(tmp_path / "store", self.get_embeddings())


@pytest.fixture(scope="module")
def milvus_file(tmp_path_factory) -> Iterator[Path]:
    """One Milvus Lite for all tests of this module; each names its own alias."""
    pytest.importorskip("langchain_milvus")
    path = tmp_path_factory.mktemp("milvus") / "lite.db"
    yield path
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(str(path))


def served_store(path: Path, index_dir: Path, embedding: object) -> PassageVectorStore:
    """The store over an index folder, searched in Milvus."""
    from rag.milvus_store import MilvusAddress, MilvusStore

    name = f"t{hashlib.md5(str(index_dir).encode()).hexdigest()}"
    return PassageVectorStore(index_dir, embedding, MilvusStore(MilvusAddress(str(path), name)))


class TestVectorStoreServedByMilvus(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path, milvus_file: Path) -> PassageVectorStore:
        return served_store(milvus_file, tmp_path / "store", self.get_embeddings())


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _over_the_shipped_knowledge(self, built_home: Path) -> None:
        type(self)._search = open_search(Settings(built_home))

    @property
    def retriever_constructor(self):
        return PassageRetriever

    @property
    def retriever_constructor_params(self):
        return {"search": self._search}

    @property
    def retriever_query_example(self) -> str:
        return "胸口痛是怎么回事"


@pytest.fixture(params=["local", "milvus"])
def store(request, tmp_path):
    if request.param == "local":
        return PassageVectorStore(tmp_path / "store", HashEmbedder())
    return served_store(request.getfixturevalue("milvus_file"), tmp_path / "store", HashEmbedder())


def test_scores_are_cosines_best_first(store):
    store.add_texts(["头痛", "头痛发热", "膝盖疼"])
    found = store.similarity_search_with_score("头痛", k=3)
    cosines = [score for _, score in found]
    assert found[0][0].page_content == "头痛" and cosines[0] == pytest.approx(1)
    assert cosines == sorted(cosines, reverse=True) and all(-1 <= cosine <= 1.0001 for cosine in cosines)
    assert all(0 <= score <= 1.0001 for _, score in store.similarity_search_with_relevance_scores("头痛", k=3))


def test_the_filter_comes_before_the_search(store):
    store.add_texts(["head ache", *["头痛" + "啊" * number for number in range(20)]])
    found = store.similarity_search("头痛", k=1, filter={"language": "en"})
    assert [document.page_content for document in found] == ["head ache"]
    with pytest.raises(InvalidUsage, match="keys are"):
        store.similarity_search("头痛", filter={"tongue": "en"})


def test_what_was_added_is_there_for_the_next_process(store):
    ids = store.add_documents([Document(page_content="门诊在一楼", metadata={"floor": 1})], ids=["desk"])
    again = PassageVectorStore(store.index_dir, HashEmbedder())
    assert again.get_by_ids(ids) == [Document(id="desk", page_content="门诊在一楼", metadata={"floor": 1})]


def test_a_store_sees_what_another_has_added_meanwhile(store):
    other = PassageVectorStore(store.index_dir, HashEmbedder())
    store.add_texts(["头痛"])
    assert other.similarity_search("头痛", k=1)
    store.add_texts(["发热"])
    assert other.similarity_search("发热", k=1)[0].page_content == "发热"


def test_another_embedder_is_told_apart_at_once(store):
    store.add_texts(["头痛"])
    with pytest.raises(IndexDamaged, match="another folder"):
        PassageVectorStore(store.index_dir, DeterministicFakeEmbedding(size=6)).similarity_search("头痛")


def test_from_texts_and_marginal_relevance(tmp_path):
    store = PassageVectorStore.from_texts(
        ["头痛", "头痛", "膝盖疼"], DeterministicFakeEmbedding(size=8), index_dir=tmp_path / "store"
    )
    found = store.max_marginal_relevance_search("头痛", k=2, lambda_mult=0.1)
    assert {document.page_content for document in found} == {"头痛", "膝盖疼"}


def test_metadata_that_is_no_json_is_refused_and_nothing_is_written(store):
    with pytest.raises(InvalidUsage, match="JSON"):
        store.add_texts(["头痛"], [{"when": object()}])
    assert store.similarity_search("头痛") == []


def test_delete_without_ids_empties_the_store(store):
    store.add_texts(["头痛", "发热"])
    assert store.delete() and store.similarity_search("头痛") == []


def test_a_deleted_text_is_nowhere_in_the_files_of_the_generation_that_serves(tmp_path):
    store = PassageVectorStore(tmp_path / "index", HashEmbedder())
    store.add_texts(["ein Geheimnis", *(f"text {number}" for number in range(50))], ids=[str(n) for n in range(51)])
    store.delete(["0"])
    folder = current_generation(tmp_path / "index")
    assert not [path for path in folder.rglob("*") if path.is_file() and b"Geheimnis" in path.read_bytes()]


def test_a_passage_keeps_its_place_among_the_others_through_updates(tmp_path):
    store = PassageVectorStore(tmp_path / "index", HashEmbedder())
    store.add_texts(["eins", "zwei", "drei", "vier"], ids=list("abcd"))
    store.delete(["b"])
    store.add_texts(["drei neu", "fünf"], ids=["c", "e"])
    store.delete(["a"])
    index = PassageIndex.open(tmp_path / "index")
    assert [passage.text for passage in index.passages] == ["vier", "drei neu", "fünf"]
    assert [document.page_content for document in store.get_by_ids(list("abcde"))] == ["drei neu", "vier", "fünf"]
    for row, passage in enumerate(index.passages):
        assert index.nearest(HashEmbedder().encode_passages([passage.text])[0], 1)[0][0] == row
        assert int(np.argmax(index.lexical.scores(passage.text))) == row
