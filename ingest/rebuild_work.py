"""The two kinds of work a rebuild hands to an engine: files → documents and passages, and texts → vectors.

In another process both are done only where they give what this process would have got: the same code, the same
embedder, the same file under the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import groupby
from pathlib import Path

import numpy as np

from ingest.documents import QuarantineRow, SourceDocument
from ingest.limits import ReadingLimits
from ingest.plan import FoundFile
from ingest.reading import WORKERS, read_sources
from ingest.shipped_vectors import with_shipped_vectors
from ingest.splitting import passages_of
from ingest.stored import renamed
from knowledge.errors import ClusterUnavailable
from rag.embedder import Embedder, embeds_on_gpu, single_threaded
from rag.engines import Work
from rag.manifest import digest_of
from rag.passages import Passage

FILES_TOGETHER = 16
_ROOT = Path(__file__).resolve().parents[1]
_READING_CODE = ("ingest/*.py", "rag/passages.py", "rag/sentences.py", "rag/routing.py")
_SHARED = "every machine must see the indexed folders under the same path: mount them there"


@dataclass(frozen=True)
class ReadFile:
    """What one file gave: its document, under its name in the index, and the passages; or why it was left out."""

    result: SourceDocument | QuarantineRow
    passages: tuple[Passage, ...] = ()

    @classmethod
    def of(cls, document: SourceDocument) -> ReadFile:
        return cls(document, tuple(split(document)))


def reading_fingerprint(limits: ReadingLimits) -> str:
    """Changes with the limits and with any byte of the code that turns files into passages."""
    return digest_of([_reading_code(), asdict(limits)])[:16]


def reading_work(limits: ReadingLimits) -> Work[FoundFile, ReadFile]:
    """Reads files and splits them into passages."""
    return Work(
        here=partial(read_files, limits=limits),
        there=partial(_reading_there, limits, reading_fingerprint(limits)),
        together=FILES_TOGETHER,
    )


def embedding_work(
    embedder: Embedder, open_embedder: Callable[[], Embedder], limits: ReadingLimits
) -> Work[Sequence[str], np.ndarray]:
    """Embeds batches of texts. A batch is embedded as a whole, since a text's vector may depend on its neighbours'
    lengths in the last bits. open_embedder: gives the same embedder in another process."""
    return Work(
        here=partial(map, embedder.encode_passages),
        there=partial(_embedding_there, open_embedder, embedder.fingerprint, limits, reading_fingerprint(limits)),
        on_gpu=embeds_on_gpu(embedder),
    )


def read_files(files: Iterable[FoundFile], limits: ReadingLimits, workers: int = WORKERS) -> Iterator[ReadFile]:
    """What each file gives, in their order."""
    for folder, group in groupby(files, key=lambda file: file.folder):
        of_folder = list(group)
        for file, result in zip(
            of_folder, read_sources((file.path for file in of_folder), folder, limits, workers), strict=True
        ):
            if isinstance(result, SourceDocument):
                yield ReadFile.of(renamed(result, file.source_id) if result.source_id != file.source_id else result)
            else:
                yield ReadFile(replace(result, source_id=file.source_id))


def split(document: SourceDocument) -> list[Passage]:
    """The passages of a document; where two would have one id, the later ones are numbered."""
    passages = list(passages_of(document))
    seen: dict[str, int] = {}
    for place, passage in enumerate(passages):
        times = seen[passage.passage_id] = seen.get(passage.passage_id, 0) + 1
        if times > 1:
            passages[place] = replace(passage, passage_id=f"{passage.passage_id}#{times}")
    return passages


def _reading_there(limits: ReadingLimits, fingerprint: str) -> Callable[[Iterable[FoundFile]], Iterator[ReadFile]]:
    _require_same_code(limits, fingerprint)
    return partial(_read_seen_files, limits=limits)


def _read_seen_files(files: Iterable[FoundFile], limits: ReadingLimits) -> Iterator[ReadFile]:
    """As read_files; a file that is not the one the plan was made with stops the rebuild, or it would be lost."""
    listed = list(files)
    for file in listed:
        _require_same_file(file)
    for file, read in zip(listed, read_files(listed, limits, workers=1), strict=True):
        if isinstance(read.result, SourceDocument) and file.sha256 and read.result.sha256 != file.sha256:
            raise ClusterUnavailable(f"{file.path}: is another file there; {_SHARED}, or start again if it has changed")
        yield read


def _require_same_file(file: FoundFile) -> None:
    try:
        size = file.path.stat().st_size
    except OSError as fault:
        raise ClusterUnavailable(f"{file.path}: cannot be seen there ({fault.strerror}); {_SHARED}") from None
    if size != file.size:
        raise ClusterUnavailable(f"{file.path}: is another file there; {_SHARED}, or start again if it has changed")


def _embedding_there(
    open_embedder: Callable[[], Embedder], fingerprint: str, limits: ReadingLimits, code: str
) -> Callable[[Iterable[Sequence[str]]], Iterator[np.ndarray]]:
    _require_same_code(limits, code)
    embedder = with_shipped_vectors(single_threaded(open_embedder()))
    if embedder.fingerprint != fingerprint:
        raise ClusterUnavailable("has another embedder; give every machine the same model folder under the same path")
    return partial(map, embedder.encode_passages)


def _require_same_code(limits: ReadingLimits, fingerprint: str) -> None:
    if reading_fingerprint(limits) != fingerprint:
        raise ClusterUnavailable("runs another version of daozhen; install the same on every machine")


@cache
def _reading_code() -> str:
    paths = sorted(path for pattern in _READING_CODE for path in _ROOT.glob(pattern))
    return digest_of([path.read_text(encoding="utf-8") for path in paths])
