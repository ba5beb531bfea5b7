"""Generations: damage is found and named, the last good one serves, new ones are noticed, nobody reads a mixture."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from knowledge.errors import IndexDamaged, IndexMissing
from rag.facets import PassageFilter
from rag.generations import current_generation, faults_of_all, finished_generations, point_at, roll_back
from rag.passage_index import PassageIndex
from rag.retriever import HybridSearch
from rag.serving_index import ServingIndex
from rag.vector_store import PassageVectorStore
from tests.fakes import HashEmbedder

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ["发热超过三天要就医", "高血压要少吃盐", "咳嗽三周要拍胸片", "sprained ankles need rest", "头痛伴呕吐去急诊"]


@pytest.fixture
def index_dir(tmp_path):
    """An index of two generations: the first with all texts but the last."""
    store = PassageVectorStore(tmp_path / "index", HashEmbedder())
    store.add_texts(TEXTS[:-1], ids=list("abcd"))
    store.add_texts(TEXTS[-1:], ids=["e"])
    return tmp_path / "index"


def only_the_newest(index_dir: Path) -> Path:
    serving = current_generation(index_dir)
    for folder in finished_generations(index_dir):
        if folder != serving:
            shutil.rmtree(folder)
    return serving


def test_every_one_of_300_flipped_bits_and_cuts_is_found_and_named(index_dir):
    folder = only_the_newest(index_dir)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    rng = random.Random(5)
    for number in range(300):
        path = files[number % len(files)] if number < 2 * len(files) else rng.choice(files)
        raw = path.read_bytes()
        if number % 5 == 4:
            path.write_bytes(raw[: rng.randrange(len(raw))])
        else:
            flipped = bytearray(raw)
            flipped[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            path.write_bytes(flipped)
        with pytest.raises(IndexDamaged, match="daozhen index rebuild") as told:
            PassageIndex.open(index_dir)
        assert path.name.removesuffix(".sha256") in str(told.value)
        assert any(path.name.removesuffix(".sha256") in fault for fault in faults_of_all(index_dir)[folder.name])
        path.write_bytes(raw)
    assert len(PassageIndex.open(index_dir).passages) == 5


@pytest.mark.parametrize("name", ["passages.sqlite", "vectors.faiss", "manifest.json", "lexical/rows.npy"])
def test_a_missing_file_is_named(name, index_dir):
    (only_the_newest(index_dir) / name).unlink()
    with pytest.raises(IndexDamaged, match=name.split("/")[-1]):
        PassageIndex.open(index_dir)


def test_the_last_good_generation_serves_and_says_so(index_dir, caplog):
    newest = current_generation(index_dir)
    (newest / "vectors.faiss").write_bytes(b"rotten")
    index = PassageIndex.open(index_dir)
    assert len(index.passages) == 4 and index.folder != newest
    assert "vectors.faiss" in caplog.text and f"generation {index.folder.name} serves" in caplog.text


def test_an_older_generation_of_another_embedder_is_no_substitute(index_dir):
    (current_generation(index_dir) / "vectors.faiss").write_bytes(b"rotten")
    with pytest.raises(IndexDamaged, match=r"vectors\.faiss"):
        PassageIndex.open(index_dir, "some other embedder")


@pytest.mark.parametrize("pointer", ["gone\n", "", "../../etc", None])
def test_a_pointer_to_nowhere_is_told_and_the_newest_good_generation_serves(pointer, index_dir, caplog):
    if pointer is None:
        (index_dir / "CURRENT").unlink()
    else:
        (index_dir / "CURRENT").write_text(pointer)
    assert len(PassageIndex.open(index_dir).passages) == 5
    assert "CURRENT" in caplog.text


def test_a_new_generation_is_noticed_without_a_restart(index_dir):
    search = HybridSearch(ServingIndex(index_dir), HashEmbedder())
    one_reply = search.current()
    PassageVectorStore(index_dir, HashEmbedder()).add_texts(["膝盖疼要少爬楼"], ids=["f"])
    assert search.search("膝盖疼", 1)[0].passage.text == "膝盖疼要少爬楼"
    assert "膝盖疼要少爬楼" not in {hit.passage.text for hit in one_reply.search("膝盖疼", 6)}


def test_a_generation_that_is_removed_goes_on_serving_who_has_it_open(index_dir):
    index = PassageIndex.open(index_dir)
    store = PassageVectorStore(index_dir, HashEmbedder())
    for number in range(3):
        store.add_texts([f"第{number}条"])
    assert not index.folder.exists()
    assert index.passages[0].text == TEXTS[0] and HybridSearch(index, HashEmbedder()).search("高血压", 3)


def test_a_damaged_newer_generation_is_not_taken_by_a_running_assistant(index_dir, caplog):
    serving = ServingIndex(index_dir)
    newest = current_generation(index_dir)
    broken = newest.with_name("99990101T000000-000000000")
    shutil.copytree(newest, broken)
    (broken / "facets.npz").write_bytes(b"")
    point_at(index_dir, broken.name)
    assert serving.current().folder == newest and "facets.npz" in caplog.text
    caplog.clear()
    assert serving.current().folder == newest and not caplog.text


def test_rollback_goes_back_to_what_is_whole(index_dir):
    older, newer = finished_generations(index_dir)
    serving = ServingIndex(index_dir)
    assert roll_back(index_dir) == older
    assert current_generation(index_dir) == older and serving.current().folder == older
    with pytest.raises(IndexMissing, match="no intact generation before"):
        roll_back(index_dir)
    point_at(index_dir, newer.name)
    (older / "keys.npy").write_bytes(b"")
    with pytest.raises(IndexMissing):
        roll_back(index_dir)


def test_filters_are_row_sets_that_agree_with_the_passages(index_dir):
    index = PassageIndex.open(index_dir)
    for only in (
        PassageFilter("en"),
        PassageFilter("zh", source_ids=frozenset("ae")),
        PassageFilter(departments=frozenset(["x"])),
    ):
        expected = [
            row
            for row, passage in enumerate(index.passages)
            if only.language in (None, passage.language)
            and (only.source_ids is None or passage.source_id in only.source_ids)
            and (only.departments is None or only.departments & set(passage.departments))
        ]
        assert index.rows_of(only).tolist() == expected


@pytest.mark.parametrize("run", [["kills", "6"], ["readers", "3", "5"]])
def test_kills_and_readers_in_short(run):
    _run_faults(run)


@pytest.mark.slow
@pytest.mark.parametrize("run", [["kills", "100"], ["readers", "8", "20"]])
def test_kills_and_readers_at_length(run):
    _run_faults(run)


def _run_faults(run):
    out = subprocess.run([sys.executable, "-m", "tests.index_faults", *run], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 0, out.stderr[-3000:]
    assert "none mixed" in out.stdout
