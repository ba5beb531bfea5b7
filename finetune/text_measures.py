"""Measures of a text against another and against itself, for Chinese and English alike.

Tokens are Chinese characters and words of other scripts, so that no segmenter's taste enters the figures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from knowledge.script import HAN

_TOKEN = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")
REPEATED = 4  # tokens of a run that counts as repeated when it comes again


def measured_tokens(text: str) -> list[str]:
    """What BLEU and ROUGE count: Chinese characters and other words, in small letters."""
    return _TOKEN.findall(text.lower())


def repetition(text: str) -> float:
    """The share of runs of four tokens that stood in the text before; 0 for a text too short to have any."""
    tokens = measured_tokens(text)
    runs = [tuple(tokens[at : at + REPEATED]) for at in range(len(tokens) - REPEATED + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def bleu4(candidate: str, reference: str) -> float:
    """Sentence BLEU-4 in [0, 1] over the tokens, smoothed (Chen and Cherry's exponential, as sacrebleu has it)."""
    from sacrebleu.metrics import BLEU

    metric = BLEU(tokenize="none", smooth_method="exp", effective_order=True)
    score = metric.sentence_score(" ".join(measured_tokens(candidate)), [" ".join(measured_tokens(reference))])
    return float(score.score) / 100


def rouge(candidate: str, reference: str) -> dict[str, float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L (Lin, 2004) over the tokens."""
    ours, theirs = measured_tokens(candidate), measured_tokens(reference)
    return {
        "rouge1": _overlap(ours, theirs, 1),
        "rouge2": _overlap(ours, theirs, 2),
        "rougeL": _f1(_common_subsequence(ours, theirs), len(ours), len(theirs)),
    }


def _overlap(ours: Sequence[str], theirs: Sequence[str], size: int) -> float:
    left, right = (
        Counter(tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1)) for tokens in (ours, theirs)
    )
    return _f1((left & right).total(), left.total(), right.total())


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2 * shared / (ours + theirs) if shared else 0.0


def _common_subsequence(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(theirs) + 1)
    for one in ours:
        before = 0
        for at, other in enumerate(theirs, 1):
            before, row[at] = row[at], before + 1 if one == other else max(row[at], row[at - 1])
    return row[-1]
