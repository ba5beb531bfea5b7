"""How many rows of each source a mixture takes.

1. A source offers `available` rows, at most its `cap`.
2. Its share is weight × available^(1/temperature), so temperature 1 keeps the natural proportions and a higher one lifts
   the small sources; `general_per_domain` then sets how many general rows stand beside each row of the domain.
3. The mixture is as large as the sources allow without repeating one beyond its `epochs`, or has `total` rows; a source
   that is used up leaves its part to the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.mixture_config import MixConfig


def planned_rows(config: MixConfig, available: Sequence[int]) -> list[int]:
    """How many rows of each source are taken, given how many each offers."""
    most = np.array([source.epochs * rows for source, rows in zip(config.sources, available, strict=True)])
    shares = np.array(
        [
            source.weight * rows ** (1 / config.temperature) if rows else 0.0
            for source, rows in zip(config.sources, available, strict=True)
        ]
    )
    general = np.array([source.general for source in config.sources])
    if config.general_per_domain is not None and shares[general].sum() and shares[~general].sum():
        parts = {True: config.general_per_domain, False: 1.0}
        for kind, part in parts.items():
            shares[general == kind] *= part / shares[general == kind].sum()
    if not shares.sum():
        return [0] * len(available)
    shares = shares / shares.sum()
    if config.total is None:
        wanted = np.min(most[shares > 0] / shares[shares > 0])
        return [int(rows) for rows in np.floor(shares * wanted + 1e-9)]
    return _shared_out(config.total, shares, np.floor(most + 1e-9))


def _shared_out(total: int, shares: np.ndarray, most: np.ndarray) -> list[int]:
    """`total` rows by share, none above its most; what one cannot give the others do."""
    given = np.zeros(len(shares))
    open_ = shares > 0
    while open_.any() and given.sum() < min(total, most[shares > 0].sum()) - 0.5:
        left = total - given.sum()
        offered = np.where(open_, shares, 0) / shares[open_].sum() * left
        given = np.minimum(given + offered, most)
        open_ = open_ & (given < most - 0.5)
    rows = np.floor(given + 1e-9)
    remainder = int(min(total, most[shares > 0].sum()) - rows.sum())
    for place in np.argsort(-(given - rows), kind="stable"):
        if remainder > 0 and rows[place] < most[place]:
            rows[place] += 1
            remainder -= 1
    return [int(count) for count in rows]
