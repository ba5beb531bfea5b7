"""The shipped vectors are the embedder's own, nearly all of the shipped knowledge has one, and none is needed."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.shipped_vectors import load_shipped, shipped_texts, with_shipped_vectors, write_shipped
from rag.embedder import load_embedder
from tests.fakes import HashEmbedder


def test_nearly_all_of_the_shipped_knowledge_has_its_vector():
    shipped, texts = load_shipped(), shipped_texts()
    assert shipped is not None and shipped.fingerprint == load_embedder().fingerprint
    held = sum(shipped.vector(text) is not None for text in texts)
    assert held >= 0.95 * len(texts), f"{held} of {len(texts)}; run `python -m ingest.shipped_vectors`"


def test_a_shipped_vector_is_what_the_embedder_gives():
    shipped = load_shipped()
    texts = [text for text in shipped_texts()[::400] if shipped.vector(text) is not None]  # some may have changed since
    fresh = load_embedder().encode_passages(texts)
    kept = np.array([shipped.vector(text) for text in texts])
    assert np.allclose((fresh * kept).sum(axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("content", [None, b"", b"not an archive"])
def test_without_the_file_texts_are_embedded_as_ever(content, tmp_path):
    path = tmp_path / "vectors.npz"
    if content is not None:
        path.write_bytes(content)
    assert load_shipped(path) is None


def test_vectors_of_another_embedder_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.shipped_vectors.shipped_texts", lambda: ["一", "二"])
    path = tmp_path / "vectors.npz"
    assert write_shipped(HashEmbedder(), path) == 2
    held = load_shipped(path)
    assert held.fingerprint == HashEmbedder().fingerprint and held.vector("三") is None
    assert np.allclose(held.vector("一"), HashEmbedder().encode_passages(["一"])[0], atol=0.02)
    assert with_shipped_vectors(HashEmbedder("other")).fingerprint == HashEmbedder("other").fingerprint
