"""What stands on a page: pieces of text with their places, ruling lines, pictures, and what nobody can see."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text shown at once. x0, x1, y (baseline), size: points from the lower left of the page."""

    x0: float
    x1: float
    y: float
    size: float
    text: str
    is_bold: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A ruling line (thin) or a filled area, in points."""

    x0: float
    y0: float
    x1: float
    y1: float

    def holds(self, x: float, y: float) -> bool:
        return self.x0 - 1 <= x <= self.x1 + 1 and self.y0 - 1 <= y <= self.y1 + 1


@dataclass
class PageContent:
    """One page. number: 1-based, as a viewer counts; label: as it names the page, where that differs."""

    number: int
    label: str | None
    width: float
    height: float
    spans: list[Span] = field(default_factory=list)
    rules: list[Box] = field(default_factory=list)
    pictures: list[Box] = field(default_factory=list)
    hidden: dict[str, list[str]] = field(default_factory=dict)
