"""A hospital's own routing, fitted on its solved cases: features → three scorers → one calibrated answer, a set.

Three scorers read the same features: one-vs-rest logistic regression, a naive Bayes of what each department's
cases say more than others', and a vote of the nearest solved cases. A small logistic regression, fitted on scores
that each case got from models which had not seen it, weighs them and whether the department's name was said.
A second one tells how many departments the answer has. The answer is the set most likely to be right as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_SIZE = 5  # departments in one answer
INNER_FOLDS, SEED = 4, 1
STRENGTH = 10.0  # inverse regularisation of the one-vs-rest head; 3 to 30 differ by less than .01
SIZE_STRENGTH = 2.0
SMOOTHING = 3.0  # pseudo-cases of background in the naive Bayes
NEIGHBOURS, NEIGHBOUR_POWER = 25, 6  # the nearest cases vote, by similarity to this power
FLOOR = 0.01  # least share of a vote, so that its logarithm is finite
ARRAYS = ("coefficients", "intercepts", "bayes", "size_coefficients", "size_intercepts")


@dataclass(frozen=True)
class Cases:
    """Solved cases as numbers. matrix: (cases, features) sparse rows; named: (cases, labels, 2) whether a department's
    name stands in the patient's, in the clinician's words; right: (cases, labels) 0 or 1."""

    matrix: Any
    named: np.ndarray
    right: np.ndarray

    def rows(self, places: np.ndarray) -> Cases:
        return Cases(self.matrix[places], self.named[places], self.right[places])


@dataclass(frozen=True)
class Answer:
    """chances: (labels,) that a department belongs to the answer; chosen: label numbers, the likeliest first;
    nearest: cosine of the nearest solved case, in [0, 1]."""

    chances: np.ndarray
    chosen: tuple[int, ...]
    nearest: float


@dataclass(frozen=True)
class Scorers:
    """The three scorers and the scorer of sizes, fitted on some cases."""

    arrays: dict[str, np.ndarray]
    matrix: Any  # the cases themselves, unit rows, for the vote
    right: np.ndarray

    @classmethod
    def fit(cls, cases: Cases) -> Scorers:
        from sklearn.preprocessing import normalize

        shares = cases.right / cases.right.sum(axis=1, keepdims=True)
        coefficients, intercepts = _one_vs_rest(cases.matrix, cases.right, STRENGTH)
        sizes = np.minimum(cases.right.sum(axis=1).astype(int), MAX_SIZE)
        size_rows = (sizes[:, None] == np.arange(1, MAX_SIZE + 1)).astype(float)
        size_coefficients, size_intercepts = _one_vs_rest(cases.matrix, size_rows, SIZE_STRENGTH)
        arrays = {
            "coefficients": coefficients,
            "intercepts": intercepts,
            "bayes": _bayes(cases.matrix, shares),
            "size_coefficients": size_coefficients,
            "size_intercepts": size_intercepts,
        }
        return cls(arrays, normalize(cases.matrix), shares)

    def features(self, matrix: Any, named: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the weighing sees: (cases, labels, 7), and for sizes (cases, 5) log-odds; and the nearest cosine."""
        from sklearn.preprocessing import normalize

        arrays = self.arrays
        margins = np.asarray(matrix @ arrays["coefficients"]) + arrays["intercepts"]
        bayes = np.asarray(matrix @ arrays["bayes"])
        cosines = np.asarray((normalize(matrix) @ self.matrix.T).todense())
        votes = np.log(self._votes(cosines) + FLOOR)
        bayes = (
            bayes
            - np.log(np.exp(bayes - bayes.max(1, keepdims=True)).sum(1, keepdims=True))
            - bayes.max(1, keepdims=True)
        )
        leads = margins - np.log(np.exp(margins).sum(axis=1, keepdims=True))
        rows = np.stack(
            [
                margins,
                leads,
                bayes,
                votes,
                named[:, :, 0],
                named[:, :, 1],
                margins.argmax(1)[:, None] == np.arange(margins.shape[1]),
            ],
            axis=2,
        )
        sizes = np.asarray(matrix @ arrays["size_coefficients"]) + arrays["size_intercepts"]
        return rows, sizes, cosines.max(axis=1)

    def _votes(self, cosines: np.ndarray) -> np.ndarray:
        k = min(NEIGHBOURS, cosines.shape[1])
        least = np.partition(cosines, -k, axis=1)[:, -k][:, None]
        weights = np.where(cosines >= least, np.maximum(cosines, 1e-6), 0.0) ** NEIGHBOUR_POWER
        return (weights @ self.right) / weights.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class LearnedHead:
    """The scorers, and what weighs them. weighing, sizing: (coefficients, intercepts) of logistic regressions."""

    scorers: Scorers
    weighing: tuple[np.ndarray, np.ndarray]
    sizing: tuple[np.ndarray, np.ndarray]

    @classmethod
    def fit(cls, cases: Cases) -> LearnedHead:
        """Weights are fitted on inner folds, so that no scorer has seen the case it is weighed on."""
        from sklearn.linear_model import LogisticRegression

        rows, sizes = _held_out_features(cases)
        pooled = LogisticRegression(C=1.0, max_iter=1000).fit(rows.reshape(-1, rows.shape[2]), cases.right.ravel())
        weighing = (pooled.coef_[0], pooled.intercept_)
        chances = _sigmoid(rows @ weighing[0] + weighing[1])
        counted = np.minimum(cases.right.sum(axis=1).astype(int), MAX_SIZE)
        sized = (
            LogisticRegression(C=1.0, max_iter=1000).fit(_size_features(chances, sizes, rows), counted)
            if len(set(counted)) > 1
            else None
        )
        return cls(Scorers.fit(cases), weighing, _size_model(sized, int(counted[0])))

    def answers(self, matrix: Any, named: np.ndarray) -> list[Answer]:
        rows, sizes, nearest = self.scorers.features(matrix, named)
        chances = _sigmoid(rows @ self.weighing[0] + self.weighing[1])
        size_chances = _softmax(_size_features(chances, sizes, rows) @ self.sizing[0] + self.sizing[1])
        return [
            Answer(chance, best_set(chance, size_chance), float(cosine))
            for chance, size_chance, cosine in zip(chances, size_chances, nearest, strict=True)
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


def _held_out_features(cases: Cases) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import KFold

    rows = sizes = None
    folds = min(INNER_FOLDS, len(cases.right))
    for fitted, held in KFold(folds, shuffle=True, random_state=SEED).split(cases.right):
        scorers = Scorers.fit(cases.rows(fitted))
        fold_rows, fold_sizes, _ = scorers.features(cases.matrix[held], cases.named[held])
        if rows is None or sizes is None:
            rows, sizes = np.zeros((len(cases.right), *fold_rows.shape[1:])), np.zeros((len(cases.right), MAX_SIZE))
        rows[held], sizes[held] = fold_rows, fold_sizes
    assert rows is not None and sizes is not None
    return rows, sizes


def _size_features(chances: np.ndarray, sizes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    ordered = -np.sort(-np.pad(chances, ((0, 0), (0, 3))), axis=1)[:, :3]
    said = rows[:, :, 5].sum(axis=1)
    return np.column_stack([sizes, ordered, chances.sum(axis=1), said == 1, said == 2, said >= 3])


def _size_model(fitted: Any, only: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (features, MAX_SIZE) and intercepts; a size never seen has no chance."""
    features = MAX_SIZE + 7
    coefficients, intercepts = np.zeros((features, MAX_SIZE)), np.full(MAX_SIZE, -30.0)
    if fitted is None:
        intercepts[only - 1] = 30.0
        return coefficients, intercepts
    rows, starts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        rows, starts = np.vstack([-rows[0] / 2, rows[0] / 2]), np.array([-starts[0] / 2, starts[0] / 2])
    for size, row, start in zip(fitted.classes_, rows, starts, strict=True):
        coefficients[:, size - 1], intercepts[size - 1] = row, start
    return coefficients, intercepts


def _one_vs_rest(matrix: Any, right: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """(features, labels) and (labels,). A label all or none of whose cases are right gets its rate and no coefficients."""
    from sklearn.linear_model import LogisticRegression

    coefficients, intercepts = np.zeros((matrix.shape[1], right.shape[1])), np.zeros(right.shape[1])
    for label in range(right.shape[1]):
        column = right[:, label]
        if 0 < column.sum() < len(column):
            fitted = LogisticRegression(C=strength, solver="liblinear").fit(matrix, column)
            coefficients[:, label], intercepts[label] = fitted.coef_[0], fitted.intercept_[0]
        else:
            rate = (column.sum() + 0.5) / (len(column) + 1)
            intercepts[label] = np.log(rate / (1 - rate))
    return coefficients, intercepts


def _bayes(matrix: Any, shares: np.ndarray) -> np.ndarray:
    """(features, labels) log ratio of a department's feature weights to everybody's, smoothed towards everybody's."""
    positive = abs(matrix)
    everybody = np.asarray(positive.mean(axis=0)).reshape(-1, 1) + 1e-9
    own = positive.T @ shares + SMOOTHING * everybody
    return np.log(own / own.sum(axis=0)) - np.log(everybody / everybody.sum())


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
