"""One reader per format. Each gives sections, or raises UnreadableSource saying what and the remedy."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ingest.documents import SourceDocument, SourceSection
from ingest.limits import ReadingLimits
from knowledge.errors import UnreadableSource
from rag.manifest import sha256_of

_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_ENCODINGS = ("utf-8-sig", "gb18030")

Reader = Callable[[Path], Iterator[SourceSection]]


def read_markdown(path: Path) -> Iterator[SourceSection]:
    """A section per heading; the heading is the path of headings above it."""
    levels: list[str] = []
    lines: list[str] = []
    for line in _FRONT_MATTER.sub("", _text_of(path)).splitlines():
        heading = _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        yield SourceSection("\n".join(lines), " > ".join(levels))
        depth = len(heading[1])
        levels = [*levels[: depth - 1], heading[2]]
        lines = []
    yield SourceSection("\n".join(lines), " > ".join(levels))


def read_plain(path: Path) -> Iterator[SourceSection]:
    """The whole text as one section."""
    yield SourceSection(_text_of(path))


def read_pdf(path: Path) -> Iterator[SourceSection]:
    """A section per page, read one page at a time."""
    from pypdf import PdfReader
    from pypdf.errors import PdfReadError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableSource(f"{path.name}: encrypted; save a copy without a password")
        for number, page in enumerate(reader.pages, 1):
            yield SourceSection(_joined_lines(page.extract_text()), page=number)
    except UnreadableSource:
        raise
    except (
        PdfReadError,
        PyPdfError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as fault:
        raise UnreadableSource(f"{path.name}: not a readable PDF ({type(fault).__name__}); export it again") from None


READERS: dict[str, Reader] = {".md": read_markdown, ".txt": read_plain, ".pdf": read_pdf}


def read_source(path: Path, root: Path, limits: ReadingLimits = ReadingLimits()) -> SourceDocument:
    """The document in a file. source_id: its path below root, `/` between folders."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableSource(
            f"{path.name}: no reader for {path.suffix or 'a file without ending'!r}; known: {', '.join(READERS)}"
        )
    try:
        sections = tuple(reader(path))
        digest = sha256_of(path)
    except OSError as fault:
        raise UnreadableSource(
            f"{path.name}: cannot be read ({fault.strerror or fault}); check its permissions"
        ) from None
    document = SourceDocument(path.relative_to(root).as_posix(), _title(path, sections), "document", digest, sections)
    if not document.has_text():
        remedy = (
            "it may be scanned pages; give a version with text"
            if path.suffix.lower() == ".pdf"
            else "put text in it or remove it"
        )
        raise UnreadableSource(f"{path.name}: holds no text; {remedy}")
    return document


def _title(path: Path, sections: tuple[SourceSection, ...]) -> str:
    headings = (section.heading.split(" > ")[0] for section in sections if section.heading)
    return next(headings, path.stem)


def _text_of(path: Path) -> str:
    raw = path.read_bytes()
    for encoding in _ENCODINGS:
        try:
            return raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            continue
    raise UnreadableSource(f"{path.name}: neither UTF-8 nor GB18030 text; save it as UTF-8")


def _joined_lines(text: str) -> str:
    """PDF text with the line breaks inside sentences mended: none between Chinese, a blank between English words."""
    text = re.sub(r"(?<=[\u3400-\u9fff，、：；])[ \t]*\n[ \t]*(?=[\u3400-\u9fff\d])", "", text)
    text = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text)
    return re.sub(r"(?<=[a-z,;])\n(?=[a-z(])", " ", text)
