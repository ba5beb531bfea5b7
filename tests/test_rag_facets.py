"""Facets carried over an update are those a build makes; sorted arrays are united without repetitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.facets import Facets, PassageFilter
from rag.passages import Passage
from rag.sorted_arrays import union_of

VALUES = st.sampled_from(["a", "b", "cc", "很长的来源"])
PASSAGES = st.lists(st.tuples(VALUES, st.sampled_from(["zh", "en"]), st.lists(VALUES, max_size=2, unique=True)))


def passage(source_id, language, departments):
    return Passage("id", source_id, "", "", None, 0, "text", language, "document", tuple(departments))


def facets_of(passages, also_in=()):
    return Facets.of(len(passages), enumerate(passages), also_in)


@settings(deadline=None, max_examples=50)
@given(PASSAGES, PASSAGES, st.data())
def test_an_update_gives_what_a_build_gives(old, new, data):
    before, after = ([passage(*row) for row in rows] for rows in (old, new))
    stays = data.draw(st.lists(st.booleans(), min_size=len(before), max_size=len(before)))
    kept = [each for each, stay in zip(before, stays, strict=True) if stay]
    places = np.where(stays, np.cumsum(stays, dtype=int) - 1, -1).astype(np.int32)
    also_in = [(row, "elsewhere") for row in range(0, len(kept) + len(after), 3)]
    arrived = Facets.of(len(kept) + len(after), enumerate(after, len(kept)), also_in)
    updated, built = facets_of(before).updated(places, arrived), facets_of([*kept, *after], also_in)
    assert updated.size == built.size
    for name, facet in built.by_name.items():
        for part in ("values", "starts", "rows"):
            assert getattr(updated.by_name[name], part).tolist() == getattr(facet, part).tolist()


def test_a_source_admits_what_is_also_in_it_but_is_the_first_of_its_own_alone():
    facets = facets_of([passage("b", "zh", []), passage("c", "zh", [])], [(1, "a")])
    assert facets.mask(PassageFilter(source_ids=frozenset("a"))).tolist() == [False, True]
    assert facets.by_name["source"].values[facets.first_of_rows("source")].tolist() == ["b", "c"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)))
def test_the_union_is_sorted_and_whole(some, more):
    arrays = (np.unique(np.array(values, dtype=np.uint64)) for values in (some, more))
    assert union_of(*arrays).tolist() == sorted({*some, *more})
