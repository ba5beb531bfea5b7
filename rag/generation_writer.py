"""Writing a generation: what stays of the one before is taken over, only what is new is embedded and read for words."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from knowledge.errors import IndexUnwritable
from rag.arrivals import Arrivals, ArrivedTexts, LikenessKeys, text_to_embed
from rag.facets import Facets
from rag.generations import KEPT_GENERATIONS, begin, publish
from rag.inverted_lists import ROWS_PER_RUN
from rag.lexical_writer import POSTINGS_AT_ONCE, write_words
from rag.likeness import Likeness
from rag.manifest import Manifest, sealed
from rag.passage_index import FACETS, KEYS, LEXICAL, LIKENESS, NUMBERS, PASSAGES, PassageIndex
from rag.passage_store import StoredDocument, StoredPassage
from rag.passage_store_writer import PassageStoreWriter
from rag.passages import Passage
from rag.row_layout import RowLayout
from rag.vector_index import EXACT_UP_TO, VectorIndex, blocks_of

ARRIVALS = "arrivals"  # there only while a generation is written

Embed = Callable[[Sequence[str]], Iterable[np.ndarray]]
KeepOnce = Callable[[Iterable[Passage]], list[Passage]]


@dataclass(frozen=True)
class BuildMemory:
    """What a build holds of the largest things before it puts them aside in files; the index is the same for any.

    postings: of words, some 20 bytes each; rows: of vectors while their lists are filled, some 800 bytes each.
    """

    postings: int = POSTINGS_AT_ONCE
    rows: int = ROWS_PER_RUN


@dataclass(frozen=True)
class Change:
    """What becomes of the generation before, if there is one.

    gone: numbers of its documents that do not stay as they are; arriving: documents and their passages, passage_ids unique;
    embed: texts -> their vectors in order, some at a time, (n, dimension) float32 of unit length; keep_once: leaves one passage of each set of duplicates, with
    the others' sources in also_in; likeness_keys: 64-bit numbers of which two duplicates share one; extra_files writes further files into the folder it is given;
    rates: (new passages, passages in all) -> seconds per unit of work, for the manifest.
    """

    base: PassageIndex | None
    gone: Collection[int]
    arriving: Iterable[tuple[StoredDocument, Sequence[Passage]]]
    embed: Embed
    keep_once: KeepOnce
    likeness_keys: LikenessKeys
    extra_files: Callable[[Path], None] = lambda folder: None
    rates: Callable[[int, int], Mapping[str, float]] = lambda new, passages: {}
    exact_up_to: int = EXACT_UP_TO
    memory: BuildMemory = BuildMemory()


def write_generation(index_dir: Path, manifest: Manifest, change: Change, keep: int = KEPT_GENERATIONS) -> Manifest:
    """Writes a generation and makes it the one that serves. Until the last step readers see the old one.

    manifest: all that is known beforehand; its counts, sources, search and files are filled in here.
    The caller holds the index for writing (rag/writer_lock.py). Raises IndexUnwritable.
    """
    building = begin(index_dir, manifest.generation)
    try:
        finished = _build(building, manifest, change)
        publish(index_dir, building, manifest.generation, keep)
    except (OSError, sqlite3.OperationalError) as fault:
        raise IndexUnwritable(f"{index_dir}: cannot be written ({fault}); the index in use is as it was") from fault
    finally:
        shutil.rmtree(building, ignore_errors=True)  # gone by now where all went well
    return finished


def _build(building: Path, manifest: Manifest, change: Change) -> Manifest:
    with Arrivals(building / ARRIVALS, change.likeness_keys) as arrivals:
        store = PassageStoreWriter(building / PASSAGES, change.base.passages.path if change.base else None)
        try:
            arranged = _store_passages(building, store, arrivals, change)
        finally:
            store.abandon()
        search = _write_arrays(building, manifest.dimension, arrivals, arranged.rows, change)
    change.extra_files(building)
    rows = arranged.rows
    finished = replace(
        manifest,
        passages=rows.size,
        documents=arranged.documents,
        quarantined=arranged.quarantined,
        sources=arranged.sources,
        search=search,
        rates=change.rates(len(rows.new), rows.size),
        files=sealed(building),
    )
    finished.write(building)
    return finished


def _store_passages(building: Path, store: PassageStoreWriter, arrivals: Arrivals, change: Change) -> _Arranged:
    """Writes documents, passages and what they may be filtered by; says which row each passage has."""
    base = change.base
    staying, unsettled, orphans = _what_stays(base, change.gone)
    store.remove_documents(change.gone if base else ())
    for orphan in orphans:
        arrivals.add(orphan.document, [orphan.passage])
    for document, passages in change.arriving:
        arrivals.add(store.add_document(document), passages)
    settled = _settle(base, staying, unsettled, arrivals, change.keep_once)
    staying = np.setdiff1d(staying, settled.demoted)
    rows = RowLayout.lay_out(base, staying, settled.searched, arrivals.keys)
    store.remove_passages(rows.numbers_without(staying), unsettled)
    numbers = map(int, rows.numbers[rows.searched_places])
    store.add_passages(zip(numbers, arrivals.at(settled.searched), strict=True))
    store.add_twins(settled.twins)
    store.add_also_in({int(rows.numbers[row]): sources for row, sources in _at_places(settled, rows).items()})
    also_in = [(int(np.searchsorted(rows.numbers, number)), source) for number, source in store.also_in()]
    (documents, quarantined), sources = store.counts(), store.sources()
    store.finish()
    np.save(building / NUMBERS, rows.numbers)
    arrived = (stored.passage for stored in arrivals.at(settled.searched))
    facets = Facets.of(rows.size, zip(map(int, rows.searched_places), arrived, strict=True), also_in)
    (base.facets.updated(rows.places_with(staying), facets) if base else facets).save(building / FACETS)
    return _Arranged(rows, documents, quarantined, sources)


def _write_arrays(building: Path, dimension: int, arrivals: Arrivals, rows: RowLayout, change: Change) -> str:
    """Writes all that has an entry for each row; says how the vectors are searched."""
    base, memory = change.base, change.memory
    vectors = change.embed(ArrivedTexts(arrivals, rows.new, text_to_embed))
    blocks = chain(blocks_of(base.vectors.vectors, rows.taken_over) if base else (), vectors)
    before = base.vectors if base else None
    index = VectorIndex.write(building, dimension, blocks, change.exact_up_to, before, rows.taken_over, memory.rows)
    if len(index) != rows.size:
        raise ValueError(f"{len(index) - len(rows.taken_over)} vectors for {len(rows.new)} texts")
    (building / LEXICAL).mkdir()
    words_of = ArrivedTexts(arrivals, rows.new, Passage.embedded_text)
    write_words(building / LEXICAL, words_of, base.lexical if base else None, rows.taken_over, memory.postings)
    keys, likeness = arrivals.keys[rows.new], arrivals.likeness.only(rows.new)
    np.save(building / KEYS, np.concatenate([base.keys[rows.taken_over], keys]) if base else keys)
    (base.likeness.updated(rows.taken_over, likeness) if base else likeness).save(building / LIKENESS)
    return index.search_kind


@dataclass(frozen=True)
class _Arranged:
    """Where the passages stand, and what the manifest tells of their documents."""

    rows: RowLayout
    documents: int
    quarantined: int
    sources: Mapping[str, str]


@dataclass(frozen=True)
class _Settled:
    """Arriving passages after duplicates were settled. searched: their places, ascending; demoted: old rows that an
    arriving passage now speaks for, among the twins too; also_in: further sources, by place in searched, and those new
    to an old row."""

    searched: np.ndarray
    twins: list[StoredPassage]
    demoted: list[int]
    also_in_searched: dict[int, tuple[str, ...]]
    also_in_old: dict[int, tuple[str, ...]]


def _what_stays(
    base: PassageIndex | None, gone: Collection[int]
) -> tuple[np.ndarray, frozenset[str], list[StoredPassage]]:
    """Old rows that stay; sources whose shared passages must be settled anew; their passages that nothing searched."""
    if base is None:
        return np.zeros(0, dtype=np.int64), frozenset(), []
    leaving = base.passages.rows_of_documents(gone)
    sources = base.passages.source_ids(gone) | base.passages.also_in(leaving)
    orphans = [twin for twin in base.passages.twins_of(sorted(sources)) if twin.document not in gone]
    return np.delete(np.arange(len(base.passages)), leaving), frozenset(sources), orphans


def _settle(
    base: PassageIndex | None,
    staying: np.ndarray,
    unsettled: frozenset[str],
    arrivals: Arrivals,
    keep_once: KeepOnce,
) -> _Settled:
    """Only passages that share a likeness key are compared: with each other, and with those that stay."""
    places, old_rows = arrivals.likeness.alike(base.likeness if base else Likeness.nothing(), staying)
    suspects = dict(zip(places, arrivals.at(places), strict=True))
    stored = base.passages.stored_at(old_rows) if base else []
    old = [_settled_part(neighbour.passage, unsettled) for neighbour in stored]
    compared = keep_once([*old, *(suspect.passage for suspect in suspects.values())])
    also_in = {passage.passage_id: passage.also_in for passage in compared}
    twins = {place: suspect for place, suspect in suspects.items() if suspect.passage.passage_id not in also_in}
    searched = np.delete(np.arange(len(arrivals)), np.array(list(twins), dtype=np.int64))
    demoted = [place for place, passage in enumerate(old) if passage.passage_id not in also_in]
    return _Settled(
        searched,
        [*twins.values(), *(stored[place] for place in demoted)],
        [old_rows[place] for place in demoted],
        {
            int(np.searchsorted(searched, place)): also_in[suspect.passage.passage_id]
            for place, suspect in suspects.items()
            if place not in twins
        },
        {
            row: tuple(source for source in also_in[passage.passage_id] if source not in passage.also_in)
            for row, passage in zip(old_rows, old, strict=True)
            if passage.passage_id in also_in
        },
    )


def _settled_part(passage: Passage, unsettled: frozenset[str]) -> Passage:
    """The passage without the sources that are to be settled anew."""
    return replace(passage, also_in=tuple(source for source in passage.also_in if source not in unsettled))


def _at_places(settled: _Settled, rows: RowLayout) -> dict[int, tuple[str, ...]]:
    found = {int(rows.searched_places[place]): sources for place, sources in settled.also_in_searched.items()}
    return found | {int(rows.place_of(np.array([row]))[0]): sources for row, sources in settled.also_in_old.items()}
