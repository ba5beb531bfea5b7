"""Rebuilding the index: what goes in, what stays out, and that the index in use is never harmed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import pipeline
from ingest.index_cache import IndexCache
from ingest.pipeline import RebuildOptions, plan_rebuild, rebuild_index
from ingest.remembered import index_state, indexed_source_dirs
from knowledge.departments import load_departments
from knowledge.errors import IndexBusy, IndexMissing, InvalidUsage, UnreadableSource
from rag.facets import PassageFilter
from rag.generations import current_generation, finished_generations
from rag.manifest import Manifest
from rag.passage_index import PassageIndex
from rag.retriever import HybridSearch
from rag.writer_lock import writing
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


def test_a_rebuild_that_dies_leaves_the_old_generation_serving(folder, tmp_path):
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    before = current_generation(tmp_path / "index")
    (folder / "cough.txt").write_text("咳嗽超过三周要就医。", encoding="utf-8")

    class Dies(HashEmbedder):
        def encode_passages(self, texts):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild_index(tmp_path / "index", Dies(), [folder])
    assert current_generation(tmp_path / "index") == before
    PassageIndex.open(tmp_path / "index")
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    leftovers = [path.name for path in (tmp_path / "index" / "generations").iterdir() if path.name.startswith(".")]
    assert not leftovers


def test_a_second_writer_is_told_who_holds_the_index(folder, tmp_path):
    index_dir = tmp_path / "index"
    with writing(index_dir), pytest.raises(IndexBusy, match=f"process {os.getpid()} on .* .since .*wait"):
        rebuild_index(index_dir, HashEmbedder(), [folder])
    rebuild_index(index_dir, HashEmbedder(), [folder])


def test_the_lock_of_a_writer_that_was_killed_is_free_again(folder, tmp_path):
    index_dir = tmp_path / "index"
    dies = f"""
