"""Sorted arrays put together without being sorted again."""

from __future__ import annotations

import numpy as np


def union_of(values: np.ndarray, more: np.ndarray) -> np.ndarray:
    """The values of two ascending arrays without repetitions, ascending; quick where the second one is short."""
    places = np.searchsorted(values, more)
    known = np.zeros(len(more), dtype=bool)
    inside = places < len(values)
    known[inside] = values[places[inside]] == more[inside]
    wide = values.astype(np.promote_types(values.dtype, more.dtype), copy=False)  # a longer text needs a wider array
    return np.insert(wide, places[~known], more[~known])
