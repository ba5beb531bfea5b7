"""The contrastive phase: the two texts of a pair are pulled together, the other texts of the batch pushed away.

A batch holds pairs of one group alone, so that what it pushes away is of the same language and kind. Some batches are
crops instead: two stretches of one passage, which teach that a part belongs to its whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from finetune.embedder_corpus_files import PairGroup
from finetune.embedder_encoder import Encoder, mixed_precision, vectors_of
from finetune.embedder_tokens import START_ID
from finetune.guarded_loop import LoopSettings, Progress, train_loop

SHORTEST_CROPPED = 24  # tokens of a passage that can be cropped
QUERY_CROP = (5, 32)  # tokens of the shorter crop


@dataclass(frozen=True)
class ContrastSettings(LoopSettings):
    """batch: pairs a step; temperature: what cosines are divided by; crops_share: batches of crops instead of pairs.

    negatives: mined passages beside each pair, 0 for none. dimensions: the Matryoshka prefixes that are trained
    beside the whole vector, each half as much as the one before. dropout: of the layers' outputs.
    shares: by group of pairs, its share of the batches; a group not named takes no part. Empty: as many as its draws.
    """

    batch: int = 1024
    temperature: float = 0.05
    crops_share: float = 0.0
    negatives: int = 0
    dimensions: Sequence[int] = ()
    dropout: float = 0.1
    question_tokens: int = 96
    passage_tokens: int = 256
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """anchors[i] belongs to positives[i]; negatives: more passages; kin and negative_kin: their kin numbers."""

    anchors: list[np.ndarray]
    positives: list[np.ndarray]
    kin: np.ndarray
    negatives: list[np.ndarray]
    negative_kin: np.ndarray


def train_contrast(
    encoder: Encoder,
    groups: Sequence[PairGroup],
    mined: Mapping[str, np.ndarray],
    settings: ContrastSettings,
    seed: int,
    checkpoint: Path,
    fingerprint: str,
    progress: Progress,
) -> list[float]:
    """Trains the encoder on the groups; mined: per group (n, at least settings.negatives) numbers of its positives."""
    encoder.dropout = settings.dropout
    chosen = [group for group in groups if not settings.shares or group.name in settings.shares]
    shares = np.array([settings.shares.get(group.name, group.draws.sum()) for group in chosen])

    def loss_of(step: int) -> torch.Tensor:
        rng = np.random.default_rng([seed, 7, step])
        group = chosen[rng.choice(len(chosen), p=shares / shares.sum())]
        if rng.random() < settings.crops_share:
            batch = crops(group, settings.batch, rng)
        else:
            batch = drawn(group, mined.get(group.name), settings, rng)
        with mixed_precision(encoder):
            anchors = vectors_of(encoder, batch.anchors, settings.question_tokens)
            passages = vectors_of(encoder, batch.positives + batch.negatives, settings.passage_tokens)
        return contrastive_loss(anchors, passages, kin_mask(batch.kin, batch.negative_kin), settings)

    losses = train_loop(encoder, loss_of, settings, checkpoint, fingerprint, progress)
    encoder.dropout = 0.0
    return losses


def contrastive_loss(
    anchors: torch.Tensor, passages: torch.Tensor, kin: np.ndarray, settings: ContrastSettings
) -> torch.Tensor:
    """InfoNCE in both directions, over the whole vectors and their Matryoshka prefixes.

    anchors: (n, width); passages: (n + negatives, width), passage i belonging to anchor i; kin: (n, n + negatives)
    bool, True where a passage is no fair negative.
    """
    n = len(anchors)
    right = torch.arange(n, device=anchors.device)
    unfair = torch.from_numpy(kin).to(anchors.device)
    total, weight, weights = torch.zeros((), device=anchors.device), 1.0, 0.0
    for dimension in (anchors.shape[1], *settings.dimensions):
        cosines = F.normalize(anchors[:, :dimension], dim=-1) @ F.normalize(passages[:, :dimension], dim=-1).T
        scores = (cosines / settings.temperature).masked_fill(unfair, -torch.inf)
        total = total + weight * (F.cross_entropy(scores, right) + F.cross_entropy(scores[:, :n].T, right)) / 2
        weight, weights = weight / 2, weights + weight
    return total / weights


def kin_mask(kin: np.ndarray, negative_kin: np.ndarray) -> np.ndarray:
    """(n, n + negatives) bool: True where the pair of the column is no fair negative for that of the row.

    Its own never is one. kin: (n, 3) and negative_kin: (negatives, 3) kin numbers.
    """
    columns = np.concatenate([kin, negative_kin])
    mask = np.zeros((len(kin), len(columns)), dtype=bool)
    for place in range(kin.shape[1]):
        mask |= kin[:, None, place] == columns[None, :, place]
    np.fill_diagonal(mask, False)
    return mask


def drawn(group: PairGroup, mined: np.ndarray | None, settings: ContrastSettings, rng: np.random.Generator) -> Batch:
    """So many different pairs of a group, those with more draws likelier, with their mined negatives."""
    rows = without_replacement(group.draws, settings.batch, rng)
    negatives = np.zeros(0, dtype=np.int64)
    if mined is not None and settings.negatives:
        columns = rng.permuted(np.tile(np.arange(mined.shape[1]), (len(rows), 1)), axis=1)[:, : settings.negatives]
        negatives = np.take_along_axis(mined[rows], columns, axis=1).reshape(-1)
    return Batch(
        [group.anchors[row] for row in rows],
        [group.positives[row] for row in rows],
        group.kin[rows],
        [group.positives[int(row)] for row in negatives],
        group.kin[negatives],
    )


def without_replacement(draws: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """At most `count` different rows, each drawn in proportion to its draws (Efraimidis and Spirakis, 2006)."""
    keys = rng.random(len(draws)) ** (1 / draws)
    count = min(count, len(draws))
    return np.argpartition(-keys, count - 1)[:count]


def crops(group: PairGroup, count: int, rng: np.random.Generator) -> Batch:
    """Two random stretches of each of so many passages: a short one in the anchor's place, a long one in the passage's."""
    lengths = group.positives.lengths()
    long_enough = np.flatnonzero(lengths >= SHORTEST_CROPPED)
    if len(long_enough) < 2:
        long_enough = np.arange(len(lengths))
    rows = rng.permutation(long_enough)[:count]
    anchors, positives = [], []
    for row in rows:
        words = group.positives[row][1:]
        short = int(rng.integers(QUERY_CROP[0], max(QUERY_CROP[0] + 1, min(QUERY_CROP[1], len(words) // 2))))
        long = int(rng.integers(max(1, len(words) // 2), len(words) + 1))
        anchors.append(stretch(words, short, rng))
        positives.append(stretch(words, long, rng))
    kin = group.kin[rows]
    return Batch(anchors, positives, kin[:, 1:], [], kin[:0, 1:])


def stretch(words: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """That many words from a random place, begun as every text begins."""
    start = int(rng.integers(0, max(1, len(words) - length + 1)))
    return np.concatenate([np.array([START_ID], dtype=words.dtype), words[start : start + length]])
