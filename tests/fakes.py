"""Stand-ins small enough to see through."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np


class HashEmbedder:
    """Vectors from hashed characters: deterministic, needs no files."""

    def __init__(self, name: str = "hash", dimension: int = 32) -> None:
        self.name, self.dimension = name, dimension
        self.fingerprint = f"{name}-{dimension}"

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for character in text:
                row[hashlib.md5(character.encode()).digest()[0] % self.dimension] += 1
            norm = np.linalg.norm(row)
            if norm:
                row /= norm
        return rows

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self.encode_passages(texts)


class ScriptedChatModel:
    """A chat model that says what it was given, piece by piece; a piece may be an exception to raise or a call to make.

    asked: the messages of every call, for tests to look at.
    """

    def __init__(self, *pieces: object) -> None:
        self.pieces = pieces
        self.asked: list[list] = []

    def stream(self, messages: list) -> Iterator[object]:
        from langchain_core.messages import AIMessageChunk

        self.asked.append(messages)
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield AIMessageChunk(piece() if callable(piece) else str(piece))


class SlowWriter:
    """A writer that writes nothing until `go_on` is set. begun, ended: whether it was asked, and whether it came to its end."""

    name, remote = "slow", False

    def __init__(self) -> None:
        self.begun, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()

    def write(self, evidence: object) -> Iterator[object]:
        self.begun.set()
        self.go_on.wait(30)
        self.ended.set()
        return iter(())
