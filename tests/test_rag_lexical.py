"""BM25 over postings that are updated: the scores of a library that rebuilds, and updates that change nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bm25s
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.lexical import LexicalIndex
from rag.lexical_writer import write_words
from rag.words import share_covered, tokens_of

TEXTS = ["高血压要少吃盐", "咳嗽三周要拍胸片", "salt raises blood pressure", "头痛头痛头痛，伴呕吐", "", "发热38.5度"]
WORDS = st.text(alphabet="高血压头痛咳嗽热ab 1，", max_size=12)


def bytes_in(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.name != "whole"}


def test_the_scores_are_those_of_bm25s():
    theirs = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    theirs.index([tokens_of(text) for text in TEXTS], show_progress=False)
    ours = LexicalIndex.build(TEXTS)
    for question in ("血压高吃盐", "头痛呕吐", "blood salt", "发热"):
        known = [token for token in tokens_of(question) if token in theirs.vocab_dict]
        assert np.allclose(ours.scores(question), theirs.get_scores(known), atol=1e-5)


@settings(max_examples=80, deadline=None)
@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=6), st.integers(1, 30), st.data())
def test_an_updated_index_is_the_index_of_what_is_left_in_however_many_runs(before, new, postings, data):
    kept = np.array([row for row in range(len(before)) if data.draw(st.booleans())], dtype=np.int64)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as fresh:
        write_words(Path(folder), new, LexicalIndex.build(before), kept, postings)
        LexicalIndex.build([before[row] for row in kept] + new).save(Path(fresh))
        assert bytes_in(folder) == bytes_in(fresh)


@settings(max_examples=80, deadline=None)
@given(st.lists(WORDS, max_size=12), st.integers(1, 30))
def test_words_spilled_in_many_runs_are_those_of_one_run_to_the_byte(texts, postings):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as whole:
        write_words(Path(folder), texts, postings_at_once=postings)
        LexicalIndex.build(texts).save(Path(whole))
        assert bytes_in(folder) == bytes_in(whole)


def test_a_word_of_very_many_texts_is_merged_in_one_piece(tmp_path):
    (tmp_path / "whole").mkdir()
    write_words(tmp_path, ["头痛"] * 500 + ["咳嗽"] * 3, postings_at_once=7)
    LexicalIndex.build(["头痛"] * 500 + ["咳嗽"] * 3).save(tmp_path / "whole")
    assert bytes_in(tmp_path) == bytes_in(tmp_path / "whole")


def test_every_text_of_a_very_common_word_is_scored():
    one, many = LexicalIndex.build(["痛"]), 200_000
    rows, ones = np.arange(many, dtype=np.int32), np.ones(many, dtype=np.int32)
    scores = LexicalIndex(one.tokens, np.array([0, many]), rows, ones.astype(np.uint8), ones).scores("痛")
    assert len(scores) == many and scores.min() == scores.max() > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6), WORDS)
def test_the_share_covered_is_what_the_texts_say(texts, question):
    index = LexicalIndex.build(texts)
    weights = index.weights(question)
    assert np.allclose(
        index.shares_covered([weights], range(len(texts))), [share_covered(weights, tokens_of(text)) for text in texts]
    )


def test_a_saved_index_is_the_same(tmp_path):
    LexicalIndex.build(TEXTS).save(tmp_path)
    loaded = LexicalIndex.load(tmp_path)
    assert np.array_equal(loaded.scores("头痛"), LexicalIndex.build(TEXTS).scores("头痛"))
