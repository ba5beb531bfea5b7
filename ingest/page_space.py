"""The spaces of a PDF's page: matrices from one to the other, and places in them, in points."""

from __future__ import annotations

from typing import Any

from ingest.page_content import Box, PageContent

Matrix = tuple[float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def times(first: Any, second: Matrix) -> Matrix:
    """What applying the first and then the second does."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def at(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    """Where a point of the matrix's space lies in the one it leads to."""
    return (x * matrix[0] + y * matrix[2] + matrix[4], x * matrix[1] + y * matrix[3] + matrix[5])


def box_between(first: tuple[float, float], second: tuple[float, float]) -> Box:
    """The box of two opposite corners, whichever they are."""
    (x0, x1), (y0, y1) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    return Box(x0, y0, x1, y1)


def turned(rotation: int, left: float, bottom: float, content: PageContent) -> Matrix:
    """From the page's own space to what is seen: the crop box's lower left as origin, the page turned as a viewer does."""
    width, height = content.width, content.height
    if rotation % 180 == 90:
        content.width, content.height = height, width
    return {
        90: (0.0, -1.0, 1.0, 0.0, -bottom, left + width),
        180: (-1.0, 0.0, 0.0, -1.0, left + width, bottom + height),
        270: (0.0, 1.0, -1.0, 0.0, bottom + height, -left),
    }.get(rotation % 360, (1.0, 0.0, 0.0, 1.0, -left, -bottom))
