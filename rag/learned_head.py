"""A hospital's own routing, fitted on its solved cases: scorers → one calibrated answer, a set.

A logistic regression, fitted on scores that each case got from scorers which had not seen it, weighs for every
department what they say, how it ranks, and whether its name was said. A second one tells how many departments the
answer has. The answer is the set most likely to be right as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rag.learned_scorers import MAX_SIZE, Dialogues, Scorers, Scores, softmax

INNER_FOLDS, SEED = 4, 1
WEIGHING_STRENGTH, SIZING_STRENGTH = 0.1, 0.3  # inverse regularisation, on standardised features
CLAUSE_PART, CLAUSE_FLOOR = 0.3, 0.02  # how much the clauses count in the ranking
RANKS, LEADING = 5, 5  # ranks told apart; chances from which the size is read
CLEARLY, PARTLY = 0.75, 0.5  # share of a name's telling character pairs that was said
NO_CHANCE = -1e6  # log-odds of a size never seen
WIDEST = 4.0  # log-odds that a case has several departments are read up to here


@dataclass(frozen=True)
class Answer:
    """chances: (labels,) that a department belongs to the answer; chosen: label numbers, the likeliest first;
    nearest: cosine of the nearest solved case, in [0, 1]."""

    chances: np.ndarray
    chosen: tuple[int, ...]
    nearest: float


@dataclass(frozen=True)
class LearnedHead:
    """The scorers, and what weighs them. weighing, sizing: (coefficients, intercepts) of logistic regressions."""

    scorers: Scorers
    weighing: tuple[np.ndarray, np.ndarray]
    sizing: tuple[np.ndarray, np.ndarray]

    @classmethod
    def fit(cls, read: Dialogues, right: np.ndarray) -> LearnedHead:
        """Weights are fitted on inner folds, so that no scorer has seen the case it is weighed on."""
        scores = _held_out_scores(read, right)
        rows = _department_rows(scores, read.mentions)
        weighing = _logistic(rows.reshape(-1, rows.shape[2]), right.ravel(), WEIGHING_STRENGTH, (0, 1))
        weighing = (weighing[0][:, 1] - weighing[0][:, 0], weighing[1][1] - weighing[1][0])
        counted = np.minimum(right.sum(axis=1).astype(int), MAX_SIZE)
        size_rows = _size_rows(_sigmoid(rows @ weighing[0] + weighing[1]), scores, read)
        sizing = _logistic(size_rows, counted, SIZING_STRENGTH, tuple(range(1, MAX_SIZE + 1)))
        return cls(Scorers.fit(read, right), weighing, sizing)

    def answers(self, read: Dialogues) -> list[Answer]:
        scores = self.scorers.scores(read)
        chances = _sigmoid(_department_rows(scores, read.mentions) @ self.weighing[0] + self.weighing[1])
        size_chances = softmax(_size_rows(chances, scores, read) @ self.sizing[0] + self.sizing[1])
        return [
            Answer(chance, best_set(chance, size_chance), float(cosine))
            for chance, size_chance, cosine in zip(chances, size_chances, scores.nearest, strict=True)
        ]


def best_set(chances: np.ndarray, size_chances: np.ndarray) -> tuple[int, ...]:
    """The set most likely to be right as a whole, likeliest department first.

    With independent departments, given that k are right, the likeliest set is the k likeliest ones; its chance is the
    product of their odds over the sum of such products of all sets of k (the elementary symmetric polynomial).
    """
    order = np.argsort(-chances, kind="stable")
    odds = chances / np.maximum(1 - chances, 1e-9)
    most = min(len(size_chances), len(chances))
    sums = np.zeros(most + 1)
    sums[0] = 1.0
    for odd in odds:
        sums[1:] = sums[1:] + odd * sums[:-1]
    products = np.cumprod(odds[order[:most]])
    return tuple(
        int(place)
        for place in order[: int(np.argmax(size_chances[:most] * products / np.maximum(sums[1:], 1e-300))) + 1]
    )


def _held_out_scores(read: Dialogues, right: np.ndarray) -> Scores:
    from sklearn.model_selection import KFold

    folds = min(INNER_FOLDS, len(right))
    order, parts = [], []
    for fitted, held in KFold(folds, shuffle=True, random_state=SEED).split(right):
        parts.append(Scorers.fit(read.rows(fitted), right[fitted]).scores(read.rows(held)))
        order.append(held)
    back = np.argsort(np.concatenate(order))
    return Scores(*(np.concatenate([getattr(part, field.name) for part in parts])[back] for field in fields(Scores)))


def _department_rows(scores: Scores, mentions: np.ndarray) -> np.ndarray:
    """What the weighing sees of every department: (dialogues, labels, features)."""
    labels = scores.rest.shape[1]
    shares_rest, shares_shared = np.log(softmax(scores.rest) + 1e-30), np.log(softmax(scores.shared) + 1e-30)
    ranking = (shares_rest + shares_shared) / 2 + CLAUSE_PART * np.log(np.exp(scores.best_clause) + CLAUSE_FLOOR)
    ordered = -np.sort(-np.pad(ranking, ((0, 0), (0, 3)), constant_values=-30.0), axis=1)
    first, second, third = (ordered[:, place : place + 1] for place in range(3))
    rank = np.argsort(np.argsort(-ranking, axis=1, kind="stable"), axis=1)
    several = np.clip(scores.several, -WIDEST, WIDEST)[:, None] / WIDEST
    evidence = [
        scores.rest,
        shares_rest,
        scores.shared,
        shares_shared,
        scores.best_rest,
        scores.all_rest,
        scores.best_clause,
        scores.all_clauses,
        *np.moveaxis(mentions, 2, 0),
        mentions[:, :, 2] > PARTLY,
        mentions[:, :, 4] > PARTLY,
        mentions[:, :, 2] ** 2,
    ]
    ranked = [
        ranking,
        ranking - first,
        (rank == 0) * (first - second),
        (rank == 1) * (ranking - third),
        *[rank == place for place in range(RANKS)],
        np.exp(ranking),
        _sigmoid(scores.rest),
    ]
    crossed = [column * several for column in (*evidence, *ranked)]
    return np.stack([*evidence, *ranked, *crossed, np.repeat(several, labels, axis=1)], axis=2)


def _size_rows(chances: np.ndarray, scores: Scores, read: Dialogues) -> np.ndarray:
    ordered = -np.sort(-np.pad(chances, ((0, 0), (0, LEADING))), axis=1)[:, :LEADING]
    named, said = read.mentions[:, :, 1].sum(axis=1), read.mentions[:, :, 2]
    partly = (said > PARTLY).sum(axis=1)
    clauses = np.bincount(read.owners, minlength=len(chances))
    return np.column_stack(
        [
            scores.sizes,
            scores.several,
            ordered,
            chances.sum(axis=1),
            *[named == count for count in (1, 2)],
            named >= 3,
            np.log(clauses + 1.0),
            *[partly == count for count in range(1, MAX_SIZE + 1)],
            (said > CLEARLY).sum(axis=1),
        ]
    )


def _logistic(rows: np.ndarray, classes: np.ndarray, strength: float, all_classes: tuple[int, ...]) -> Any:
    """Coefficients (features, all classes) and intercepts on the rows as they are; a class never seen has no chance."""
    from sklearn.linear_model import LogisticRegression

    coefficients, intercepts = np.zeros((rows.shape[1], len(all_classes))), np.full(len(all_classes), NO_CHANCE)
    seen = sorted(set(classes.astype(int).tolist()))
    places = [all_classes.index(one) for one in seen]
    intercepts[places] = 0.0
    if len(seen) > 1:
        middle, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = np.where(spread > 1e-9, spread, 1.0)
        fitted = LogisticRegression(C=strength, max_iter=500).fit((rows - middle) / spread, classes.astype(int))
        by, start = fitted.coef_, fitted.intercept_
        if len(seen) == 2:
            by, start = np.vstack([-by[0], by[0]]) / 2, np.array([-start[0], start[0]]) / 2
        coefficients[:, places] = (by / spread).T
        intercepts[places] = start - (by / spread) @ middle
    return coefficients, intercepts


def _sigmoid(values: np.ndarray) -> np.ndarray:
    shares: np.ndarray = 1 / (1 + np.exp(-np.clip(values, -30, 30)))
    return shares
