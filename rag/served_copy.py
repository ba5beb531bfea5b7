"""Copying a generation into a served store, so that it serves from there. Stopped half-way, the copy goes on where it stood."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from knowledge.errors import CopyStopped, IndexUnwritable, InvalidUsage, StoreUnavailable
from rag.generations import KEPT_GENERATIONS
from rag.manifest import MANIFEST_SEAL
from rag.milvus_collection import Collection
from rag.milvus_store import MilvusStore
from rag.passage_index import PassageIndex
from rag.served_rows import BATCH, MOST_VALUES, SEAL, Row, beside_row, beside_rows, passage_of, passage_rows, seal_of
from rag.vector_index import EXACT_UP_TO

Progress = Callable[[str, int, int], object]

ORIGIN = "origin"  # file of the index folder
_COMPARED = 64  # passages read back from the store and compared before it serves


@dataclass(frozen=True)
class CopyReport:
    """What a copy did. copied, found: passages sent now, and those an earlier, broken-off copy had sent; dropped:
    generations that went; shortened: passages that are in more sources than the store can hold for one."""

    generation: str
    collection: str
    passages: int
    copied: int
    found: int
    shortened: int
    dropped: tuple[str, ...]
    seconds: float


def copy_generation(
    index: PassageIndex,
    store: MilvusStore,
    step: Progress = lambda *_: None,
    keep: int = KEPT_GENERATIONS,
    replace: bool = False,
) -> CopyReport:
    """Lets a store serve what an open generation holds. One that is there whole only takes over.

    Until its last step readers see what served before. replace: even where that was copied from another index folder.
    Raises StoreUnavailable, CopyStopped; InvalidUsage where another index serves, and for a text that no row can hold.
    """
    begun, generation = time.monotonic(), index.manifest.generation
    origin = _origin_of(index)
    if not replace:
        _check_origin(store, origin)
    passages, beside = store.passages(generation), store.beside(generation)
    seal = seal_of(beside)
    copied = 0
    if seal is None or passages.count() != len(index.passages):
        try:
            copied, seal = _copied(index, origin, passages, beside, step)
        except KeyboardInterrupt:
            raise CopyStopped(
                f"stopped; Milvus collection {passages.name} is half-copied and does not serve; "
                "the same command goes on where it stood"
            ) from None
    store.point_at(generation)
    return CopyReport(
        generation=generation,
        collection=passages.name,
        passages=len(index.passages),
        copied=copied,
        found=len(index.passages) - copied,
        shortened=int(seal["shortened"]),
        dropped=drop_old(store, keep),
        seconds=round(time.monotonic() - begun, 1),
    )


def drop_old(store: MilvusStore, keep: int = KEPT_GENERATIONS) -> tuple[str, ...]:
    """Keeps the generation that serves and the newest whole others, `keep` in all; drops the rest, half-copied first."""
    serving = store.serving()
    others = [name for name in reversed(store.generations()) if name != serving]
    whole = [name for name in others if seal_of(store.beside(name)) is not None]
    gone = [name for name in others if name not in whole[: max(0, keep - 1)]]
    for name in gone:
        store.drop(name)
    return tuple(gone)


def _origin_of(index: PassageIndex) -> str:
    """What tells index folders apart, wherever they are moved; written with the first copy."""
    path = index.folder.parents[1] / ORIGIN
    try:
        if not path.exists():
            path.write_text(uuid.uuid4().hex, encoding="utf-8")
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise IndexUnwritable(f"{path}: cannot be written ({fault}); a copy begins where the index is built") from None


def _check_origin(store: MilvusStore, origin: str) -> None:
    """Raises InvalidUsage where the store serves a copy of another index, which nobody may lose by an accident."""
    serving = store.serving()
    seal = seal_of(store.beside(serving)) if serving else None
    if seal and seal["origin"] != origin:
        raise InvalidUsage(
            f"Milvus alias {store.address.name} serves generation {serving}, copied from another index; give another "
            "milvus_name, or replace it with `daozhen index copy --to milvus --replace`"
        )


def _copied(
    index: PassageIndex, origin: str, passages: Collection, beside: Collection, step: Progress
) -> tuple[int, Row]:
    """Fills both collections and seals them; the passages sent, and the seal."""
    total, shortened = len(index.passages), 0

    def counted() -> Iterator[Row]:
        nonlocal shortened
        for row in passage_rows(index):
            shortened += len(row["source_keys"]) == MOST_VALUES
            yield row

    begun, begun_beside = passages.exists(), beside.exists()
    if not begun:
        passages.create(index.manifest.dimension, exact=total <= EXACT_UP_TO)
    if not begun_beside:
        beside.create(2, exact=True)
    beside.remove(f'kind == "{SEAL}"')  # of a copy that has lost passages since
    copied = _fill(passages, counted(), begun, lambda done: step("copying passages", done, total))
    _fill(beside, beside_rows(index), begun_beside, lambda done: step("copying pages", done, 0))
    passages.finish()
    _compare(index, passages)
    manifest = (index.folder / MANIFEST_SEAL).read_text(encoding="utf-8")
    seal = {"manifest": manifest, "origin": origin, "shortened": shortened}
    beside.add([beside_row(beside.count(), SEAL, json.dumps(seal))])
    beside.finish()
    return copied, seal


def _fill(collection: Collection, rows: Iterator[Row], begun: bool, step: Callable[[int], object]) -> int:
    """Adds what is not there yet, batch by batch; the number of rows added."""
    added, done = 0, 0
    while batch := list(itertools.islice(rows, BATCH)):
        where = f"row >= {batch[0]['row']} and row <= {batch[-1]['row']}"
        there = collection.count(where) if begun else 0
        if there != len(batch):
            if there:
                collection.remove(where)  # a batch that was broken off
            collection.add(batch)
            added += len(batch)
        done += len(batch)
        step(done)
    return added


def _compare(index: PassageIndex, passages: Collection) -> None:
    """Raises StoreUnavailable where the store does not hold what was sent: the number of passages, and some of them whole."""
    if (held := passages.count()) != len(index.passages):
        raise StoreUnavailable(
            f"Milvus collection {passages.name}: holds {held} of {len(index.passages)} passages; copy again"
        )
    rows = np.unique(np.linspace(0, len(index.passages) - 1, _COMPARED).astype(int)).tolist() if held else []
    found = passages.at(rows, ("text", "body", "also_in", "vector"))
    for row, passage in zip(rows, index.passages.at(rows), strict=True):
        there, vector = found[row], index.vectors.vectors[row]
        if passage_of(there) != passage or not np.array_equal(vector, np.float32(there["vector"])):
            raise StoreUnavailable(
                f"Milvus collection {passages.name}: passage {row} is not as it was sent; copy again"
            )
