"""Writing a generation: what stays of the one before is taken over, only what is new is embedded and read for words."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np

from knowledge.errors import IndexUnwritable
from rag.facets import Facets
from rag.generations import KEPT_GENERATIONS, begin, publish
from rag.lexical import LexicalIndex
from rag.likeness import Likeness
from rag.manifest import Manifest, sealed
from rag.passage_index import FACETS, KEYS, LEXICAL, LIKENESS, NUMBERS, PASSAGES, PassageIndex
from rag.passage_store import StoredDocument, StoredPassage
from rag.passage_store_writer import PassageStoreWriter
from rag.passages import Passage
from rag.vector_index import EXACT_UP_TO, VectorIndex, blocks_of

Embed = Callable[[Sequence[str]], np.ndarray]
KeepOnce = Callable[[Iterable[Passage]], list[Passage]]
LikenessKeys = Callable[[Passage], Iterable[int]]


@dataclass(frozen=True)
class Change:
    """What becomes of the generation before, if there is one.

    gone: numbers of its documents that do not stay as they are; arriving: documents and their passages, passage_ids unique;
    embed: texts -> (n, dimension) float32 of unit length; keep_once: leaves one passage of each set of duplicates, with
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
    base = change.base
    store = PassageStoreWriter(building / PASSAGES, base.passages.path if base else None)
    try:
        store.remove_documents(change.gone if base else ())
        arrivals = [
            StoredPassage(number, passage)
            for document, passages in change.arriving
            for number in [store.add_document(document)]
            for passage in passages
        ]
        staying, unsettled, orphans = _what_stays(base, change.gone)
        settled = _settle(base, staying, unsettled, [*orphans, *arrivals], change)
        staying = np.setdiff1d(staying, settled.demoted)
        rows = _Rows.lay_out(base, staying, settled.searched)
        store.remove_passages(rows.numbers_without(staying), unsettled)
        store.add_passages(zip(rows.numbers[rows.searched_places].tolist(), settled.searched, strict=True))
        store.add_twins(settled.twins)
        store.add_also_in({int(rows.numbers[row]): sources for row, sources in _at_places(settled, rows).items()})
        also_in = [(int(np.searchsorted(rows.numbers, number)), source) for number, source in store.also_in()]
        (documents, quarantined), sources = store.counts(), store.sources()
        store.finish()
    finally:
        store.abandon()
    np.save(building / NUMBERS, rows.numbers)
    arrived = zip(rows.searched_places, (stored.passage for stored in settled.searched), strict=True)
    facets = Facets.of(rows.size, arrived, also_in)
    (base.facets.updated(rows.places_with(staying), facets) if base else facets).save(building / FACETS)
    new = [settled.searched[place].passage for place in rows.new]
    vectors = change.embed([text_to_embed(passage) for passage in new]).reshape(len(new), manifest.dimension)
    blocks = chain(blocks_of(base.vectors.vectors, rows.taken_over) if base else (), blocks_of(vectors))
    before = base.vectors if base else None
    index = VectorIndex.write(building, manifest.dimension, blocks, change.exact_up_to, before, rows.taken_over)
    (building / LEXICAL).mkdir()
    _words(base, rows, (passage.embedded_text() for passage in new)).save(building / LEXICAL)
    np.save(building / KEYS, _extended(base.keys if base else None, rows, keys_of(new)))
    likeness = Likeness.of(change.likeness_keys(passage) for passage in new)
    (base.likeness.updated(rows.taken_over, likeness) if base else likeness).save(building / LIKENESS)
    change.extra_files(building)
    finished = replace(
        manifest,
        passages=rows.size,
        documents=documents,
        quarantined=quarantined,
        sources=sources,
        search=index.search_kind,
        rates=change.rates(len(new), rows.size),
        files=sealed(building),
    )
    finished.write(building)
    return finished


def text_to_embed(passage: Passage) -> str:
    """What a passage's vector is made from: its text under its headings, but without a title that is only the name
    of its file, so that a file may be renamed without being embedded again. Words are found in the whole text."""
    named_after_file = passage.title == PurePosixPath(passage.source_id).stem
    return (replace(passage, title="") if named_after_file else passage).embedded_text()


