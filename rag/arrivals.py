"""The passages that come into a generation: they lie in a file while it is written, not in memory."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO, overload

import numpy as np

from rag.likeness import Likeness
from rag.passage_store import StoredPassage
from rag.passages import Passage

_BYTES_READ_AHEAD = 1 << 16

LikenessKeys = Callable[[Passage], Iterable[int]]


class Arrivals:
    """Passages by place, in the order they came; each is read from the file when it is asked for.

    In memory stand 24 bytes for each and 12 for each likeness key. `with` closes and removes the file.
    """

    def __init__(self, path: Path, likeness_keys: LikenessKeys) -> None:
        self._path, self._likeness_keys = path, likeness_keys
        self._file = path.open("wb")
        self._ends = array("q", [0])
        self._keys = array("Q")
        self._alike_rows, self._alike_keys = array("i"), array("Q")

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(self, *_: object) -> None:
        if "_reader" in vars(self):
            self._reader.close()
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, document: int, passages: Iterable[Passage]) -> None:
        """More passages, of the document of that number; all of them come before the first is read."""
        for passage in passages:
            own = set(self._likeness_keys(passage))
            self._alike_rows.extend([len(self._keys)] * len(own))
            self._alike_keys.extend(own)
            self._keys.append(key_of(passage))
            line = json.dumps([document, vars(passage)], ensure_ascii=False, separators=(",", ":"))
            raw = line.encode(errors="replace")  # half a character, as damaged JSON holds it
            self._file.write(raw)
            self._ends.append(self._ends[-1] + len(raw))

    def __getitem__(self, place: int) -> StoredPassage:
        begin, end = self._ends[place], self._ends[place + 1]
        self._reader.seek(begin)
        document, row = json.loads(self._reader.read(end - begin))
        return StoredPassage(document, Passage.from_row(row))

    def at(self, places: Iterable[int]) -> Iterator[StoredPassage]:
        """Those at some places, in their order."""
        return map(self.__getitem__, map(int, places))

    @cached_property
    def keys(self) -> np.ndarray:
        """(n,) uint64: equal where vector and words would be equal."""
        return np.frombuffer(self._keys, dtype=np.uint64) if self._keys else np.zeros(0, dtype=np.uint64)

    @cached_property
    def likeness(self) -> Likeness:
        """By what they find others that say the same; its rows are places."""
        return Likeness(np.array(self._alike_rows, dtype=np.int32), np.array(self._alike_keys, dtype=np.uint64))

    @cached_property
    def _reader(self) -> BinaryIO:
        self._file.flush()
        return self._path.open("rb", buffering=_BYTES_READ_AHEAD)


class ArrivedTexts(Sequence[str]):
    """A text of each of some arrivals, made when it is asked for."""

    def __init__(self, arrivals: Arrivals, places: np.ndarray, text_of: Callable[[Passage], str]) -> None:
        self._arrivals, self._places, self._text_of = arrivals, places, text_of

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self._text_of(stored.passage) for stored in self._arrivals.at(self._places[place])]
        return self._text_of(self._arrivals[int(self._places[place])].passage)


def text_to_embed(passage: Passage) -> str:
    """What a passage's vector is made from: its text under its headings, but without a title that is only the name
    of its file, so that a file may be renamed without being embedded again. Words are found in the whole text."""
    named_after_file = passage.title == PurePosixPath(passage.source_id).stem
    return (replace(passage, title="") if named_after_file else passage).embedded_text()


def key_of(passage: Passage) -> int:
    """64 bits, equal where vector and words would be equal."""
    text = f"{passage.embedded_text()}\0{text_to_embed(passage)}".encode(errors="replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
