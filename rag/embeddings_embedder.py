"""LangChain `Embeddings` where daozhen expects its own embedder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from langchain_core.embeddings import Embeddings

_PROBE = "导诊 triage"  # the text whose vector tells LangChain embeddings apart


@dataclass(frozen=True)
class EmbeddingsEmbedder:
    """LangChain `Embeddings` where daozhen expects its `Embedder`."""

    embeddings: Embeddings
    name: str
    dimension: int
    fingerprint: str = field(default="")

    @classmethod
    def of(cls, embeddings: Embeddings) -> EmbeddingsEmbedder:
        """Embeds one text, to learn the dimension and to tell this model from others."""
        vector = np.asarray(embeddings.embed_query(_PROBE), dtype=np.float32)
        name = type(embeddings).__name__
        digest = hashlib.sha256(name.encode() + vector.round(4).tobytes()).hexdigest()[:16]
        return cls(embeddings, name, len(vector), digest)

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        return unit_rows(self.embeddings.embed_documents(list(texts)), self.dimension)

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return unit_rows([self.embeddings.embed_query(text) for text in texts], self.dimension)


def unit_rows(rows: Sequence[Sequence[float]], dimension: int) -> np.ndarray:
    """(n, dimension) float32 of unit length; zeros stay zeros."""
    vectors = np.asarray(rows, dtype=np.float32).reshape(len(rows), dimension)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths))
