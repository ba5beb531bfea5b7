"""Generations are written in little memory: whatever is put aside meanwhile, the bytes are the same, and nothing is left."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.duplicates import keep_once, sentence_keys
from rag.generation_writer import BuildMemory, Change, write_generation
from rag.manifest import FORMAT_VERSION, MANIFEST, MANIFEST_SEAL, Manifest
from rag.passage_index import PassageIndex
from rag.passage_store import StoredDocument
from rag.passages import Passage
from tests.fakes import HashEmbedder

EMBEDDER = HashEmbedder()
TEXTS = st.lists(st.text(alphabet="高血压头痛咳嗽热ab 1，。", min_size=1, max_size=30), max_size=20)


def documents(texts, name="s", per_document=3):
    for first in range(0, len(texts), per_document):
        source_id = f"{name}{first}.txt"
        passages = [
            Passage(f"{source_id}:{place}", source_id, name, "", 1, place, text, "zh", "document", ("a", "b")[:place])
            for place, text in enumerate(texts[first : first + per_document])
        ]
        yield StoredDocument(source_id, "folder", f"sha{first}", {"quarantined": []}), passages


def blocks(texts):
    """Two texts at a time."""
    for start in range(0, len(texts), 2):
        yield EMBEDDER.encode_passages(texts[start : start + 2])


def write(index_dir, name, base, gone, arriving, embed=blocks, memory=BuildMemory(), exact_up_to=1000):
    manifest = Manifest(FORMAT_VERSION, name, "hash", "hash", EMBEDDER.dimension, "", "", "", ())
    change = Change(base, gone, arriving, embed, keep_once, sentence_keys, exact_up_to=exact_up_to, memory=memory)
    return write_generation(index_dir, manifest, change, keep=5)


def written(index_dir, first, second, gone, memory, exact_up_to=1000):
    """The bytes of every file of a first generation and of the one after it."""
    write(index_dir, "1", None, (), documents(first), memory=memory, exact_up_to=exact_up_to)
    base = PassageIndex.open(index_dir)
    write(index_dir, "2", base, gone, documents(second, "n"), memory=memory, exact_up_to=exact_up_to)
    base.passages.close()
    return {
        str(path.relative_to(index_dir)): path.read_bytes()
        for path in index_dir.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


@settings(max_examples=15, deadline=None)
@given(TEXTS, TEXTS, st.sets(st.integers(0, 6)), st.integers(1, 40))
def test_a_generation_is_the_same_to_the_byte_however_often_it_was_put_aside(first, second, gone, postings):
    there = {number for number in gone if number < -(-len(first) // 3)}
    with tempfile.TemporaryDirectory() as little, tempfile.TemporaryDirectory() as much:
        told = [
            written(Path(folder), first, second, there, memory)
            for folder, memory in ((little, BuildMemory(postings, 3)), (much, BuildMemory()))
        ]
    assert told[0] == told[1]


def test_lists_filled_in_many_runs_are_the_same_to_the_byte(tmp_path):
    first = [f"第{number}种咳嗽" for number in range(90)]
    second = [f"第{number}种头痛" for number in range(30)]
    (tmp_path / "little").mkdir()
    (tmp_path / "much").mkdir()
    little = written(tmp_path / "little", first, second, {1, 4}, BuildMemory(50, 7), exact_up_to=20)
    assert little == written(tmp_path / "much", first, second, {1, 4}, BuildMemory(), exact_up_to=20)
    assert {"generations/1/lists.faiss", "generations/2/lists.faiss"} <= set(little)


def test_only_what_a_generation_consists_of_is_in_its_folder_and_all_of_it_is_sealed(tmp_path):
    texts = [f"第{number}种咳嗽" for number in range(80)]
    manifest = write(tmp_path, "1", None, (), documents(texts), memory=BuildMemory(9, 7), exact_up_to=5)
    folder = tmp_path / "generations" / "1"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {*manifest.files, MANIFEST, MANIFEST_SEAL}
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"lexical"}


@pytest.mark.parametrize("vectors", ["dies", "too few"])
def test_a_build_whose_vectors_do_not_come_leaves_the_old_generation_serving_and_no_mess(vectors, tmp_path):
    def embed(texts):
        yield EMBEDDER.encode_passages(texts[:2])
        if vectors == "dies":
            raise KeyboardInterrupt

    write(tmp_path, "1", None, (), documents(["头痛", "咳嗽"]))
    base = PassageIndex.open(tmp_path)
    with pytest.raises(KeyboardInterrupt if vectors == "dies" else ValueError):
        write(tmp_path, "2", base, (), documents(["发热", "腹痛", "皮疹"], "n"), embed)
    assert [path.name for path in (tmp_path / "generations").iterdir()] == ["1"]
    assert [passage.text for passage in PassageIndex.open(tmp_path).passages] == ["头痛", "咳嗽"]


def test_what_a_killed_build_left_behind_is_gone_before_the_next_one_wants_its_room(tmp_path):
    left = tmp_path / "generations" / ".building-0" / "lexical" / "runs-1"
    left.mkdir(parents=True)
    seen = []

    def embed(texts):
        seen.extend(path.name for path in (tmp_path / "generations").iterdir())
        return blocks(texts)

    write(tmp_path, "1", None, (), documents(["头痛"]), embed)
    assert seen == [".building-1"]


def test_half_a_character_does_not_stop_a_build(tmp_path):
    write(tmp_path, "1", None, (), documents(["头痛\ud83d三天", "咳嗽"]))
    assert [passage.text for passage in PassageIndex.open(tmp_path).passages] == ["头痛?三天", "咳嗽"]


def test_vectors_stand_where_their_passages_do(tmp_path):
    texts = [f"第{number}种咳嗽" for number in range(7)]
    write(tmp_path, "1", None, (), documents(texts))
    index = PassageIndex.open(tmp_path)
    expected = EMBEDDER.encode_passages([passage.embedded_text() for passage in index.passages])
    assert np.array_equal(index.vectors.vectors, expected)
