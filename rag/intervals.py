"""Intervals of measured shares."""

from __future__ import annotations

import numpy as np

RESAMPLES, CONFIDENCE = 2_000, 0.95


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson, Biometrika 1934); (0, 1) where n is 0."""
    from scipy.stats import beta

    alpha = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(alpha, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - alpha, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def bootstrap(numerators: np.ndarray, denominators: np.ndarray, seed: int = 1) -> tuple[float, float]:
    """The 95 % bootstrap interval, over cases, of the sum of numerators divided by the sum of denominators."""
    if not len(numerators):
        return 0.0, 1.0
    drawn = np.random.default_rng(seed).integers(0, len(numerators), (RESAMPLES, len(numerators)))
    shares = numerators[drawn].sum(axis=1) / np.maximum(denominators[drawn].sum(axis=1), 1e-12)
    low, high = np.quantile(shares, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(low), float(high)
