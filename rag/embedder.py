"""Text → unit vectors. The default runs a shipped folder through ONNX Runtime; torch is never imported for it.

A model folder made by `daozhen train finetune/configs/embedder.toml` holds `embedder.json`, `onnx/model.onnx` and
`tokenizer.json`, beside what sentence-transformers wants. Any other sentence-transformers model can take its place as
a setting: `load_embedder("path")`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from knowledge.errors import EmbedderMissing, MissingExtra, first_line
from rag.onnx_embedder import GRAPH_FILE, OnnxEmbedder

DEFAULT_FOLDER = Path(__file__).resolve().parent / "models" / "embedder"
SETTINGS_FILE, TOKENIZER_FILE = "embedder.json", "tokenizer.json"
MODEL_FILES = (SETTINGS_FILE, GRAPH_FILE, TOKENIZER_FILE)
REMEDY = "reinstall daozhen, or run `daozhen train finetune/configs/embedder.toml --data DIR`"
NOT_NEEDED = ["onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot"]  # other runtimes' copies of the same weights


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into rows whose dot product is their cosine, in [-1, 1]."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text could get another vector."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        """(n, dimension) float32 rows of unit length; a row of zeros where a text holds nothing known."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """As encode_passages, for what a person asks."""
        ...


@dataclass(frozen=True)
class SentenceTransformersEmbedder:
    """Any other sentence-transformers model; needs the extra `models`."""

    model: Any = field(repr=False)
    name: str
    dimension: int
    fingerprint: str
    query_prefix: str = ""
    passage_prefix: str = ""

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        return self._encode([self.passage_prefix + text for text in texts])

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self._encode([self.query_prefix + text for text in texts])

    def _encode(self, texts: list[str]) -> np.ndarray:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        rows = self.model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return np.nan_to_num(np.asarray(rows, dtype=np.float32))


def single_threaded(embedder: Embedder) -> Embedder:
    """The same embedder for a process that shares its machine with others like it."""
    return replace(embedder, passage_threads=1) if isinstance(embedder, OnnxEmbedder) else embedder


def embeds_on_gpu(embedder: Embedder) -> bool:
    """Whether it would use a GPU where there is one."""
    return isinstance(embedder, SentenceTransformersEmbedder)


def load_embedder(
    model: Path | str | None = None,
    *,
    query_prefix: str | None = None,
    passage_prefix: str | None = None,
    allow_download: bool = False,
) -> Embedder:
    """The shipped embedder, the one in that folder, or (allow_download) the Hugging Face model of that id.

    The prefixes are put before every text, as E5 and BGE want; None leaves those the folder names, if any.
    Raises EmbedderMissing, or MissingExtra where sentence-transformers is needed and not installed.
    """
    folder = Path(model) if model is not None else DEFAULT_FOLDER
    if not folder.is_dir():
        if not allow_download:
            hint = REMEDY if model is None else "give a model folder, or allow downloads to fetch it from Hugging Face"
            raise EmbedderMissing(f"{folder}: no embedder there; {hint}")
        return _open_with_sentence_transformers(_download(str(model)), str(model), query_prefix, passage_prefix)
    if any((folder / file).exists() for file in (SETTINGS_FILE, GRAPH_FILE)):
        return _open_daozhen_folder(folder, query_prefix, passage_prefix)
    if any((folder / file).exists() for file in ("modules.json", "config.json")):
        return _open_with_sentence_transformers(folder, folder.name, query_prefix, passage_prefix)
    raise EmbedderMissing(f"{folder}: neither {SETTINGS_FILE} nor a sentence-transformers model there; {REMEDY}")


def _open_daozhen_folder(folder: Path, query_prefix: str | None, passage_prefix: str | None) -> OnnxEmbedder:
    from tokenizers import Tokenizer

    absent = [file for file in MODEL_FILES if not (folder / file).is_file()]
    if absent:
        raise EmbedderMissing(f"{folder}: {', '.join(absent)} missing; {REMEDY}")
    try:
        settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
        prefixes = (
            settings.get("query_prefix", "") if query_prefix is None else query_prefix,
            settings.get("passage_prefix", "") if passage_prefix is None else passage_prefix,
        )
        embedder = OnnxEmbedder(
            folder=folder,
            name=str(settings["name"]),
            dimension=int(settings["dimension"]),
            max_tokens=int(settings["max_tokens"]),
            fingerprint=fingerprint_of((folder / file for file in MODEL_FILES), prefixes),
            query_prefix=prefixes[0],
            passage_prefix=prefixes[1],
            tokenizer=Tokenizer.from_file(str(folder / TOKENIZER_FILE)),
        )
        embedder.encode_queries(["一 a"])
    except Exception as fault:
        raise EmbedderMissing(f"{folder}: the embedder cannot be opened ({first_line(fault)}); {REMEDY}") from None
    return embedder


def _open_with_sentence_transformers(
    folder: Path, name: str, query_prefix: str | None, passage_prefix: str | None
) -> SentenceTransformersEmbedder:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise MissingExtra(f"{name}: needs sentence-transformers; pip install 'daozhen[models]'") from None
    try:
        model = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as fault:
        raise EmbedderMissing(f"{folder}: not a usable sentence-transformers model ({fault}); give another") from None
    dimension = model.get_embedding_dimension() or len(model.encode("a"))
    prefixes = (query_prefix or "", passage_prefix or "")
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".md", ".lock"))
    return SentenceTransformersEmbedder(model, name, dimension, fingerprint_of(files, prefixes), *prefixes)


def _download(model_id: str) -> Path:
    """Where the Hugging Face cache keeps that model, fetched now if it is not there."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtra(f"{model_id}: needs sentence-transformers; pip install 'daozhen[models]'") from None
    try:
        return Path(snapshot_download(model_id, ignore_patterns=NOT_NEEDED))
    except (OSError, ValueError) as fault:
        raise EmbedderMissing(
            f"{model_id}: cannot be downloaded ({first_line(fault)}); give a model folder instead"
        ) from None


def fingerprint_of(files: Iterable[Path], settings: Iterable[str] = ()) -> str:
    """16 hex digits over the files' names and bytes, and over settings that change the vectors."""
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    for text in settings:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()[:16]
