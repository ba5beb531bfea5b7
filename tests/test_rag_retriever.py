"""Retrieval over the shipped knowledge, as LangChain sees it, from this machine's index and from Milvus."""

from __future__ import annotations

from dataclasses import replace

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from rag import load_assistant, load_retriever
from rag.config import Settings
from rag.retriever import fuse_ranks


@pytest.fixture(scope="module", params=["local", "milvus"])
def settings(request, built_home):
    return Settings(built_home) if request.param == "local" else request.getfixturevalue("served")


def test_it_is_a_langchain_retriever_whose_documents_say_where_they_stand(settings):
    retriever = load_retriever(k=4, settings=settings)
    found = retriever.invoke("胸口痛是怎么回事")
    assert isinstance(retriever, BaseRetriever) and 0 < len(found) <= 4
    assert all(isinstance(document, Document) for document in found)
    for key in ("title", "section", "page", "source_id", "language", "score"):
        assert key in found[0].metadata
    assert all(0 <= document.metadata["score"] <= 1 for document in found)


@pytest.mark.parametrize(
    ("question", "guide"),
    [
        ("胸口疼怎么办", "chest_pain"),
        ("我血压高要注意什么", "hypertension"),
        ("my child has a fever", "fever_in_children"),
    ],
)
def test_the_right_guide_is_among_the_first(question, guide, settings):
    found = load_retriever(k=5, settings=settings).invoke(question)
    assert f"guidelines/{guide}" in {document.metadata["source_id"] for document in found}


def test_language_and_department_filter_before_the_search(settings):
    found = load_retriever(k=5, language="en", departments=["cardiology"], settings=settings).invoke("胸痛")
    assert len(found) == 5
    assert {document.metadata["language"] for document in found} == {"en"}
    assert all("cardiology" in document.metadata["departments"] for document in found)


def test_min_score_leaves_out_what_is_not_about_the_question(settings):
    assert load_retriever(k=5, min_score=0.99, settings=settings).invoke("胸痛") == []
    assert load_retriever(k=5, departments=["no_such"], settings=settings).invoke("胸痛") == []


def test_ranks_are_fused_by_weight():
    assert fuse_ranks([([1, 2], 1.0), ([2, 3], 1.0)])[0] == 2
    assert fuse_ranks([([1], 0.1), ([3], 1.0)]) == [3, 1]
    assert fuse_ranks([]) == []


@pytest.fixture(scope="module")
def replica(served, tmp_path_factory):
    """The assistant of a machine that holds no index of its own."""
    return load_assistant(replace(served, home=tmp_path_factory.mktemp("replica")))


def test_a_machine_without_an_index_reads_the_same_guides(assistant, replica):
    assert list(replica.dialogue.index.guides()) == list(assistant.dialogue.index.guides()) != []


@pytest.mark.parametrize(
    "question",
    [
        "我今年72，最近上两层楼就喘，躺平了得垫高枕头，该看哪个科",
        "My tooth has throbbed for two days, is that urgent?",
        "支架放完两年了，能不能跳广场舞",
        "How do I renew my passport?",
    ],
)
def test_a_machine_without_an_index_gives_the_same_reply_from_milvus(question, assistant, replica):
    before, after = assistant.reply(question), replica.reply(question)
    assert (after.triage, after.answer, after.follow_up) == (before.triage, before.answer, before.follow_up)
