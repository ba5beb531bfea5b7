"""The graphics state of a PDF's page as far as it matters for text, and whether text drawn in it can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingest.page_content import PageContent, Span
from ingest.page_space import IDENTITY, Matrix

TINY_POINTS = 1.5  # smaller type cannot be read on paper or screen; the smallest print of leaflets has 4
_WHITE = 0.97  # of each colour
_NOT_DRAWN = (3, 7)  # rendering modes: neither filled nor stroked
_FILLED = (0, 2, 4, 6)


@dataclass(frozen=True)
class GraphicsState:
    """ctm: from the space in use to the page as it is seen; mode: PDF's text rendering mode."""

    ctm: Matrix = IDENTITY
    font: Any = None
    size: float = 12.0
    char_space: float = 0.0
    word_space: float = 0.0
    scale: float = 1.0
    leading: float = 0.0
    rise: float = 0.0
    mode: int = 0
    is_white: bool = False
    is_clear: bool = False  # drawn with no opacity

    def unseen_how(self, span: Span, page: PageContent) -> str | None:
        """How a piece of text drawn in this state is kept from being seen, in a word or two; None where it can be."""
        if span.x1 < -2 or span.x0 > page.width + 2 or not -2 <= span.y <= page.height + 2:
            return "off the page"
        if span.size < TINY_POINTS:
            return "tiny"
        if self.mode in _NOT_DRAWN:
            return "not drawn"
        if self.is_clear:
            return "transparent"
        return "white" if self.is_white and self.mode in _FILLED else None


def is_white(colour: Sequence[float]) -> bool:
    """Whether a colour is white: of one or three parts light, of four (CMYK) ink; none is a pattern."""
    if len(colour) == 4:
        return all(part <= 1 - _WHITE for part in colour)
    return len(colour) in (1, 3) and all(part >= _WHITE for part in colour)