import os, signal
from pathlib import Path
from rag.writer_lock import writing
with writing(Path({str(index_dir)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", dies]).returncode == -9
    assert (index_dir / "writer.json").is_file()
    assert rebuild_index(index_dir, HashEmbedder(), [folder]).changed


def test_without_an_index_the_command_that_builds_one_is_named(tmp_path):
    with pytest.raises(IndexMissing, match="daozhen index rebuild"):
        PassageIndex.open(tmp_path / "index")
    assert index_state(tmp_path / "index") == "missing"


def test_changed_knowledge_is_noticed(folder, tmp_path):
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    assert index_state(tmp_path / "index") == "current"
    generation = current_generation(tmp_path / "index")
    replace(Manifest.read(generation), knowledge_fingerprint="older").write(generation)
    assert index_state(tmp_path / "index") == "outdated"


def test_an_index_of_an_older_format_is_outdated_and_its_folders_are_remembered(folder, tmp_path):
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    generation = current_generation(tmp_path / "index")
    replace(Manifest.read(generation), format_version=1).write(generation)
    assert index_state(tmp_path / "index") == "outdated"
    assert rebuild_index(tmp_path / "index", HashEmbedder()).documents == 2


def test_so_many_generations_stay_as_are_asked_for(folder, tmp_path):
    for number in range(4):
        (folder / "fever.txt").write_text(f"体温超过39℃要就医，第{number}版。", encoding="utf-8")
        rebuild_index(tmp_path / "index", HashEmbedder(), [folder], options=RebuildOptions(keep=3))
    assert len(finished_generations(tmp_path / "index")) == 3


def test_where_nothing_has_changed_nothing_is_written(folder, tmp_path):
    first = rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    second = rebuild_index(tmp_path / "index", HashEmbedder())
    assert (second.changed, second.generation, second.documents) == (False, first.generation, 2)


def answers(index_dir, embedder=None):
    """What some questions find, by text, and all the index holds, whatever its order."""
    search = HybridSearch(PassageIndex.open(index_dir), embedder or HashEmbedder())
    found = [[(hit.passage.passage_id, hit.score) for hit in search.search(question, 50)] for question in QUESTIONS]
    return [sorted(hits) for hits in found], sorted(map(str, search.index.passages))


QUESTIONS = ("高血压吃多少盐", "发热多少度要就医", "咳嗽三周", "salt")


def test_an_update_leaves_what_a_rebuild_from_nothing_would(folder, tmp_path):
    index_dir = tmp_path / "index"
    rebuild_index(index_dir, HashEmbedder(), [folder])
    (folder / "diet.md").write_text("# 饮食\n高血压患者每天吃盐不超过5克。\n\n# 运动\n每周快走五次。", encoding="utf-8")
    (folder / "cough.txt").write_text("咳嗽超过三周要就医。", encoding="utf-8")
    (folder / "fever.txt").rename(folder / "hot.txt")
    report = rebuild_index(index_dir, HashEmbedder())
    rebuild_index(tmp_path / "other", HashEmbedder(), [folder])
    assert (report.read, report.moved, report.deleted) == (2, 1, 1)
    assert answers(index_dir) == answers(tmp_path / "other")


def test_only_new_text_is_embedded(folder, tmp_path):
    index_dir = tmp_path / "index"
    assert rebuild_index(index_dir, HashEmbedder(), [folder]).embedded == 2
    (folder / "diet.md").write_text("# 饮食\n高血压患者每天吃盐不超过5克。\n\n# 运动\n每周快走五次。", encoding="utf-8")
    assert rebuild_index(index_dir, HashEmbedder()).embedded == 1


def test_a_moved_renamed_or_touched_file_embeds_nothing(folder, tmp_path):
    index_dir = tmp_path / "index"
    rebuild_index(index_dir, HashEmbedder(), [folder])
    (folder / "deep").mkdir()
    (folder / "fever.txt").rename(folder / "deep" / "hot.txt")
    (folder / "diet.md").touch()
    report = rebuild_index(index_dir, HashEmbedder())
    assert (report.embedded, report.moved, report.deleted, report.read) == (0, 2, 1, 0)
    index = PassageIndex.open(index_dir)
    assert {(passage.source_id, passage.title) for passage in index.passages} == {
        ("deep/hot.txt", "hot"),
        ("diet.md", "饮食"),
    }


def test_another_embedder_embeds_all_and_reads_nothing(folder, tmp_path):
    index_dir = tmp_path / "index"
    rebuild_index(index_dir, HashEmbedder(), [folder])
    report = rebuild_index(index_dir, HashEmbedder("other", 16))
    assert (report.read, report.embedded, report.documents) == (0, 2, 2)
    assert PassageIndex.open(index_dir).manifest.dimension == 16


def test_a_deleted_source_disappears_from_every_file(folder, tmp_path):
    index_dir = tmp_path / "index"
    (folder / "secret.txt").write_text("紫藤阁门诊在七楼东侧。", encoding="utf-8")
    rebuild_index(index_dir, HashEmbedder(), [folder])
    (folder / "secret.txt").unlink()
    rebuild_index(index_dir, HashEmbedder(), options=RebuildOptions(keep=1))
    held = b"".join(path.read_bytes() for path in index_dir.rglob("*") if path.is_file())
    assert "紫藤阁".encode() not in held and b"secret.txt" not in held


def test_a_killed_rebuild_goes_on_where_it_was(tmp_path):
    texts = [f"第{number}号门诊在{number}楼。" for number in range(30)]

    class DiesAfterTwoBatches(HashEmbedder):
        seen = 0

        def encode_passages(self, texts):
            if self.seen >= 2:
                raise KeyboardInterrupt
            self.seen += 1
            return super().encode_passages(texts)

    cache = IndexCache(tmp_path / "cache.sqlite", texts_per_commit=10)
    with pytest.raises(KeyboardInterrupt):
        cache.embedded(texts, DiesAfterTwoBatches())
    cache.close()
    again = IndexCache(tmp_path / "cache.sqlite", texts_per_commit=10)
    vectors, missing = again.embedded(texts, HashEmbedder())
    assert missing == 10 and np.array_equal(np.concatenate(list(vectors)), HashEmbedder().encode_passages(texts))


def test_vectors_come_in_the_order_of_the_texts_whatever_the_order_of_the_batches_and_no_text_is_embedded_twice(
    tmp_path,
):
    texts = [f"第{number % 35}号门诊" for number in range(50)]
    asked = []

    def backwards(batches):
        for number in reversed(range(len(batches))):
            asked.extend(batches[number])
            yield number, HashEmbedder().encode_passages(batches[number])

    with closing(IndexCache(tmp_path / "cache.sqlite", texts_per_commit=10)) as cache:
        vectors, missing = cache.embedded(texts, HashEmbedder(), encode=backwards)
        assert np.array_equal(np.concatenate(list(vectors)), HashEmbedder().encode_passages(texts))
    assert missing == 35 and sorted(asked) == sorted(set(texts))


def test_a_vector_takes_little_more_than_its_own_bytes_in_the_cache(tmp_path):
    texts, embedder = [f"第{number}号门诊" for number in range(2000)], HashEmbedder(dimension=384)
    with closing(IndexCache(tmp_path / "cache.sqlite")) as cache:
        cache.embedded(texts, embedder)
    held = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert held < 1.2 * len(texts) * 4 * embedder.dimension


def test_a_damaged_cache_is_begun_anew_and_gives_no_wrong_vector(tmp_path):
    path, texts = tmp_path / "cache.sqlite", [f"第{number}楼" for number in range(200)]
    with closing(IndexCache(path)) as cache:
        right = np.concatenate(list(cache.embedded(texts, HashEmbedder())[0]))
    rng = random.Random(3)
    for _ in range(30):
        raw = bytearray(path.read_bytes())
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        path.write_bytes(raw)
        with closing(IndexCache(path)) as cache:
            assert np.array_equal(np.concatenate(list(cache.embedded(texts, HashEmbedder())[0])), right)


def test_the_plan_says_what_a_rebuild_then_does(folder, tmp_path):
    index_dir = tmp_path / "index"
    rebuild_index(index_dir, HashEmbedder(), [folder])
    (folder / "cough.txt").write_text("咳嗽超过三周要就医。", encoding="utf-8")
    (folder / "fever.txt").unlink()
    plan = plan_rebuild(index_dir, HashEmbedder())
    assert [file.source_id for file in plan.add] == ["cough.txt"]
    assert [source_id for _, source_id in plan.delete] == ["fever.txt"]
    assert len(plan.keep) == 1 and plan.expected_seconds > 0
    report = rebuild_index(index_dir, HashEmbedder())
    assert (report.read, report.deleted, report.documents) == (1, 1, 2)


def test_folders_indexed_before_stay_until_they_are_removed(folder, tmp_path):
    index_dir, more = tmp_path / "index", tmp_path / "more"
    more.mkdir()
    (more / "fever.txt").write_text("三十九度以上要看发热门诊。", encoding="utf-8")
    rebuild_index(index_dir, HashEmbedder(), [folder])
    assert rebuild_index(index_dir, HashEmbedder(), [more]).documents == 3
    sources = {passage.source_id for passage in PassageIndex.open(index_dir).passages}
    assert sources == {"diet.md", "fever.txt", "more/fever.txt"}
    assert rebuild_index(index_dir, HashEmbedder(), options=RebuildOptions(remove=str(more))).documents == 2
    assert indexed_source_dirs(index_dir) == [folder]


def test_a_removed_source_stays_out_until_it_is_restored(folder, tmp_path):
    index_dir = tmp_path / "index"
    rebuild_index(index_dir, HashEmbedder(), [folder])
    assert rebuild_index(index_dir, HashEmbedder(), options=RebuildOptions(remove="fever.txt")).documents == 1
    assert rebuild_index(index_dir, HashEmbedder(), [folder]).documents == 1
    assert rebuild_index(index_dir, HashEmbedder(), options=RebuildOptions(restore=("fever.txt",))).documents == 2
    for wrong in (RebuildOptions(remove="nowhere.txt"), RebuildOptions(restore=("fever.txt",))):
        with pytest.raises(InvalidUsage, match="nowhere.txt|fever.txt"):
            rebuild_index(index_dir, HashEmbedder(), options=wrong)


def test_the_documents_of_a_folder_that_is_away_stay_with_a_warning(folder, tmp_path):
    index_dir = tmp_path / "index"
    rebuild_index(index_dir, HashEmbedder(), [folder])
    folder.rename(tmp_path / "away")
    report = rebuild_index(index_dir, HashEmbedder("other", 16))
    assert report.documents == 2 and "stay as they were" in report.warnings[0]
    (tmp_path / "away").rename(folder)
    assert not rebuild_index(index_dir, HashEmbedder("other", 16)).warnings


def test_a_bad_file_is_not_read_again_until_it_changes(folder, tmp_path):
    index_dir = tmp_path / "index"
    (folder / "broken.pdf").write_bytes(b"nothing")
    rebuild_index(index_dir, HashEmbedder(), [folder])
    again = rebuild_index(index_dir, HashEmbedder())
    assert not again.changed and [row.source_id for row in again.quarantined] == ["broken.pdf"]
    (folder / "broken.pdf").unlink()
    assert not rebuild_index(index_dir, HashEmbedder()).quarantined


TWIN = "发热超过三十九度，持续三天不退，并且出现皮疹、呼吸困难或者精神很差的孩子，应当马上去急诊科就诊，不要在家里等待观察。"


def test_what_two_sources_say_is_kept_once_and_survives_either(folder, tmp_path):
    index_dir = tmp_path / "index"
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(TWIN, encoding="utf-8")
    rebuild_index(index_dir, HashEmbedder(), [folder])
    of_twin = [passage for passage in PassageIndex.open(index_dir).passages if passage.text == TWIN]
    assert [(passage.source_id, passage.also_in) for passage in of_twin] == [("a.txt", ("b.txt",))]
    only_b = PassageFilter(source_ids=frozenset(["b.txt"]))
    assert len(PassageIndex.open(index_dir).rows_of(only_b)) == 1
    (folder / "a.txt").unlink()
    rebuild_index(index_dir, HashEmbedder())
    of_twin = [passage for passage in PassageIndex.open(index_dir).passages if passage.text == TWIN]
    assert [(passage.source_id, passage.also_in) for passage in of_twin] == [("b.txt", ())]
    (folder / "c.txt").write_text(TWIN, encoding="utf-8")
    rebuild_index(index_dir, HashEmbedder())
    of_twin = [passage for passage in PassageIndex.open(index_dir).passages if passage.text == TWIN]
    assert [(passage.source_id, passage.also_in) for passage in of_twin] == [("b.txt", ("c.txt",))]
    (folder / "c.txt").write_text("别的内容。", encoding="utf-8")
    rebuild_index(index_dir, HashEmbedder())
    of_twin = [passage for passage in PassageIndex.open(index_dir).passages if passage.text == TWIN]
    assert [(passage.source_id, passage.also_in) for passage in of_twin] == [("b.txt", ())]


def test_a_quote_can_be_shown_in_its_page(folder, tmp_path):
    (folder / "long.txt").write_text("门诊时间是上午八点。" + "请带身份证。" * 80, encoding="utf-8")
    rebuild_index(tmp_path / "index", HashEmbedder(), [folder])
    text = PassageIndex.open(tmp_path / "index").page_text("long.txt", None, "", "门诊时间是上午八点。")
    assert text is not None and len(text) > 400


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["a.txt", "b.md", "c.txt"]),
        st.sampled_from([None, TWIN, "甲。乙。", "# 标题\n盐要少吃。", TWIN + "另外多喝水。"]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=EDITS)
def test_any_row_of_edits_ends_where_a_rebuild_from_nothing_does(edits, tmp_path_factory):
    folder, index_dir = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("index")
    (folder / "stays.txt").write_text("一直都在。", encoding="utf-8")
    for name, text in edits:
        (folder / name).unlink(missing_ok=True)
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
        rebuild_index(index_dir, HashEmbedder(), [folder])
    held = {(p.text, frozenset([p.source_id, *p.also_in])) for p in PassageIndex.open(index_dir).passages}
    fresh = tmp_path_factory.mktemp("fresh")
    rebuild_index(fresh, HashEmbedder(), [folder])
    assert held == {(p.text, frozenset([p.source_id, *p.also_in])) for p in PassageIndex.open(fresh).passages}
