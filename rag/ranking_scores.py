"""How well a ranking puts the right passages first: nDCG, recall and MRR per question, and the intervals of their means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

DEPTH = 10
METRICS = (f"ndcg@{DEPTH}", f"recall@{DEPTH}", f"mrr@{DEPTH}")
CANDIDATES = 60  # taken from a ranking
RESAMPLES = 2000  # of the questions, for the intervals

Gains = Mapping[int, float]  # passage number → gain, for the right passages of one question


def best_rows(scores: np.ndarray, least: float = -np.inf) -> list[int]:
    """The row numbers of the CANDIDATES highest scores above `least`, best first; of equal scores the first row."""
    some = np.argpartition(-scores, CANDIDATES - 1)[:CANDIDATES] if len(scores) > CANDIDATES else np.arange(len(scores))
    return [int(row) for row in sorted(some, key=lambda row: (-scores[row], row)) if scores[row] > least]


def question_scores(ranking: Sequence[Sequence[int]], right: Sequence[Gains]) -> dict[str, np.ndarray]:
    """nDCG, recall and MRR at DEPTH of every question, each in [0, 1]; gains are linear, as in BEIR."""
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    values: list[tuple[float, float, float]] = []
    for rows, gains in zip(ranking, right, strict=True):
        found = np.array([gains.get(row, 0.0) for row in rows[:DEPTH]])
        ideal = np.sort(np.array(list(gains.values())))[::-1][:DEPTH]
        hits = np.flatnonzero(found)
        values.append(
            (
                float(found @ discounts[: len(found)] / (ideal @ discounts[: len(ideal)])),
                len(hits) / len(gains),
                1 / (int(hits[0]) + 1) if len(hits) else 0.0,
            )
        )
    return dict(zip(METRICS, np.array(values).reshape(-1, len(METRICS)).T, strict=True))


def interval(values: np.ndarray, seed: int = 1) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean. Pass differences of two methods, question by question, for a paired one."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)
