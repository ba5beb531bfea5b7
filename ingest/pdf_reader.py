"""PDF: a section per heading and page, in reading order; pages without a text layer are reported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ingest import tables
from ingest.cleaning import clean, joined
from ingest.documents import QuarantineRow, SourceFile, SourceSection
from ingest.hidden_instructions import REMEDY, hidden_reason
from ingest.outline import Block, Outline
from ingest.page_content import PageContent
from ingest.page_layout import Paragraph, body_size, laid_out, runs_on
from ingest.page_tables import PageTable
from ingest.pdf_pages import pages_of
from ingest.running_lines import without_running_lines
from ingest.text_readers import suspect
from knowledge.errors import UnreadableSource

OCR = "give it a text layer first, for example: ocrmypdf -l chi_sim+eng IN.pdf OUT.pdf"
_PICTURE_SHARE = 0.3  # of a page's area, from which a page without text is a scan
_SENTENCE_END = re.compile(r"[。！？；](?:[”’」』）)]*)|[.!?](?=\s|$)")

Flow = list[Paragraph | PageTable]


def read_pdf(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """A section per heading and page, read one page at a time. A sentence over a page's end stays with its beginning."""
    notes: list[QuarantineRow] = []
    outline = Outline()
    carried: PageTable | None = None
    sizes: Counter[float] = Counter()
    for page, flow in _with_whole_sentences(without_running_lines(_readable(file, notes))):
        yield from _taken(notes)
        for part in flow:
            if isinstance(part, Paragraph):
                sizes[round(part.size * 2) / 2] += len(part.text)
        for block in _blocks(flow, body_size(sizes), carried):
            for section in outline.add(block):
                yield _on(page, section)
        last = flow[-1] if flow else None
        carried = _headed(last, carried) if isinstance(last, PageTable) else None
        for section in outline.flush():
            yield _on(page, section)
        yield from _remarks(file, page, flow)
        final = page
    yield from _taken(notes)
    for section in outline.close():
        yield _on(final, section)


def _on(page: PageContent, section: SourceSection) -> SourceSection:
    return replace(section, page=page.number, page_label=page.label)


def _taken(notes: list[QuarantineRow]) -> list[QuarantineRow]:
    taken, notes[:] = list(notes), []
    return taken


def _readable(file: SourceFile, notes: list[QuarantineRow]) -> Iterator[PageContent]:
    for number, page in enumerate(pages_of(file), 1):
        if isinstance(page, UnreadableSource):
            reason, _, remedy = str(page).partition(": ")[2].rpartition("; ")
            notes.append(file.left_out(reason, remedy, number))
        else:
            yield page


def _with_whole_sentences(pages: Iterator[PageContent]) -> Iterator[tuple[PageContent, Flow]]:
    """Each page with what stands on it; the end of a sentence that runs over comes back from the next page."""
    held: tuple[PageContent, Flow] | None = None
    for page in pages:
        flow = laid_out(page)
        if held is not None:
            if held[1] and flow and runs_on(held[1][-1], flow[0]):
                _bring_back(held[1], flow)
            yield held
        held = (page, flow)
    if held is not None:
        yield held


def _bring_back(flow: Flow, following: Flow) -> None:
    last, first = flow[-1], following[0]
    assert isinstance(last, Paragraph) and isinstance(first, Paragraph)
    end = _SENTENCE_END.search(first.text)
    if end is None and len(first.text) > 300:
        return
    cut = end.end() if end else len(first.text)
    flow[-1] = replace(last, text=joined(last.text, first.text[:cut]))
    rest = first.text[cut:].strip()
    following[:1] = [replace(first, text=rest)] if rest else []


def _blocks(flow: Flow, body: float, carried: PageTable | None) -> Iterator[Block]:
    for place, part in enumerate(flow):
        if isinstance(part, Paragraph):
            yield Block(clean(part.text), part.heading_level(body))
        else:
            continues = place == 0 and carried is not None and _same_columns(carried, part)
            header = carried.rows[0] if continues and carried else None
            lines: Iterable[str]
            if not part.may_have_names:
                lines = (tables.row_line(None, row) for row in part.rows)
            elif header is not None and carried and tables.is_header(header, carried.rows[1:]):
                lines = (tables.row_line(header, row) for row in part.rows if row != header)
            else:
                lines = tables.lines_of(part.rows)
            yield from (Block(clean(line)) for line in lines if line)


def _same_columns(one: PageTable, two: PageTable) -> bool:
    return len(one.edges) == len(two.edges) and all(abs(a - b) <= 6 for a, b in zip(one.edges, two.edges, strict=True))


def _headed(table: PageTable, carried: PageTable | None) -> PageTable:
    """A table at a page's foot, with the header of the one it continues: for the page after."""
    if carried is not None and _same_columns(carried, table):
        return replace(table, rows=(carried.rows[0], *table.rows))
    return table


def _remarks(file: SourceFile, page: PageContent, flow: Flow) -> Iterator[QuarantineRow]:
    pictured = sum((box.x1 - box.x0) * (box.y1 - box.y0) for box in page.pictures)
    if not flow and not page.hidden and pictured > _PICTURE_SHARE * page.width * page.height:
        yield file.left_out("no text layer, only pictures (a scan)", OCR, page.number)
    for how, texts in page.hidden.items():
        if len("".join(texts).strip()) >= 4:
            yield file.warning(hidden_reason(texts, how), REMEDY, page.number)
    for row in suspect(file, "\n".join(part.text for part in flow if isinstance(part, Paragraph))):
        yield replace(row, page=page.number)
