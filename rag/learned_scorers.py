"""What several scorers, fitted on a hospital's solved cases, say of each department for a dialogue.

Two read the dialogue as a whole: one-vs-rest logistic regression, and a multinomial one that shares a case among its
departments. Two read it clause by clause, since where several departments are right each is called for by a clause
of its own: the first again, and one fitted on clauses, each given by expectation-maximisation to the department of
its case that it speaks for best (multiple-instance learning: Dietterich et al., Artificial Intelligence 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_SIZE = 5  # departments in one answer
STRENGTH, SHARED_STRENGTH, CLAUSE_STRENGTH = 10.0, 20.0, 5.0  # inverse regularisation; 3 to 30 differ by less than .01
SIZE_STRENGTH, SEVERAL_STRENGTH = 2.0, 5.0
CLAUSE_ROUNDS, CLAUSE_STEPS, SHARED_STEPS = 2, 30, 60
SMOOTHING = 2.0  # pseudo-clauses of background in the start of expectation-maximisation
LEAST_SHARE = 0.05  # a clause teaches a department from this probability on
NEVER = -8.0  # log-odds of a department no clause or case stands for
FLOOR = 1e-6
ARRAYS = tuple(f"{name}_{part}" for name in ("rest", "shared", "clause", "size", "several") for part in ("by", "start"))


@dataclass(frozen=True)
class Dialogues:
    """Dialogues as numbers.

    matrix: (dialogues, words + dense) sparse; clauses: (clauses, words) sparse; owners: (clauses,) the dialogue each
    stands in; mentions: (dialogues, labels, 5), see case_features.MENTIONS.
    """

    matrix: Any
    clauses: Any
    owners: np.ndarray
    mentions: np.ndarray

    def rows(self, places: np.ndarray) -> Dialogues:
        new_place = np.full(self.matrix.shape[0], -1)
        new_place[places] = np.arange(len(places))
        owners = new_place[self.owners]
        return Dialogues(self.matrix[places], self.clauses[owners >= 0], owners[owners >= 0], self.mentions[places])


@dataclass(frozen=True)
class Scores:
    """(dialogues, labels) each: rest, shared of the whole dialogue, the others of its best clause and of all clauses
    together; sizes: (dialogues, MAX_SIZE) and several: (dialogues,) log-odds; nearest: cosine of the nearest case."""

    rest: np.ndarray
    shared: np.ndarray
    best_rest: np.ndarray
    all_rest: np.ndarray
    best_clause: np.ndarray
    all_clauses: np.ndarray
    sizes: np.ndarray
    several: np.ndarray
    nearest: np.ndarray


@dataclass(frozen=True)
class Scorers:
    """Coefficients by name (ARRAYS), and the cases themselves as unit rows, for the nearest one."""

    arrays: dict[str, np.ndarray]
    matrix: Any

    @classmethod
    def fit(cls, read: Dialogues, right: np.ndarray) -> Scorers:
        """right: (dialogues, labels) 0 or 1, one at least in each row."""
        from sklearn.preprocessing import normalize

        counted = np.minimum(right.sum(axis=1).astype(int), MAX_SIZE)
        fitted = {
            "rest": _one_vs_rest(read.matrix, right, STRENGTH),
            "shared": _shared(read.matrix, right / right.sum(axis=1, keepdims=True)),
            "clause": _of_clauses(read.clauses, right[read.owners]),
            "size": _one_vs_rest(
                read.matrix, (counted[:, None] == np.arange(1, MAX_SIZE + 1)).astype(float), SIZE_STRENGTH
            ),
            "several": _one_vs_rest(read.matrix, (counted > 1).astype(float)[:, None], SEVERAL_STRENGTH),
        }
        arrays = {f"{name}_by": by.astype(np.float32) for name, (by, _) in fitted.items()}
        arrays |= {f"{name}_start": start.astype(np.float32) for name, (_, start) in fitted.items()}
        return cls(arrays, normalize(read.matrix))

    def scores(self, read: Dialogues) -> Scores:
        from sklearn.preprocessing import normalize

        arrays, count = self.arrays, read.matrix.shape[0]
        words = read.clauses.shape[1]

        def whole(name: str) -> np.ndarray:
            return np.asarray(read.matrix @ arrays[f"{name}_by"], dtype=float) + arrays[f"{name}_start"]

        by_rest = np.asarray(read.clauses @ arrays["rest_by"][:words], dtype=float) + arrays["rest_start"]
        by_clause = np.asarray(read.clauses @ arrays["clause_by"], dtype=float) + arrays["clause_start"]
        best_rest, all_rest = _pooled(by_rest, read.owners, count)
        best_clause, all_clauses = _pooled(np.log(softmax(by_clause) + FLOOR), read.owners, count)
        nearest = (normalize(read.matrix) @ self.matrix.T).max(axis=1).toarray().ravel()
        return Scores(
            whole("rest"),
            whole("shared"),
            best_rest,
            all_rest,
            best_clause,
            all_clauses,
            whole("size"),
            whole("several")[:, 0],
            nearest,
        )


def _pooled(values: np.ndarray, owners: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(dialogues, labels) of the best clause, and log of the sum over clauses."""
    best, powers = np.full((count, values.shape[1]), -30.0), np.zeros((count, values.shape[1]))
    np.maximum.at(best, owners, values)
    np.add.at(powers, owners, np.exp(np.clip(values, -30, 30)))
    return best, np.log(powers + 1e-9)


