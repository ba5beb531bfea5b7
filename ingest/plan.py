"""What a rebuild would do: which files are new, changed, moved, unchanged or gone since the index was built."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ingest.remembered import Remembered
from rag.manifest import sha256_of
from rag.passage_index import PassageIndex
from rag.passage_store import ADDED, KNOWLEDGE, StoredDocument

DEFAULT_RATES = {  # seconds, on two shared cores; what was measured in the last rebuild takes their place
    "read_per_mb": 1.0,
    "passages_per_mb": 1400.0,
    "embed_per_passage": 0.0006,
    "write_per_new_passage": 0.0006,
    "write_per_passage": 0.00003,
}
_START_SECONDS = 0.3


@dataclass(frozen=True)
class FoundFile:
    """A file below an indexed folder. source_id: its path below the folder, `/` between folders, unique in the index.

    changed_ns: when its bytes or its name last changed, in nanoseconds, as the file system says.
    """

    path: Path
    folder: Path
    source_id: str
    size: int  # bytes
    changed_ns: int
    sha256: str = ""  # told only where the index cannot know the file by size and time


@dataclass(frozen=True)
class RebuildPlan:
    """add: files to be read, new or changed; move: (file, number of the document its bytes are known as);
    keep: numbers of documents that stay; gone: of those that do not stay as they are; delete: (number, source_id) of
    those among them that nothing takes the place of; passages: in the index before."""

    add: tuple[FoundFile, ...]
    move: tuple[tuple[FoundFile, int], ...]
    keep: tuple[int, ...]
    gone: tuple[int, ...]
    delete: tuple[tuple[int, str], ...]
    passages: int
    rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def megabytes(self) -> float:
        """Of the files to be read."""
        return sum(file.size for file in self.add) / 1e6

    @property
    def expected_seconds(self) -> float:
        """From the seconds that the last rebuild took for each kind of work."""
        rates = {**DEFAULT_RATES, **self.rates}
        new = self.megabytes * rates["passages_per_mb"]
        seconds = self.megabytes * rates["read_per_mb"] + new * (
            rates["embed_per_passage"] + rates["write_per_new_passage"]
        )
        return round(_START_SECONDS + seconds + (self.passages + new) * rates["write_per_passage"], 1)


def make_plan(
    base: PassageIndex | None,
    remembered: Remembered,
    kept_knowledge: Sequence[int] = (),
    reread: bool = False,
    rates: Mapping[str, float] | None = None,
) -> RebuildPlan:
    """Compares the folders with what the index knows; reads a file's bytes only where its size or time differ.

    kept_knowledge: numbers of the shipped documents that stay; reread: trust no earlier reading.
    """
    known = dict(base.passages.documents()) if base is not None else {}
    staying = {ADDED, *map(str, remembered.waiting)}
    keep = [
        number
        for number, document in known.items()
        if document.origin in staying and document.source_id not in remembered.removed
    ]
    by_place = {(document.origin, document.source_id): number for number, document in known.items()}
    by_bytes = {
        (document.sha256, PurePosixPath(document.source_id).suffix): number
        for number, document in known.items()
        if document.readable and document.origin not in (KNOWLEDGE, ADDED)
    }
    add: list[FoundFile] = []
    move: list[tuple[FoundFile, int]] = []
    replaced: set[int] = set()
    taken = [known[number].source_id for number in keep]
    for file in source_files(remembered.folders, known.values(), taken, remembered.removed):
        number = by_place.get((str(file.folder), file.source_id))
        if number is not None:
            if not reread and _unchanged(known[number], file):
                keep.append(number)
                continue
            replaced.add(number)
        file = _with_sha256(file)
        same_bytes = by_bytes.get((file.sha256, PurePosixPath(file.source_id).suffix))
        if same_bytes is None or reread:
            add.append(file)
        else:
            move.append((file, same_bytes))
    keep += kept_knowledge
    gone = sorted(known.keys() - set(keep))
    return RebuildPlan(
        add=tuple(add),
        move=tuple(move),
        keep=tuple(keep),
        gone=tuple(gone),
        delete=tuple(
            (number, known[number].source_id)
            for number in gone
            if number not in replaced and known[number].origin != KNOWLEDGE
        ),
        passages=len(base.passages) if base is not None else 0,
        rates=rates or {},
    )


def source_files(
    folders: Sequence[Path], known: Iterable[StoredDocument], taken: Collection[str], removed: Collection[str]
) -> Iterator[FoundFile]:
    """Every file below the folders, once. A path that two folders have is told apart by the folder's name."""
    settled = {(document.origin, document.source_id) for document in known}
    names = set(taken)
    seen: set[Path] = set()
    for folder in folders:
        for path in _files_in(folder):
            if path in seen:
                continue
            seen.add(path)
            below = path.relative_to(folder).as_posix().encode(errors="replace").decode()
            candidates = [below, f"{folder.name}/{below}", *(f"{folder.name}~{n}/{below}" for n in range(2, 100))]
            free = [name for name in candidates if name not in names]
            source_id = next((name for name in free if (str(folder), name) in settled), free[0])
            names.add(source_id)
            if source_id in removed:
                continue
            try:
                found = path.stat()
            except OSError:  # it went while we looked
                continue
            changed_ns = max(found.st_mtime_ns, found.st_ctime_ns)
            yield FoundFile(path, folder, source_id, found.st_size, changed_ns)


def _files_in(folder: Path) -> Iterator[Path]:
    """Every file below a folder in a fixed order; hidden ones and Office's lock files left out."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "~$")))
        for name in sorted(files):
            path = Path(parent, name)
            if not name.startswith((".", "~$")) and path.is_file():
                yield path


def _unchanged(document: StoredDocument, file: FoundFile) -> bool:
    return (document.size, document.changed_ns) == (file.size, file.changed_ns)


def _with_sha256(file: FoundFile) -> FoundFile:
    try:
        digest = sha256_of(file.path)
    except OSError:  # reading it will say why
        digest = ""
    return FoundFile(file.path, file.folder, file.source_id, file.size, file.changed_ns, digest)
