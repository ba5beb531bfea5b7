"""Many source files read in order: each gives its document, or the one row that says why it was left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ingest.documents import QuarantineRow, SourceDocument
from ingest.limits import ReadingLimits, load_limits
from ingest.readers import read_source
from knowledge.errors import UnreadableSource

WORKERS = 2


def read_sources(
    paths: Iterable[Path], root: Path, limits: ReadingLimits | None = None, workers: int = WORKERS
) -> Iterator[SourceDocument | QuarantineRow]:
    """One result for each path, in the order of the paths: the document, or the row of a file that was left out.

    root: the folder the source_ids are relative to. limits: those of config.toml where none are given.
    Close the iterator (or read it to its end) and no worker is left.
    """
    limits = limits or load_limits()
    for path in paths:
        try:
            yield read_source(path, root, limits)
        except UnreadableSource as fault:
            yield quarantine_row(path.relative_to(root).as_posix(), fault)


def quarantine_row(source_id: str, fault: UnreadableSource) -> QuarantineRow:
    """The row of a file that cannot be read; its fault reads "<file>: <reason>; <remedy>"."""
    reason, _, remedy = str(fault).removeprefix(f"{PurePosixPath(source_id).name}: ").rpartition("; ")
    return QuarantineRow(source_id, None, reason, remedy)
