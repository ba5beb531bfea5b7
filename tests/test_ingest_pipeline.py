"""Rebuilding the index: what goes in, what stays out, and that the index in use is never harmed."""

from __future__ import annotations

import json

import pytest
from filelock import FileLock

from ingest import pipeline
from ingest.pipeline import RebuildOptions, plan_rebuild, rebuild_index
from ingest.remembered import index_state, indexed_source_dirs
from knowledge.departments import load_departments
from knowledge.errors import IndexBusy, IndexDamaged, IndexMissing, UnreadableSource
from rag.generations import current_generation
from rag.passage_index import PassageIndex
from tests.fakes import HashEmbedder


@pytest.fixture(autouse=True)
def only_little_knowledge(monkeypatch):
    """No shipped guides, and one department: these tests are about files."""
    emergency = {"emergency": load_departments()["emergency"]}
    monkeypatch.setattr(pipeline, "knowledge_documents", lambda: iter(()))
    monkeypatch.setattr(pipeline, "load_departments", lambda: emergency)


@pytest.fixture
def folder(tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "diet.md").write_text("# 饮食\n高血压患者每天吃盐不超过5克。", encoding="utf-8")
    (sources / "fever.txt").write_text("体温超过39℃要就医。", encoding="utf-8")
    return sources


def test_a_folder_becomes_passages_that_can_be_found_again(folder, tmp_path):
    report = rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    index = PassageIndex.open(tmp_path / "index")
    assert (report.documents, report.passages) == (2, 2)
    assert {passage.source_id for passage in index.passages} == {"diet.md", "fever.txt"}
    assert indexed_source_dirs(tmp_path / "index") == [folder]


def test_a_bad_file_is_reported_and_the_rest_goes_in(folder, tmp_path):
    (folder / "broken.pdf").write_bytes(b"nothing")
    (folder / "picture.png").write_bytes(b"png")
    report = rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    assert report.documents == 2
    assert {row.source_id for row in report.quarantined} == {"broken.pdf", "picture.png"}


def test_a_missing_or_empty_folder_changes_nothing(folder, tmp_path):
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    before = current_generation(tmp_path / "index")
    (tmp_path / "hollow").mkdir()
    for bad in (tmp_path / "nowhere", tmp_path / "hollow"):
        with pytest.raises(UnreadableSource, match=bad.name):
            rebuild_index(tmp_path / "index", HashEmbedder(), [bad])
    assert current_generation(tmp_path / "index") == before
    PassageIndex.open(tmp_path / "index")


def test_a_rebuild_that_dies_leaves_the_old_generation_serving(folder, tmp_path, monkeypatch):
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    before = current_generation(tmp_path / "index")

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(pipeline.RoutingIndex, "save", dies)
        rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    assert current_generation(tmp_path / "index") == before
    PassageIndex.open(tmp_path / "index")
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    leftovers = [path.name for path in (tmp_path / "index" / "generations").iterdir() if path.name.startswith(".")]
    assert not leftovers


def test_a_second_writer_is_told_to_wait(folder, tmp_path):
    (tmp_path / "index").mkdir()
    with FileLock(tmp_path / "index" / "writer.lock"), pytest.raises(IndexBusy, match="wait"):
        rebuild_index(tmp_path / "index", HashEmbedder(), [folder])


def test_without_an_index_the_command_that_builds_one_is_named(tmp_path):
    with pytest.raises(IndexMissing, match="daozhen index rebuild"):
        PassageIndex.open(tmp_path / "index")
    assert index_state(tmp_path / "index") == "missing"


@pytest.mark.parametrize(
    "name", ["passages.jsonl", "vectors.faiss", "manifest.json", "routing/vectors.npy", "lexical/vocab.index.json"]
)
@pytest.mark.parametrize("harm", ["altered", "cut", "missing"])
def test_a_harmed_file_is_named_and_nothing_is_answered_from_it(name, harm, folder, tmp_path):
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    path = current_generation(tmp_path / "index") / name
    raw = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(raw[: len(raw) // 2] if harm == "cut" else raw[:-3] + b"\x00\x01\x02")
    with pytest.raises(IndexDamaged, match="daozhen index rebuild") as told:
        PassageIndex.open(tmp_path / "index")
    assert path.name in str(told.value)


def test_a_pointer_to_nowhere_is_damage(folder, tmp_path):
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    (tmp_path / "index" / "CURRENT").write_text("gone\n")
    with pytest.raises(IndexDamaged, match="gone"):
        PassageIndex.open(tmp_path / "index")


def test_changed_knowledge_is_noticed(folder, tmp_path):
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    assert index_state(tmp_path / "index") == "current"
    manifest = current_generation(tmp_path / "index") / "manifest.json"
    values = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**values, "knowledge_fingerprint": "older"}), encoding="utf-8")
    assert index_state(tmp_path / "index") == "outdated"


def test_two_generations_are_kept(folder, tmp_path):
    for _ in range(4):
        rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    assert len(list((tmp_path / "index" / "generations").iterdir())) == 2
