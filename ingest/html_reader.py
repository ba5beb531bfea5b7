"""Web pages: headings, paragraphs, lists and tables of what a visitor sees; scripts, navigation and hidden text left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingest import tables
from ingest.cleaning import clean
from ingest.documents import QuarantineRow, SourceFile, SourceSection
from ingest.encodings import decoded
from ingest.hidden_instructions import REMEDY, hidden_reason, instructions_in
from ingest.html_unseen import UnseenByStyle
from ingest.outline import Block, sections_of
from ingest.text_readers import suspect

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_NOT_TEXT = {
    "script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "math", "head", "select",
    "button", "canvas", "audio", "video", "input", "textarea", "form",
}  # fmt: skip
_FURNITURE = {"nav", "footer", "aside", "menu"}
_FURNITURE_ROLES = {"navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar"}
_FURNITURE_NAMES = re.compile(
    r"(?:^|[\s_-])(?:nav(?:bar|igation)?|breadcrumbs?|sidebar|site-?footer|site-?header|footer|cookie\w*|share|social|advert\w*|ads?|copyright|pagination|skip-link)(?:$|[\s_-])",
    re.IGNORECASE,
)
_BLOCKS = {
    "p", "div", "section", "article", "main", "ul", "ol", "dl", "dt", "dd", "li", "blockquote", "pre", "figure",
    "figcaption", "address", "header", "hr", "br", "details", "summary", "fieldset", "body", "center", "h1", "h2",
    "h3", "h4", "h5", "h6", "table", "tr", "caption",
}  # fmt: skip
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)


def read_html(file: SourceFile) -> Iterator[SourceSection | QuarantineRow]:
    """Sections by h1-h6. What style or attributes hide is left out and reported, whatever it says."""
    raw = file.path.read_bytes()
    charset = _CHARSET.search(raw[:4096])
    text = decoded(file, raw, charset[1].decode("ascii") if charset else None)
    yield from suspect(file, text)
    root = _tree(file, text)
    if root is None:
        return
    page = _Page(root)
    yield from sections_of(page.blocks())
    for how, texts in page.hidden.items():
        if _says_something(texts):
            yield file.warning(hidden_reason(texts, how), REMEDY)


def _tree(file: SourceFile, text: str) -> HtmlElement | None:
    """The page's elements, parsed by lxml without network, entities of its own or unbounded depth."""
    from lxml import etree, html

    if not text.strip():
        return None
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", text)
    parser = html.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=False, encoding="utf-8")
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return None  # nothing but comments
    except (etree.LxmlError, ValueError, AssertionError) as fault:
        raise file.fault(f"not a readable web page ({type(fault).__name__})", "save it again from a browser") from None
    _check_depth(file, root)
    return root


def _check_depth(file: SourceFile, root: HtmlElement) -> None:
    from lxml import etree

    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > file.limits.max_nesting:
            raise file.fault(
                f"elements nested more than {file.limits.max_nesting} deep",
                "save it again, or raise reading.max_nesting",
            )


