"""What reading a source file gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rag.passages import PassageKind


@dataclass(frozen=True)
class SourceSection:
    """Text under one heading path, on one page. page: 1-based, None where the format has no pages."""

    text: str
    heading: str = ""
    page: int | None = None
    language: str | None = None  # None: told from the text
    search_terms: str = ""  # other names of what the section is about: searched, never quoted


@dataclass(frozen=True)
class SourceDocument:
    """A readable source: where it came from, and its sections in order. sha256: of the source's bytes."""

    source_id: str
    title: str
    kind: PassageKind
    sha256: str
    sections: tuple[SourceSection, ...]
    departments: tuple[str, ...] = ()

    def has_text(self) -> bool:
        return any(section.text.strip() for section in self.sections)


@dataclass(frozen=True)
class RefusedSource:
    """A file that was not taken into the index, and the one line that says why and what to do."""

    source_id: str
    reason: str


def refused_lines(refused: Iterable[RefusedSource]) -> list[str]:
    """The report of what was left out, a line each."""
    return [f"left out: {source.reason}" for source in refused]
