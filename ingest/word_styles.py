"""What the styles of a Word document say of its paragraphs and runs: heading level, list item, seen or not."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ingest.outline import fits_a_heading, numbering_rank

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING_STYLE = re.compile(r"^(?:heading|标题|標題)\s*([1-9])$", re.IGNORECASE)
_TITLE_STYLES = {"title", "标题", "文档标题"}
_OFF = {"0", "false", "off", "none"}
_TINY = 3  # half points
_WHITES = ("FFFFFF", "FEFEFE", "FDFDFD")


class WordStyles:
    """The styles of one document, read once."""

    def __init__(self, document: Any) -> None:
        self._body = document.element.body
        self._levels = _style_levels(document)
        self._unseen_styles = _unseen_styles(document)
        self._list_styles = {
            style.get(f"{W}styleId", "")
            for style in document.styles.element.iter(f"{W}style")
            if style.find(f"{W}pPr/{W}numPr") is not None
        }

    def is_list_item(self, paragraph: Element) -> bool:
        """Whether a paragraph is numbered or bulleted, by itself or by its style."""
        style = paragraph.find(f"{W}pPr/{W}pStyle")
        named = style is not None and style.get(f"{W}val", "") in self._list_styles
        return named or paragraph.find(f"{W}pPr/{W}numPr") is not None

    def level(self, paragraph: Element, text: str) -> int | None:
        """A paragraph's level as a heading: by outline, by style, else by numbering; None for text."""
        if (outline := _outline_level(paragraph)) is not None:
            return outline
        style = paragraph.find(f"{W}pPr/{W}pStyle")
        if style is not None and (level := self._levels.get(style.get(f"{W}val", ""))) is not None:
            return level
        rank = numbering_rank(text)
        if self._levels_used or rank is None:
            return None
        return rank if rank <= 4 and fits_a_heading(text) else None

    @cached_property
    def _levels_used(self) -> bool:
        """Whether the document has heading styles in use; then numbers alone make no heading."""
        used = {style.get(f"{W}val") for style in self._body.iter(f"{W}pStyle")}
        return not used.isdisjoint(self._levels)

    def unseen_how(self, run: Element) -> str | None:
        """How a run is kept from being seen, in a word or two; None where it can be."""
        properties = run.find(f"{W}rPr")
        if properties is None:
            return None
        style = properties.find(f"{W}rStyle")
        if style is not None and style.get(f"{W}val") in self._unseen_styles:
            return "marked as hidden"
        for name in ("vanish", "webHidden", "specVanish"):
            mark = properties.find(f"{W}{name}")
            if mark is not None and mark.get(f"{W}val", "1") not in _OFF:
                return "marked as hidden"
        size = properties.find(f"{W}sz")
        if size is not None and size.get(f"{W}val", "").isdecimal() and int(size.get(f"{W}val")) <= _TINY:
            return "tiny"
        colour = properties.find(f"{W}color")
        white = colour is not None and colour.get(f"{W}val", "").upper() in _WHITES
        return "white" if white and not _on_colour(run, properties) else None


def _style_levels(document: Any) -> dict[str, int]:
    """Heading level by style id, by name or by the outline level the style, or one it is based on, sets."""
    levels: dict[str, int] = {}
    based_on: dict[str, str] = {}
    for style in document.styles.element.iter(f"{W}style"):
        name = style.find(f"{W}name")
        text = name.get(f"{W}val", "") if name is not None else ""
        identity = style.get(f"{W}styleId", "")
        base = style.find(f"{W}basedOn")
        if base is not None:
            based_on[identity] = base.get(f"{W}val", "")
        if text.casefold() in _TITLE_STYLES:
            levels[identity] = 0
        elif found := _HEADING_STYLE.match(text):
            levels[identity] = int(found[1])
        elif (outline := _outline_level(style)) is not None:
            levels[identity] = outline
    for identity in based_on:
        base, steps = identity, 0
        while base in based_on and base not in levels and steps < 20:
            base, steps = based_on[base], steps + 1
        if base in levels and identity not in levels:
            levels[identity] = levels[base]
    return levels


def _outline_level(element: Element) -> int | None:
    """The level a paragraph's or a style's outline mark sets, 1 the highest; None where it sets none."""
    mark = element.find(f"{W}pPr/{W}outlineLvl")
    value = mark.get(f"{W}val", "9") if mark is not None else "9"
    return int(value) + 1 if value in "012345678" else None


def _unseen_styles(document: Any) -> set[str]:
    return {
        style.get(f"{W}styleId", "")
        for style in document.styles.element.iter(f"{W}style")
        if style.get(f"{W}type") == "character"
        and (mark := style.find(f"{W}rPr/{W}vanish")) is not None
        and mark.get(f"{W}val", "1") not in _OFF
    }


def _on_colour(run: Element, properties: Element) -> bool:
    """Whether white letters stand on a shade: of the run, its paragraph, its cell, or a table's style."""
    if properties.find(f"{W}highlight") is not None:
        return True
    places = [properties.find(f"{W}shd")]
    for around in run.iterancestors():
        if around.tag in (f"{W}p", f"{W}tc", f"{W}tbl"):
            places.append(around.find(f"{around.tag}Pr/{W}shd"))
        if around.tag == f"{W}tbl" and around.find(f"{W}tblPr/{W}tblStyle") is not None:
            return True
        if around.tag == f"{W}txbxContent":
            return True  # boxes have fills of many kinds
    return any(
        shade is not None and shade.get(f"{W}fill", "auto").upper() not in ("AUTO", "FFFFFF") for shade in places
    )
