"""Word documents: headings, paragraphs, lists, tables, text boxes and notes, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ingest import tables
from ingest.archives import check_archive, check_no_entities
from ingest.cleaning import clean
from ingest.documents import QuarantineRow, SourceFile, SourceSection
from ingest.hidden_instructions import REMEDY, hidden_reason
from ingest.outline import Block, sections_of
from ingest.text_readers import suspect
from ingest.word_styles import W, WordStyles

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_AROUND = {f"{W}{name}" for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag")}  # read through
_NOT_READ = {f"{W}del", f"{W}moveFrom", f"{W}delText", f"{W}instrText", f"{W}pict", _FALLBACK}


def read_docx(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """Sections by heading styles, else by numbered headings. Headers, footers, comments and deleted text are left out."""
    from docx import Document

    check_archive(file, ".docx file", ".doc")
    check_no_entities(file, ".docx file")
    try:
        document = Document(str(file.path))
        page = _WordPage(document, file)
        sections = list(sections_of(page.blocks()))
    except RecursionError:
        raise file.fault("nested too deeply", "save it again in Word") from None
    yield from sections
    if page.raw:
        yield from suspect(file, "\n".join(page.raw))
    for how, texts in page.hidden.items():
        yield file.warning(hidden_reason(texts, how), REMEDY)


class _WordPage:
    def __init__(self, document: Any, file: SourceFile) -> None:
        self.document, self.file = document, file
        self.hidden: dict[str, list[str]] = {}
        self.raw: list[str] = []  # texts with invisible characters
        self._styles = WordStyles(document)

    def blocks(self) -> Iterator[Block]:
        yield from self._children(self.document.element.body, 0)
        yield from self._notes()

    def _children(self, parent: Element, depth: int) -> Iterator[Block]:
        if depth > self.file.limits.max_nesting:
            raise self.file.fault(f"nested more than {self.file.limits.max_nesting} deep", "save it again in Word")
        for child in parent:
            if child.tag == f"{W}p":
                yield from self._paragraph(child, depth)
            elif child.tag == f"{W}tbl":
                yield from self._table(child)
            elif child.tag in _AROUND:
                yield from self._children(child, depth + 1)

    def _paragraph(self, paragraph: Element, depth: int) -> Iterator[Block]:
        text = self._text(paragraph)
        level = self._styles.level(paragraph, text)
        is_item = level is None and self._styles.is_list_item(paragraph)
        if text.strip():
            yield Block(f"- {text}" if is_item and not re.match(r"[-•·●\d（(]", text) else text, level)
        for box in paragraph.iter(f"{W}txbxContent"):
            if not any(around.tag == _FALLBACK for around in box.iterancestors()):
                yield from self._children(box, depth + 1)

    def _text(self, paragraph: Element) -> str:
        """What a reader sees of a paragraph; its text boxes come after it."""
        parts: list[str] = []
        self._gather(paragraph, parts)
        whole = "".join(parts)
        if clean(whole) != whole:
            self.raw.append(whole)
        return " ".join(clean(whole).split(" ")).strip("\n ")

    def _gather(self, element: Element, parts: list[str]) -> None:
        for child in element:
            tag = child.tag
            if tag in _NOT_READ or tag == f"{W}txbxContent":
                continue
            if tag == f"{W}r" and (how := self._styles.unseen_how(child)):
                hidden = "".join(text.text or "" for text in child.iter(f"{W}t"))
                if hidden.strip():
                    self.hidden.setdefault(how, []).append(hidden)
                continue
            if tag == f"{W}t":
                parts.append(child.text or "")
            elif tag in (f"{W}tab", f"{W}ptab"):
                parts.append(" ")
            elif tag in (f"{W}br", f"{W}cr"):
                parts.append("\n")
            elif tag == f"{W}noBreakHyphen":
                parts.append("-")
            elif len(child):
                self._gather(child, parts)

    def _table(self, table: Element) -> Iterator[Block]:
        rows = list(self._rows(table))
        if max((len(row) for row in rows), default=0) == 1:  # a frame around text
            yield from (Block(line) for row in rows for line in row[0].split("\n") if line.strip())
        else:
            yield from (Block(line) for line in tables.lines_of(rows))

    def _rows(self, table: Element) -> Iterator[list[str]]:
        """Rows of cells; merged cells stand in each place they cover."""
        above: list[str] = []
        for row in table.iter(f"{W}tr"):
            if next(row.iterancestors(f"{W}tbl")) is not table:
                continue  # of a table inside a cell, which is read as the cell's text
            cells: list[str] = []
            for cell in row.iter(f"{W}tc"):
                if next(cell.iterancestors(f"{W}tr")) is not row:
                    continue
                text = "\n".join(filter(None, (self._text(paragraph) for paragraph in cell.iter(f"{W}p"))))
                merged = cell.find(f"{W}tcPr/{W}vMerge")
                if merged is not None and merged.get(f"{W}val", "continue") == "continue" and len(cells) < len(above):
                    text = above[len(cells)]
                span = cell.find(f"{W}tcPr/{W}gridSpan")
                width = span.get(f"{W}val", "1") if span is not None else "1"
                cells += [text] * (min(int(width), 60) if width.isdecimal() and len(width) < 4 else 1)
            above = cells
            yield cells

    def _notes(self) -> Iterator[Block]:
        """Footnotes and endnotes, after the text."""
        from lxml import etree

        for relation in self.document.part.rels.values():
            if relation.is_external or not relation.reltype.endswith(("/footnotes", "/endnotes")):
                continue
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            root = etree.fromstring(relation.target_part.blob, parser)
            for note in root:
                if note.get(f"{W}type") is None:  # separators have a type
                    yield from (Block(text) for paragraph in note.iter(f"{W}p") if (text := self._text(paragraph)))
