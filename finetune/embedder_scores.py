"""How well a ranking puts the right passages first."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np


def ranking_scores(similarity: np.ndarray, right: Iterable[Collection[int]], depth: int = 10) -> dict[str, float]:
    """Means over the questions, each in [0, 1]: nDCG (a right passage gains 1), recall and MRR, at `depth`.

    similarity: (questions, passages), higher is nearer; right: per question the columns of its right passages.
    """
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    ndcg, recall, mrr = [], [], []
    for row, wanted in zip(similarity, right, strict=True):
        best = np.argsort(-row, kind="stable")[:depth]
        hits = np.isin(best, list(wanted))
        ideal = discounts[: min(len(wanted), depth)].sum()
        ndcg.append(float(discounts[: len(best)][hits].sum() / ideal))
        recall.append(float(hits.sum()) / len(wanted))
        mrr.append(1 / (int(np.argmax(hits)) + 1) if hits.any() else 0.0)
    named = ((f"ndcg@{depth}", ndcg), (f"recall@{depth}", recall), (f"mrr@{depth}", mrr))
    return {name: round(float(np.mean(values)), 4) for name, values in named}
