"""What reading a source file gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingest.limits import ReadingLimits
from knowledge.errors import UnreadableSource
from rag.passages import PassageKind


@dataclass(frozen=True)
class SourceSection:
    """Text under one heading path, on one page. page: 1-based, None where the format has no pages."""

    text: str
    heading: str = ""
    page: int | None = None
    language: str | None = None  # None: told from the text
    search_terms: str = ""  # other names of what the section is about, one a line: searched, never quoted
    page_label: str | None = None  # as printed on the page or shown by a viewer ("xii"); None where it is the number
    departments: tuple[str, ...] = ()  # ids; the document's where there are none


@dataclass(frozen=True)
class QuarantineRow:
    """Something that was not taken into the index, or was taken with a warning: where, why, and what to do.

    page: 1-based; None for a whole file. taken: True where the text is in the index all the same (a warning).
    """

    source_id: str
    page: int | None
    reason: str
    remedy: str
    taken: bool = False

    @property
    def line(self) -> str:
        """The row as one line."""
        place = self.source_id if self.page is None else f"{self.source_id} page {self.page}"
        return f"{place}: {self.reason}; {self.remedy}"


@dataclass(frozen=True)
class SourceDocument:
    """A readable source: where it came from, and its sections in order. sha256: of the source's bytes.

    quarantined: the pages left out of it, and what is suspect in it.
    """

    source_id: str
    title: str
    kind: PassageKind
    sha256: str
    sections: tuple[SourceSection, ...]
    departments: tuple[str, ...] = ()
    quarantined: tuple[QuarantineRow, ...] = ()


def printable(name: str) -> str:
    """A file's name as it may stand in one line."""
    return "".join(character if character.isprintable() else "?" for character in name)


@dataclass(frozen=True)
class SourceFile:
    """A file to be read, and what reading it may cost."""

    path: Path
    source_id: str
    limits: ReadingLimits

    def fault(self, reason: str, remedy: str) -> UnreadableSource:
        """The error of a file that cannot be read."""
        return UnreadableSource(f"{printable(self.path.name)}: {reason}; {remedy}")

    def left_out(self, reason: str, remedy: str, page: int | None = None) -> QuarantineRow:
        """The row of something in the file that is not taken."""
        return QuarantineRow(self.source_id, page, reason, remedy)

    def warning(self, reason: str, remedy: str, page: int | None = None) -> QuarantineRow:
        """The row of something suspect in what is taken."""
        return QuarantineRow(self.source_id, page, reason, remedy, taken=True)
