"""The paths a PDF's page draws: ruling lines, frames and filled areas."""

from __future__ import annotations

from ingest.page_content import Box
from ingest.page_space import box_between

_MOST = 20_000  # boxes of one path, and ruling lines of one page
_THIN = 3.0  # points up to which a box is a line

Point = tuple[float, float]


class DrawnPaths:
    """Gathers a page's paths as they are painted. rules: the list its ruling lines are added to."""

    def __init__(self, rules: list[Box]) -> None:
        self.rules = rules
        self.fills: list[Box] = []  # areas painted in a colour other than white
        self._path: list[Box] = []
        self._point: Point | None = None

    def move(self, point: Point) -> None:
        self._point = point

    def line_to(self, end: Point) -> None:
        if self._point is not None:
            self._add(box_between(self._point, end))
        self._point = end

    def rectangle(self, corner: Point, opposite: Point) -> None:
        self._add(box_between(corner, opposite))

    def paint(self, fill: bool | None = None, stroke: bool = False) -> None:
        """Ends the path. fill: whether its inside is painted in a colour (True), in white (False), or not at all."""
        for box in self._path if fill is not None else []:
            if box.x1 - box.x0 <= _THIN or box.y1 - box.y0 <= _THIN:
                self._rule(box)
            elif fill:
                self.fills.append(box)
        for box in self._path if stroke else []:
            self._rule(box)
            if box.x1 - box.x0 > _THIN and box.y1 - box.y0 > _THIN:
                for side in _sides(box):
                    self._rule(side)
        self._path = []

    def _add(self, box: Box) -> None:
        if len(self._path) < _MOST:
            self._path.append(box)

    def _rule(self, box: Box) -> None:
        thin = min(box.x1 - box.x0, box.y1 - box.y0) <= _THIN < max(box.x1 - box.x0, box.y1 - box.y0)
        if thin and len(self.rules) < _MOST:
            self.rules.append(box)


def _sides(box: Box) -> tuple[Box, ...]:
    return (
        Box(box.x0, box.y0, box.x1, box.y0), Box(box.x0, box.y1, box.x1, box.y1),
        Box(box.x0, box.y0, box.x0, box.y1), Box(box.x1, box.y0, box.x1, box.y1),
    )  # fmt: skip
