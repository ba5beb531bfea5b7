"""One reader per format, and what is asked of every file: its place, its size, and that its text reads as written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.documents import QuarantineRow, SourceDocument, SourceFile, SourceSection
from ingest.garble import GARBLED, SUSPECT, garble_score
from ingest.hidden_instructions import REMEDY, instructions_in
from ingest.html_reader import read_html
from ingest.json_readers import read_json, read_jsonl
from ingest.limits import ReadingLimits
from ingest.outline import SEPARATOR, numbering_rank
from ingest.pdf_reader import OCR, read_pdf
from ingest.sheet_readers import read_csv, read_xlsx
from ingest.text_readers import read_markdown, read_plain
from ingest.word_reader import read_docx
from knowledge.errors import UnreadableSource

_MOST_WARNINGS = 20  # rows about one file; the last says how many more there are
_SCORED_CHARS = 20_000  # of a section, from its start: enough to tell

Reader = Callable[[SourceFile], Iterator[SourceSection | QuarantineRow]]


@dataclass(frozen=True)
class Format:
    """How files with one ending are read. is_titled: whether the first heading can be the document's title."""

    read: Reader
    name: str
    remedy: str
    is_titled: bool = True


FORMATS: dict[str, Format] = {
    ".md": Format(read_markdown, "Markdown file", "save it as UTF-8 text"),
    ".txt": Format(read_plain, "text file", "save it as UTF-8 text"),
    ".pdf": Format(read_pdf, "PDF", "export it again"),
    ".docx": Format(read_docx, ".docx file", "save it again in Word"),
    ".html": Format(read_html, "web page", "save it again from a browser"),
    ".htm": Format(read_html, "web page", "save it again from a browser"),
    ".csv": Format(read_csv, "table", "save it as CSV again", is_titled=False),
    ".tsv": Format(read_csv, "table", "save it as CSV again", is_titled=False),
    ".xlsx": Format(read_xlsx, ".xlsx file", "save it again in a spreadsheet", is_titled=False),
    ".json": Format(read_json, "JSON file", "mend it", is_titled=False),
    ".jsonl": Format(read_jsonl, "JSON file", "mend it", is_titled=False),
}
READERS: dict[str, Reader] = {ending: form.read for ending, form in FORMATS.items()}


def read_source(path: Path, root: Path, limits: ReadingLimits = ReadingLimits()) -> SourceDocument:
    """The document in a file. source_id: its path below root, `/` between folders.

    Raises UnreadableSource, one line that says what is wrong and the remedy, whatever the file holds.
    Time and memory are bounded only where this runs in a process of its own: ingest.reading does that.
    """
    file = SourceFile(path, path.relative_to(root).as_posix(), limits)
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise file.fault(f"no reader for {path.suffix or 'a file without ending'!r}", f"known: {', '.join(FORMATS)}")
    try:
        _check_place(file, root)
        digest = _sha256(path)
        sections, rows = _taken(file, form.read(file))
    except UnreadableSource:
        raise
    except OSError as fault:
        raise file.fault(f"cannot be read ({fault.strerror or fault})", "check its permissions") from None
    except MemoryError:
        raise file.fault("needs more memory than may be used", "split it, or raise reading.max_memory_bytes") from None
    except Exception as fault:  # hostile files make the formats' libraries raise anything; one file never ends the run
        raise file.fault(f"not a readable {form.name} ({type(fault).__name__})", form.remedy) from None
    if not any(section.text.strip() for section in sections):
        raise _nothing_taken(file, form, rows)
    title = _title(path, sections) if form.is_titled else path.stem
    return SourceDocument(file.source_id, title, "document", digest, tuple(sections), quarantined=tuple(rows))


def _check_place(file: SourceFile, root: Path) -> None:
    """A file below the root, no link out of it, of a size that may be read."""
    if not file.path.resolve().is_relative_to(root.resolve()):
        raise file.fault("a link to outside the folder", "copy the file into the folder")
    if not file.path.is_file():
        raise file.fault("no ordinary file", "check that it is there")
    size = file.path.stat().st_size
    if size > file.limits.max_file_bytes:
        raise file.fault(
            f"{size:,} bytes, more than {file.limits.max_file_bytes:,}", "split it, or raise reading.max_file_bytes"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _taken(
    file: SourceFile, parts: Iterable[SourceSection | QuarantineRow]
) -> tuple[list[SourceSection], list[QuarantineRow]]:
    """The sections that read as written, and a row for each that does not or is suspect."""
    sections: list[SourceSection] = []
    rows: list[QuarantineRow] = []
    chars = 0
    for part in parts:
        if isinstance(part, QuarantineRow):
            rows.append(part)
            continue
        chars += len(part.text)
        if chars > file.limits.max_text_chars:
            raise file.fault(
                f"more than {file.limits.max_text_chars:,} characters of text",
                "split it, or raise reading.max_text_chars",
            )
        row = _looked_at(file, part)
        if row is not None:
            rows.append(row)
        if row is None or row.taken:
            sections.append(part)
    return sections, _at_most(file, rows)


def _looked_at(file: SourceFile, section: SourceSection) -> QuarantineRow | None:
    """What is wrong with a section's text, if anything."""
    score = garble_score(section.text[:_SCORED_CHARS])
    place = f" under {section.heading!r}" if section.heading and section.page is None else ""
    if score >= GARBLED:
        remedy = OCR if file.path.suffix.lower() == ".pdf" else "save it in the right encoding (UTF-8)"
        return file.left_out(f"garbled text{place} (score {score:.2f})", remedy, section.page)
    if phrase := instructions_in(f"{section.heading}\n{section.text}"):
        return file.warning(f"gives orders to a program{place}: “{phrase}”", REMEDY, section.page)
    if score >= SUSPECT:
        return file.warning(f"some garbled characters{place} (score {score:.2f})", "check the text", section.page)
    return None


def _at_most(file: SourceFile, rows: list[QuarantineRow]) -> list[QuarantineRow]:
    """All pages left out; of the warnings the first ones, and how many more."""
    left_out, warnings = [row for row in rows if not row.taken], [row for row in rows if row.taken]
    kept: list[QuarantineRow] = []
    for group, what in ((left_out, "parts left out"), (warnings, "warnings")):
        kept += group[:_MOST_WARNINGS]
        if len(group) > _MOST_WARNINGS:
            make = file.warning if group is warnings else file.left_out
            kept.append(make(f"{len(group) - _MOST_WARNINGS} more {what}", "mend the ones named first"))
    return kept


def _nothing_taken(file: SourceFile, form: Format, rows: list[QuarantineRow]) -> UnreadableSource:
    left_out = [row for row in rows if not row.taken]
    if left_out:
        pages = f" on {len(left_out)} pages" if len(left_out) > 1 and left_out[0].page else ""
        return file.fault(left_out[0].reason + pages, left_out[0].remedy)
    return file.fault("holds no text", OCR if form.read is read_pdf else "put text in it or remove it")


def _title(path: Path, sections: list[SourceSection]) -> str:
    """The first heading, where it is a title and not the first of numbered chapters; else the file's name."""
    first = next((section.heading.split(SEPARATOR)[0] for section in sections if section.heading), "")
    return first if first and numbering_rank(first) is None else path.stem