def keys_of(passages: Sequence[Passage]) -> np.ndarray:
    """(n,) uint64: equal where vector and words would be equal."""
    texts = (f"{passage.embedded_text()}\0{text_to_embed(passage)}".encode(errors="replace") for passage in passages)
    return np.array(
        [int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") for text in texts], dtype=np.uint64
    )


@dataclass(frozen=True)
class _Settled:
    """Arriving passages after duplicates were settled. demoted: old rows that an arriving passage now speaks for,
    among the twins too; also_in: further sources, by place in searched, and those new to an old row."""

    searched: list[StoredPassage]
    twins: list[StoredPassage]
    demoted: list[int]
    also_in_searched: dict[int, tuple[str, ...]]
    also_in_old: dict[int, tuple[str, ...]]


@dataclass(frozen=True)
class _Rows:
    """Where every passage stands in the new generation: rows taken over first, in their old order, then new ones."""

    before: np.ndarray  # (old rows,) each old row's number in the store
    taken_over: np.ndarray  # (m,) old rows, ascending: their vectors, words and numbers are used again
    searched_places: list[int]  # of each arriving passage that is searched
    new: list[int]  # those of them, in order, whose vectors and words are not there yet

    @property
    def size(self) -> int:
        return len(self.taken_over) + len(self.new)

    @cached_property
    def numbers(self) -> np.ndarray:
        """(size,) int64 ascending: each row's number in the store."""
        first = int(self.before[-1]) + 1 if len(self.before) else 0
        return np.concatenate([self.before[self.taken_over], np.arange(first, first + len(self.new), dtype=np.int64)])

    def numbers_without(self, staying: np.ndarray) -> np.ndarray:
        """Of the old rows that do not stay."""
        return np.delete(self.before, staying)

    def place_of(self, old_rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.taken_over, old_rows)

    def places_with(self, staying: np.ndarray) -> np.ndarray:
        """(old rows,) the row of each of those that stay, -1 for the others."""
        places = np.full(len(self.before), -1, dtype=np.int32)
        places[staying] = self.place_of(staying)
        return places

    @classmethod
    def lay_out(cls, base: PassageIndex | None, staying: np.ndarray, searched: Sequence[StoredPassage]) -> _Rows:
        """An arriving passage whose text a vanishing row holds takes that row over."""
        free = _vanishing_rows(base, staying)
        keys = keys_of([stored.passage for stored in searched]).tolist()
        reused = [free[key].pop() if free.get(key) else -1 for key in keys]
        taken_over = np.sort(np.concatenate([staying, np.array([row for row in reused if row >= 0], dtype=np.int64)]))
        new = [place for place, row in enumerate(reused) if row < 0]
        new_places = dict(zip(new, range(len(taken_over), len(taken_over) + len(new)), strict=True))
        places = [
            new_places[place] if row < 0 else int(np.searchsorted(taken_over, row)) for place, row in enumerate(reused)
        ]
        before = base.passages.numbers if base else np.zeros(0, dtype=np.int64)
        return cls(before, taken_over, places, new)


def _vanishing_rows(base: PassageIndex | None, staying: np.ndarray) -> dict[int, list[int]]:
    """Key -> old rows that do not stay."""
    found: dict[int, list[int]] = {}
    if base is not None and len(staying) < len(base.passages):
        gone = np.ones(len(base.passages), dtype=bool)
        gone[staying] = False
        for row in np.flatnonzero(gone)[::-1].tolist():
            found.setdefault(int(base.keys[row]), []).append(row)
    return found


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
    arrivals: list[StoredPassage],
    change: Change,
) -> _Settled:
    """Only passages that share a likeness key are compared: with each other, and with those that stay."""
    keys = Likeness.of(change.likeness_keys(arrival.passage) for arrival in arrivals)
    suspects, old_rows = keys.alike(base.likeness if base else Likeness.of([]), staying)
    stored = base.passages.stored_at(old_rows) if base else []
    old = [_settled_part(neighbour.passage, unsettled) for neighbour in stored]
    compared = change.keep_once([*old, *(arrivals[place].passage for place in suspects)])
    also_in = {passage.passage_id: passage.also_in for passage in compared}
    doubted = set(suspects)
    is_searched = [
        place not in doubted or arrival.passage.passage_id in also_in for place, arrival in enumerate(arrivals)
    ]
    searched = [arrival for arrival, chosen in zip(arrivals, is_searched, strict=True) if chosen]
    demoted = [place for place, passage in enumerate(old) if passage.passage_id not in also_in]
    twins = [arrival for arrival, chosen in zip(arrivals, is_searched, strict=True) if not chosen]
    return _Settled(
        searched,
        [*twins, *(stored[place] for place in demoted)],
        [old_rows[place] for place in demoted],
        {place: also_in.get(arrival.passage.passage_id, ()) for place, arrival in enumerate(searched)},
        {
            row: tuple(source for source in also_in[passage.passage_id] if source not in passage.also_in)
            for row, passage in zip(old_rows, old, strict=True)
            if passage.passage_id in also_in
        },
    )


def _settled_part(passage: Passage, unsettled: frozenset[str]) -> Passage:
    """The passage without the sources that are to be settled anew."""
    return replace(passage, also_in=tuple(source for source in passage.also_in if source not in unsettled))


def _at_places(settled: _Settled, rows: _Rows) -> dict[int, tuple[str, ...]]:
    found = {rows.searched_places[place]: sources for place, sources in settled.also_in_searched.items()}
    return found | {int(rows.place_of(np.array([row]))[0]): sources for row, sources in settled.also_in_old.items()}


def _words(base: PassageIndex | None, rows: _Rows, texts: Iterable[str]) -> LexicalIndex:
    return LexicalIndex.build(texts) if base is None else base.lexical.updated(rows.taken_over, texts)


def _extended(old: np.ndarray | None, rows: _Rows, new: np.ndarray) -> np.ndarray:
    return new if old is None else np.concatenate([old[rows.taken_over], new])