def _one_vs_rest(matrix: Any, right: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """(features, labels) and (labels,). A label that all or none of the cases have gets a fixed start."""
    from sklearn.linear_model import LogisticRegression

    coefficients, intercepts = np.zeros((matrix.shape[1], right.shape[1])), np.zeros(right.shape[1])
    for label in range(right.shape[1]):
        column = right[:, label]
        if 0 < column.sum() < len(column):
            fitted = LogisticRegression(C=strength, solver="liblinear").fit(matrix, column)
            coefficients[:, label], intercepts[label] = fitted.coef_[0], fitted.intercept_[0]
        else:
            intercepts[label] = NEVER if column.sum() == 0 else -NEVER  # the same on inner folds as on all cases
    return coefficients, intercepts


def _shared(matrix: Any, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression on shares, fitted in the space the cases span: their number is far below the
    number of n-grams, and the penalised optimum lies there."""
    from scipy.optimize import minimize

    powers, axes = np.linalg.eigh((matrix @ matrix.T).toarray())
    kept = powers > 1e-3 * powers.max()
    powers, axes = np.sqrt(powers[kept]), axes[:, kept]
    rows, width, labels = axes * powers, int(kept.sum()), shares.shape[1]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        by, start = values[: width * labels].reshape(width, labels), values[width * labels :]
        logits = rows @ by + start
        given = softmax(logits)
        error = given - shares
        penalty = 0.5 * (by**2).sum()
        slope = np.concatenate([(SHARED_STRENGTH * (rows.T @ error) + by).ravel(), SHARED_STRENGTH * error.sum(0)])
        return float(penalty - SHARED_STRENGTH * (shares * np.log(given + 1e-300)).sum()), slope

    found = minimize(
        loss, np.zeros(labels * (width + 1)), jac=True, method="L-BFGS-B", options={"maxiter": SHARED_STEPS}
    ).x
    by = found[: width * labels].reshape(width, labels)
    return np.asarray(matrix.T @ ((axes / powers) @ by)), found[width * labels :]


def _of_clauses(clauses: Any, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """allowed: (clauses, labels) the departments of each clause's case. Starts from smoothed word counts."""
    background = np.asarray(clauses.mean(axis=0)).reshape(-1, 1) + 1e-9
    counts = clauses.T @ (allowed / allowed.sum(axis=1, keepdims=True)) + SMOOTHING * background
    by, start = np.log(counts / counts.sum(axis=0)) - np.log(background / background.sum()), np.zeros(allowed.shape[1])
    for _ in range(CLAUSE_ROUNDS):
        spoken_for = softmax(np.asarray(clauses @ by) + start) * allowed
        spoken_for /= spoken_for.sum(axis=1, keepdims=True) + 1e-300
        by, start = _clause_step(clauses, spoken_for)
    return by, start


def _clause_step(clauses: Any, spoken_for: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rows, labels = np.nonzero(spoken_for > LEAST_SHARE)
    by, start = np.zeros((clauses.shape[1], spoken_for.shape[1])), np.full(spoken_for.shape[1], NEVER)
    if len(set(labels)) < 2:
        return by, start
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # the steps are few on purpose: a round is a half-step of EM
        fitted = LogisticRegression(C=CLAUSE_STRENGTH, max_iter=CLAUSE_STEPS, tol=1e-3).fit(
            clauses[rows], labels, sample_weight=spoken_for[rows, labels]
        )
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # sklearn gives one row for two classes
        coefficients, intercepts = (
            np.vstack([-coefficients[0], coefficients[0]]) / 2,
            np.array([-1, 1]) * intercepts / 2,
        )
    by[:, fitted.classes_], start[fitted.classes_] = coefficients.T, intercepts
    return by, start


def softmax(values: np.ndarray) -> np.ndarray:
    """Shares along the last axis."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares
