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
from ingest.outline import Block, fits_a_heading, numbering_rank, sections_of
from ingest.text_readers import suspect

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING_STYLE = re.compile(r"^(?:heading|标题|標題)\s*([1-9])$", re.IGNORECASE)
_TITLE_STYLES = {"title", "标题", "文档标题"}
_OFF = {"0", "false", "off", "none"}
_TINY = 3  # half points
_NOT_READ = {f"{_W}del", f"{_W}moveFrom", f"{_W}delText", f"{_W}instrText", f"{_W}pict", _FALLBACK}


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
        self._levels = _style_levels(document)
        self._unseen_styles = _unseen_styles(document)
        self._list_styles = {
            style.get(f"{_W}styleId", "")
            for style in document.styles.element.iter(f"{_W}style")
            if style.find(f"{_W}pPr/{_W}numPr") is not None
        }

    def blocks(self) -> Iterator[Block]:
        yield from self._children(self.document.element.body, 0)
        yield from self._notes()

    def _children(self, parent: Element, depth: int) -> Iterator[Block]:
        if depth > self.file.limits.max_nesting:
            raise self.file.fault(f"nested more than {self.file.limits.max_nesting} deep", "save it again in Word")
        for child in parent:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child, depth)
            elif child.tag == f"{_W}tbl":
                yield from self._table(child)
            elif child.tag in (
                f"{_W}sdt",
                f"{_W}sdtContent",
                f"{_W}ins",
                f"{_W}moveTo",
                f"{_W}customXml",
                f"{_W}smartTag",
            ):
                yield from self._children(child, depth + 1)

    def _paragraph(self, paragraph: Element, depth: int) -> Iterator[Block]:
        text = self._text(paragraph)
        level = self._level(paragraph, text)
        is_item = level is None and self._is_item(paragraph)
        if text.strip():
            yield Block(f"- {text}" if is_item and not re.match(r"[-•·●\d（(]", text) else text, level)
        for box in paragraph.iter(f"{_W}txbxContent"):
            if not any(around.tag == _FALLBACK for around in box.iterancestors()):
                yield from self._children(box, depth + 1)

    def _is_item(self, paragraph: Element) -> bool:
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        named = style is not None and style.get(f"{_W}val", "") in self._list_styles
        return named or paragraph.find(f"{_W}pPr/{_W}numPr") is not None

    def _level(self, paragraph: Element, text: str) -> int | None:
        outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        if outline is not None and outline.get(f"{_W}val", "9") in "012345678":
            return int(outline.get(f"{_W}val")) + 1
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        if style is not None and (level := self._levels.get(style.get(f"{_W}val", ""))) is not None:
            return level
        rank = numbering_rank(text)
        if self._levels_used or rank is None:
            return None
        return rank if rank <= 4 and fits_a_heading(text) else None

    @property
    def _levels_used(self) -> bool:
        """Whether the document has heading styles in use; then numbers alone make no heading."""
        if not hasattr(self, "_used"):
            styles = {style.get(f"{_W}val") for style in self.document.element.body.iter(f"{_W}pStyle")}
            self._used = len(styles & set(self._levels)) > 0
        return self._used

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
            if tag in _NOT_READ or tag == f"{_W}txbxContent":
                continue
            if tag == f"{_W}r" and (how := self._unseen(child)):
                hidden = "".join(text.text or "" for text in child.iter(f"{_W}t"))
                if hidden.strip():
                    self.hidden.setdefault(how, []).append(hidden)
                continue
            if tag == f"{_W}t":
                parts.append(child.text or "")
            elif tag in (f"{_W}tab", f"{_W}ptab"):
                parts.append(" ")
            elif tag in (f"{_W}br", f"{_W}cr"):
                parts.append("\n")
            elif tag == f"{_W}noBreakHyphen":
                parts.append("-")
            elif len(child):
                self._gather(child, parts)

    def _unseen(self, run: Element) -> str | None:
        properties = run.find(f"{_W}rPr")
        if properties is None:
            return None
        style = properties.find(f"{_W}rStyle")
        if style is not None and style.get(f"{_W}val") in self._unseen_styles:
            return "marked as hidden"
        for name in ("vanish", "webHidden", "specVanish"):
            mark = properties.find(f"{_W}{name}")
            if mark is not None and mark.get(f"{_W}val", "1") not in _OFF:
                return "marked as hidden"
        size = properties.find(f"{_W}sz")
        if size is not None and size.get(f"{_W}val", "").isdecimal() and int(size.get(f"{_W}val")) <= _TINY:
            return "tiny"
        colour = properties.find(f"{_W}color")
        white = colour is not None and colour.get(f"{_W}val", "").upper() in ("FFFFFF", "FEFEFE", "FDFDFD")
        return "white" if white and not _on_colour(run, properties) else None

    def _table(self, table: Element) -> Iterator[Block]:
        rows = list(self._rows(table))
        if max((len(row) for row in rows), default=0) == 1:  # a frame around text
            yield from (Block(line) for row in rows for line in row[0].split("\n") if line.strip())
        else:
            yield from (Block(line) for line in tables.lines_of(rows))

    def _rows(self, table: Element) -> Iterator[list[str]]:
        """Rows of cells; merged cells stand in each place they cover."""
        above: list[str] = []
        for row in table.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl")) is not table:
                continue  # of a table inside a cell, which is read as the cell's text
            cells: list[str] = []
            for cell in row.iter(f"{_W}tc"):
                if next(cell.iterancestors(f"{_W}tr")) is not row:
                    continue
                text = "\n".join(filter(None, (self._text(paragraph) for paragraph in cell.iter(f"{_W}p"))))
                merged = cell.find(f"{_W}tcPr/{_W}vMerge")
                if merged is not None and merged.get(f"{_W}val", "continue") == "continue" and len(cells) < len(above):
                    text = above[len(cells)]
                span = cell.find(f"{_W}tcPr/{_W}gridSpan")
                width = span.get(f"{_W}val", "1") if span is not None else "1"
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
                if note.get(f"{_W}type") is None:  # separators have a type
                    yield from (Block(text) for paragraph in note.iter(f"{_W}p") if (text := self._text(paragraph)))


def _style_levels(document: Any) -> dict[str, int]:
    """Heading level by style id, by name or by the outline level the style, or one it is based on, sets."""
    levels: dict[str, int] = {}
    based_on: dict[str, str] = {}
    for style in document.styles.element.iter(f"{_W}style"):
        name = style.find(f"{_W}name")
        text = name.get(f"{_W}val", "") if name is not None else ""
        identity = style.get(f"{_W}styleId", "")
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        base = style.find(f"{_W}basedOn")
        if base is not None:
            based_on[identity] = base.get(f"{_W}val", "")
        if text.casefold() in _TITLE_STYLES:
            levels[identity] = 0
        elif found := _HEADING_STYLE.match(text):
            levels[identity] = int(found[1])
        elif outline is not None and outline.get(f"{_W}val", "9") in "012345678":
            levels[identity] = int(outline.get(f"{_W}val")) + 1
    for identity in based_on:
        base, steps = identity, 0
        while base in based_on and base not in levels and steps < 20:
            base, steps = based_on[base], steps + 1
        if base in levels and identity not in levels:
            levels[identity] = levels[base]
    return levels


def _unseen_styles(document: Any) -> set[str]:
    return {
        style.get(f"{_W}styleId", "")
        for style in document.styles.element.iter(f"{_W}style")
        if style.get(f"{_W}type") == "character"
        and (mark := style.find(f"{_W}rPr/{_W}vanish")) is not None
        and mark.get(f"{_W}val", "1") not in _OFF
    }


def _on_colour(run: Element, properties: Element) -> bool:
    """Whether white letters stand on a shade: of the run, its paragraph, its cell, or a table's style."""
    if properties.find(f"{_W}highlight") is not None:
        return True
    places = [properties.find(f"{_W}shd")]
    for around in run.iterancestors():
        if around.tag in (f"{_W}p", f"{_W}tc", f"{_W}tbl"):
            places.append(around.find(f"{around.tag}Pr/{_W}shd"))
        if around.tag == f"{_W}tbl" and around.find(f"{_W}tblPr/{_W}tblStyle") is not None:
            return True
        if around.tag == f"{_W}txbxContent":
            return True  # boxes have fills of many kinds
    return any(
        shade is not None and shade.get(f"{_W}fill", "auto").upper() not in ("AUTO", "FFFFFF") for shade in places
    )
