"""The vectors: exact up to a size, by lists with refinement beyond; filters first; updates as good as rebuilds."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from rag.inverted_lists import write_lists
from rag.vector_index import VectorIndex, blocks_of

RNG = np.random.default_rng(4)


def unit_rows(count, dimension=32):
    """Clustered, as texts are: rows around a hundred centres."""
    centres = RNG.normal(size=(100, dimension))
    rows = centres[RNG.integers(100, size=count)] + 0.6 * RNG.normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


VECTORS, QUERIES = unit_rows(4000), unit_rows(50)


def exact(query, k, admitted=None):
    cosines = VECTORS @ query
    if admitted is not None:
        cosines = np.where(admitted, cosines, -2)
    return np.argsort(-cosines, kind="stable")[:k].tolist()


def written(folder, vectors, exact_up_to=10_000):
    return VectorIndex.write(folder, vectors.shape[1], [vectors[:1000], vectors[1000:]], exact_up_to)


@pytest.fixture(params=["exact", "lists"])
def index(request, tmp_path):
    written(tmp_path, VECTORS, 10_000 if request.param == "exact" else 1000)
    return VectorIndex.load(tmp_path)


def test_the_search_is_chosen_by_size_and_said(tmp_path):
    assert written(tmp_path, VECTORS, 10_000).search_kind == "exact"
    assert "refined" in written(tmp_path, VECTORS, 1000).search_kind


def test_the_file_of_vectors_is_the_one_faiss_itself_would_write(tmp_path):
    flat = faiss.IndexFlatIP(VECTORS.shape[1])
    flat.add(VECTORS)
    written(tmp_path, VECTORS)
    assert (tmp_path / "vectors.faiss").read_bytes() == faiss.serialize_index(flat).tobytes()


@pytest.mark.parametrize("count, lists, rows_per_run", [(4000, 20, 700), (4000, 20, 10_000), (30, 90, 7), (0, 5, 7)])
def test_the_file_of_lists_is_the_one_faiss_itself_would_write_in_however_many_runs(
    tmp_path, count, lists, rows_per_run
):
    inverted = faiss.index_factory(32, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    inverted.train(VECTORS)
    write_lists(faiss, tmp_path / "lists", inverted, VECTORS[:count], rows_per_run=rows_per_run)
    inverted = faiss.index_factory(32, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    inverted.train(VECTORS)
    inverted.add(VECTORS[:count])
    assert (tmp_path / "lists").read_bytes() == faiss.serialize_index(inverted).tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["lists"]


@pytest.mark.parametrize("share", [None, 0.5, 0.01])
def test_the_nearest_are_found_among_the_admitted(index, share):
    admitted = None if share is None else RNG.random(len(VECTORS)) < share
    found = [index.nearest(query, 10, admitted)[0].tolist() for query in QUERIES]
    right = [exact(query, 10, admitted) for query in QUERIES]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, right, strict=True)])
    assert recall == 1 if index.lists is None else recall >= 0.95
    assert admitted is None or all(admitted[row] for rows in found for row in rows)


def test_cosines_are_exact_however_the_rows_were_found(index):
    rows, cosines = index.nearest(QUERIES[0], 10)
    assert cosines == pytest.approx(VECTORS[rows] @ QUERIES[0], abs=1e-5)


def test_many_queries_find_what_single_ones_find(index):
    rows, _ = index.nearest_many(QUERIES, 5)
    assert rows.tolist() == [index.nearest(query, 5)[0].tolist() for query in QUERIES]


def test_fewer_than_asked_for_come_back_where_there_are_fewer(index):
    admitted = np.zeros(len(VECTORS), dtype=bool)
    admitted[[7, 9]] = True
    assert set(index.nearest(QUERIES[0], 10, admitted)[0].tolist()) == {7, 9}
    assert not len(index.nearest(QUERIES[0], 10, np.zeros(len(VECTORS), dtype=bool))[0])


def test_an_update_finds_what_a_rebuild_finds(index, tmp_path):
    kept, new = np.arange(0, 4000, 2), unit_rows(300)
    blocks = [*blocks_of(index.vectors, kept), new]
    (tmp_path / "next").mkdir()
    updated = VectorIndex.write(tmp_path / "next", 32, blocks, 10_000 if index.lists is None else 1000, index, kept)
    whole = np.concatenate([VECTORS[kept], new])
    assert np.array_equal(updated.vectors, whole)
    hits = [len(set(updated.nearest(q, 10)[0]) & set(np.argsort(-(whole @ q))[:10])) for q in QUERIES]
    assert np.mean(hits) == 10 if index.lists is None else np.mean(hits) >= 8.5  # the lists were learnt from other rows


def test_lists_are_carried_over_row_by_row(tmp_path):
    (tmp_path / "next").mkdir()
    written(tmp_path, VECTORS, 1000)
    before, kept, new = VectorIndex.load(tmp_path), np.arange(1, 4000, 3), VECTORS[2::3]
    updated = VectorIndex.write(tmp_path / "next", 32, [VECTORS[kept], new], 1000, before, kept)
    assert updated.lists.ntotal == len(updated) == len(kept) + len(new)
    assert updated.lists.nlist == before.lists.nlist  # the same centres, and every row is in the list nearest to it
    whole = np.concatenate([VECTORS[kept], new])
    _, nearest = updated.lists.quantizer.search(whole, 1)
    inside = updated.lists.invlists
    for number in range(updated.lists.nlist):
        rows = faiss.rev_swig_ptr(inside.get_ids(number), inside.list_size(number)) if inside.list_size(number) else []
        assert sorted(rows) == np.flatnonzero(nearest[:, 0] == number).tolist()
    every_list = faiss.SearchParametersIVF(nprobe=updated.lists.nlist)
    for each in (updated, VectorIndex.load(tmp_path / "next")):
        cosines, rows = each.lists.search(QUERIES, 10, params=every_list)
        assert cosines == pytest.approx(np.sort(QUERIES @ whole.T)[:, :-11:-1], abs=0.02)  # of vectors in eight bits
        assert np.take_along_axis(QUERIES @ whole.T, rows, 1) == pytest.approx(cosines, abs=0.02)


def test_the_vectors_outlive_the_index_they_are_a_view_of(tmp_path):
    written(tmp_path, VECTORS)
    assert np.array_equal(VectorIndex.load(tmp_path).vectors, VECTORS)


def test_an_empty_index_finds_nothing(tmp_path):
    written(tmp_path, np.zeros((0, 8), dtype=np.float32))
    assert not len(VectorIndex.load(tmp_path).nearest(np.ones(8, dtype=np.float32), 3)[0])