class _Page:
    """Walks a page once, in reading order, without recursion into what is not read."""

    def __init__(self, root: HtmlElement) -> None:
        self.root = root
        self.hidden: dict[str, list[str]] = {}
        self._unseen = UnseenByStyle(root)
        self._words: list[str] = []

    def blocks(self) -> Iterator[Block]:
        body = self.root.find("body")
        start = body if body is not None else self.root
        main = next((found for found in start.iter("main", "article") if len(_words_of(found)) > 200), start)
        yield from self._titles(start, main)
        yield from self._walk(main)
        yield from self._paragraph()

    def _titles(self, start: HtmlElement, main: HtmlElement) -> Iterator[Block]:
        """The page's title: its h1, which may stand before the main part, else its <title>."""
        if next(main.iter("h1"), None) is not None:
            return
        heading = next(start.iter("h1"), None)
        title = self.root.find("head/title")
        text = _words_of(heading if heading is not None else title) if heading is not None or title is not None else ""
        if text:
            yield Block(text, 1)

    def _walk(self, element: HtmlElement) -> Iterator[Block]:
        if element.text:
            self._words.append(element.text)
        for child in element:
            yield from self._child(child)
            if child.tail:
                self._words.append(child.tail)

    def _child(self, child: HtmlElement) -> Iterator[Block]:
        tag = child.tag if isinstance(child.tag, str) else ""
        if not tag or tag in _NOT_TEXT or self._is_furniture(child, tag):
            return
        if how := self._unseen.how(child):
            self.hidden.setdefault(how, []).append(_words_of(child))
            return
        if tag in _BLOCKS:
            yield from self._paragraph()
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            yield Block(clean(self._visible_words(child)), int(tag[1]))
        elif tag == "table" and self._is_data(child):
            yield from (Block(clean(line)) for line in tables.lines_of(self._rows(child)))
        else:
            if tag == "li":
                self._words.append("- ")
            yield from self._walk(child)
        if tag in _BLOCKS:
            yield from self._paragraph()
        elif tag in ("td", "th"):
            self._words.append(" ")

    def _visible_words(self, element: HtmlElement) -> str:
        """The words of an element less those of hidden ones in it."""
        outer, self._words = self._words, []
        found = [block.text for block in self._walk(element)]
        words, self._words = self._words, outer
        return " ".join(" ".join([*found, "".join(words)]).split())

    def _paragraph(self) -> Iterator[Block]:
        text = " ".join(clean("".join(self._words)).split())
        self._words = []
        if text and text != "-":
            yield Block(_between_chinese(text))

    def _is_furniture(self, child: HtmlElement, tag: str) -> bool:
        if tag in _FURNITURE or child.get("role", "").lower() in _FURNITURE_ROLES:
            return True
        return tag in ("div", "ul", "header", "section", "p", "span", "ol") and any(
            _FURNITURE_NAMES.search(child.get(name, "")) for name in ("class", "id")
        )

    def _is_data(self, table: HtmlElement) -> bool:
        """A table of data, not one that only lays out the page: no table inside, at least two columns."""
        return next((inner for inner in table.iterdescendants("table")), None) is None and any(
            len(row.findall("td")) + len(row.findall("th")) > 1 for row in table.iter("tr")
        )

    def _rows(self, table: HtmlElement) -> Iterator[list[str]]:
        """Rows of equal length; a cell over several rows or columns stands in each of them."""
        carried: dict[int, tuple[int, str]] = {}  # column -> rows left, text
        for row in table.iter("tr"):
            if self._unseen.how(row):
                self.hidden.setdefault("not displayed", []).append(_words_of(row))
                continue
            cells: list[str] = []
            for cell in row:
                if cell.tag not in ("td", "th"):
                    continue
                if how := self._unseen.how(cell):
                    self.hidden.setdefault(how, []).append(_words_of(cell))
                    text = ""
                else:
                    text = self._visible_words(cell)
                _take_carried(cells, carried)
                for _ in range(_span(cell, "colspan")):
                    if (rows := _span(cell, "rowspan")) > 1:
                        carried[len(cells)] = (rows - 1, text)
                    cells.append(text)
            _take_carried(cells, carried)
            yield cells


def _take_carried(cells: list[str], carried: dict[int, tuple[int, str]]) -> None:
    while len(cells) in carried:
        left, text = carried.pop(len(cells))
        if left > 1:
            carried[len(cells)] = (left - 1, text)
        cells.append(text)


def _span(cell: HtmlElement, name: str) -> int:
    value = cell.get(name, "1").strip()
    return min(max(int(value), 1), 50) if value.isdecimal() and len(value) < 6 else 1


def _words_of(element: HtmlElement) -> str:
    return " ".join("".join(element.itertext()).split())


def _between_chinese(text: str) -> str:
    """No blanks where a source line was broken between Chinese characters."""
    return re.sub(r"(?<=[\u3400-\u9fff，。、；：！？])\s+(?=[\u3400-\u9fff，。、；：！？])", "", text)


def _says_something(texts: list[str]) -> bool:
    """Hidden menus and labels are everyday; only hidden sentences are worth a person's look."""
    whole = " ".join(texts)
    return len(whole) >= 20 and (
        instructions_in(whole) is not None or re.search(r"[。！？]|[a-z]\.\s|[a-z]\.$", whole) is not None
    )
