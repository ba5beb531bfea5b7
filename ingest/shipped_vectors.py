"""The vectors of the shipped knowledge, shipped with it: a first index takes seconds, not the minute its embedding takes.

`python -m ingest.shipped_vectors` makes them anew after the knowledge or the embedder has changed. A text whose vector
is not there is embedded as ever, so that a stale file costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ingest.knowledge_sources import knowledge_documents
from ingest.splitting import passages_of
from knowledge.departments import load_departments
from rag.arrivals import text_to_embed
from rag.embedder import DEFAULT_FOLDER, Embedder, load_embedder
from rag.routing import phrases_of

SHIPPED = DEFAULT_FOLDER.parent / "knowledge_vectors.npz"
_LEVELS = 127  # of the eight bits a number is kept in


@dataclass(frozen=True)
class ShippedVectors:
    """Vectors by text, eight bits a number: their cosine with what the embedder gives is above .999."""

    fingerprint: str
    places: dict[bytes, int]
    levels: np.ndarray  # (n, dimension) int8
    scales: np.ndarray  # (n,) float32

    def vector(self, text: str) -> np.ndarray | None:
        """(dimension,) float32 of unit length; None for a text that is not among them."""
        place = self.places.get(_key(text))
        if place is None:
            return None
        row = self.levels[place].astype(np.float32) * self.scales[place]
        return row / (np.linalg.norm(row) or 1.0)


class WithShippedVectors:
    """An embedder that looks a passage up before it embeds it."""

    def __init__(self, embedder: Embedder, shipped: ShippedVectors) -> None:
        self._embedder, self._shipped = embedder, shipped
        self.name, self.fingerprint, self.dimension = embedder.name, embedder.fingerprint, embedder.dimension

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self._embedder.encode_queries(texts)

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        new = []
        for place, text in enumerate(texts):
            known = self._shipped.vector(text)
            if known is None:
                new.append(place)
            else:
                rows[place] = known
        if new:
            rows[new] = self._embedder.encode_passages([texts[place] for place in new])
        return rows


def with_shipped_vectors(embedder: Embedder) -> Embedder:
    """The embedder with the shipped vectors, if they are its own."""
    shipped = load_shipped()
    return (
        WithShippedVectors(embedder, shipped) if shipped and shipped.fingerprint == embedder.fingerprint else embedder
    )


@cache
def load_shipped(path: Path = SHIPPED) -> ShippedVectors | None:
    """The shipped vectors; None where the file is missing or cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as held:
            keys = held["keys"]
            places = {row.tobytes(): place for place, row in enumerate(keys)}
            return ShippedVectors(str(held["fingerprint"]), places, held["levels"], held["scales"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def write_shipped(embedder: Embedder, path: Path = SHIPPED, step: Callable[[int, int], None] = lambda *_: None) -> int:
    """Embeds the shipped knowledge and writes its vectors; gives their number. Vectors that still hold are not made again."""
    known = with_shipped_vectors(embedder)
    texts = shipped_texts()
    rows = []
    for start in range(0, len(texts), 512):
        rows.append(known.encode_passages(texts[start : start + 512]))
        step(min(start + 512, len(texts)), len(texts))
    vectors = np.concatenate(rows)
    scales = (np.abs(vectors).max(axis=1) / _LEVELS).astype(np.float32)
    levels = np.round(vectors / np.maximum(scales, 1e-9)[:, None]).astype(np.int8)
    keys = np.frombuffer(b"".join(map(_key, texts)), dtype=np.uint8).reshape(len(texts), -1)
    np.savez_compressed(path, fingerprint=np.array(embedder.fingerprint), keys=keys, levels=levels, scales=scales)
    return len(texts)


def shipped_texts() -> list[str]:
    """Every text of the shipped knowledge that an index embeds, each once: passages, and the departments' phrases."""
    passages = (text_to_embed(passage) for document in knowledge_documents() for passage in passages_of(document))
    phrases = (
        phrase.text
        for department in load_departments().values()
        if not department.referral_only
        for phrase in phrases_of(department)
    )
    return list(dict.fromkeys([*passages, *phrases]))


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


if __name__ == "__main__":
    print(f"{write_shipped(load_embedder()):,} vectors in {SHIPPED.name}")
