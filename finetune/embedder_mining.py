"""Hard negatives: passages a trained encoder takes for right answers and which are not, and held-out scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from finetune.embedder_corpus_files import HeldOutSet, PairGroup
from finetune.embedder_encoder import Encoder, encoded
from rag.ranking_scores import METRICS, best_rows, question_scores

NEAREST = 60  # passages looked at for each anchor
TRUSTED = 0.95  # a passage nearer than this share of the right one's cosine may be right itself, and is left out
MINED = 16  # negatives kept for each pair
QUESTIONS_A_STEP = 2048


def mine(encoder: Encoder, group: PairGroup, question_tokens: int, passage_tokens: int) -> np.ndarray:
    """(n, MINED) numbers of the group's positives that are near each anchor but not its own.

    Where fewer are found, they are repeated; where none is, the next row's positive stands in.
    """
    passages = encoded(encoder, [group.positives[row] for row in range(len(group.positives))], passage_tokens)
    anchors = encoded(encoder, [group.anchors[row] for row in range(len(group.anchors))], question_tokens)
    right = (passages * anchors).sum(1)
    mined = np.empty((len(anchors), MINED), dtype=np.int64)
    count = min(NEAREST, len(passages))
    for start in range(0, len(anchors), QUESTIONS_A_STEP):
        part = slice(start, start + QUESTIONS_A_STEP)
        cosines, rows = (anchors[part] @ passages.T).topk(count, dim=1)
        fair = (cosines < TRUSTED * right[part, None]).cpu().numpy()
        near = rows.cpu().numpy()
        for kind in range(group.kin.shape[1]):
            fair &= group.kin[near, kind] != group.kin[part, None, kind]
        for line, (candidates, usable) in enumerate(zip(near, fair, strict=True), start):
            found = candidates[usable][:MINED]
            mined[line] = np.resize(found if len(found) else np.array([(line + 1) % len(passages)]), MINED)
    return mined


def held_out_scores(
    encoder: Encoder, held_out: Sequence[HeldOutSet], question_tokens: int, passage_tokens: int
) -> dict[str, dict[str, float]]:
    """nDCG@10, recall@10 and MRR@10 on every held-out set."""
    scores = {}
    for some in held_out:
        questions = encoded(encoder, [some.questions[row] for row in range(len(some.questions))], question_tokens)
        passages = encoded(encoder, [some.passages[row] for row in range(len(some.passages))], passage_tokens)
        with torch.no_grad():
            similarity = (questions @ passages.T).float().cpu().numpy()
        right: list[dict[int, float]] = [{} for _ in range(len(some.questions))]
        for question, passage in some.right:
            right[question][int(passage)] = 1.0
        values = question_scores([best_rows(row) for row in similarity], right)
        sizes = {"questions": len(some.questions), "passages": len(some.passages)}
        scores[some.name] = {**sizes, **{name: round(float(values[name].mean()), 4) for name in METRICS}}
    return scores
