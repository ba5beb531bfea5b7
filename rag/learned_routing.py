"""A hospital's routing, learned from its solved cases, and how it moves the general one.

Learning changes the order of departments and nothing else: urgency never passes through here, and the emergency
department, which rules put first at levels I and II, gains and loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from knowledge.departments import EMERGENCY_ID, Department
from knowledge.errors import InvalidCases
from knowledge.hospital import Hospital
from rag.case_features import ROUTING_SCALE, VECTOR_SCALE, CaseFeatures, Reader, prepared
from rag.learned_head import Answer, LearnedHead
from rag.learned_scorers import softmax
from rag.routing import DepartmentScore
from rag.solved_cases import SolvedCase, name_key, usual_spellings

MIN_CASES, MIN_LABELS = 20, 2
TRUST_FROM, TRUST_FULL = 0.10, 0.35  # cosine of the nearest solved case: below none of it counts, above all
MOST_ADDED, MOST_TAKEN = 3.0, -2.0  # log-odds that learning may add to or take from a department
FEWEST = 0.02  # a share below this counts as this


@dataclass(frozen=True)
class LearnedAnswer:
    """departments: the answer, a set, likeliest first; ranking: every department seen with its chance; both by key.
    nearest: cosine of the nearest solved case."""

    departments: tuple[str, ...]
    ranking: tuple[tuple[str, float], ...]
    nearest: float


@dataclass(frozen=True)
class LearnedRouting:
    """Fitted on solved cases, read through one embedder and one set of departments.

    spellings: the hospital's usual spelling by key; ours: our department ids by key, empty where none is known.
    """

    features: CaseFeatures
    head: LearnedHead
    reader: Reader
    spellings: Mapping[str, str]
    ours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def _words(self) -> Any:
        return self.features.words()

    def answers(self, dialogues: Sequence[str]) -> list[LearnedAnswer]:
        """The answer to each dialogue."""
        texts = [prepared(dialogue) for dialogue in dialogues]
        return self._answers(texts, self.reader.dense(texts))

    def _answers(self, texts: Sequence[str], dense: np.ndarray) -> list[LearnedAnswer]:
        rows = self.head.answers(self.features.dialogues(self._words, texts, dense))
        return [self._named(row) for row in rows]

    def _named(self, answer: Answer) -> LearnedAnswer:
        labels = self.features.labels
        order = np.argsort(-answer.chances, kind="stable")
        ranking = tuple((labels[place], float(answer.chances[place])) for place in order)
        return LearnedAnswer(tuple(labels[place] for place in answer.chosen), ranking, answer.nearest)

    def scores(self, words: str, query_vector: np.ndarray, general: Sequence[DepartmentScore]) -> dict[str, float]:
        """What the solved cases add to the log-odds of each of our departments they know, within fixed bounds.

        query_vector: of `words`; general: the general routing's scores of them, in its order of departments.
        """
        shares = np.sqrt(softmax(np.array([score.log_odds for score in general])))
        dense = np.hstack([ROUTING_SCALE * shares, VECTOR_SCALE * query_vector])[None, :]
        answer = self._answers([prepared(words)], dense)[0]
        trust = float(np.clip((answer.nearest - TRUST_FROM) / (TRUST_FULL - TRUST_FROM), 0.0, 1.0))
        total = sum(chance for _, chance in answer.ranking) or 1.0
        gathered: dict[str, float] = {}
        for key, chance in answer.ranking:
            ids = [department_id for department_id in self.ours.get(key, ()) if department_id != EMERGENCY_ID]
            for department_id in ids:
                gathered[department_id] = gathered.get(department_id, 0.0) + chance / total / len(ids)
        even = 1.0 / max(1, len(gathered))
        return {
            department_id: trust * float(np.clip(np.log(max(share, FEWEST) / even), MOST_TAKEN, MOST_ADDED))
            for department_id, share in gathered.items()
        }


def combined(
    general: Sequence[DepartmentScore], learned: LearnedRouting | None, words: str, query_vector: np.ndarray
) -> list[DepartmentScore]:
    """The general scores moved by what the hospital's solved cases say; unchanged where nothing was learned."""
    if learned is None:
        return list(general)
    added = learned.scores(words, query_vector, general)
    return [score.moved(added.get(score.department_id, 0.0)) for score in general]


def fit(
    cases: Sequence[SolvedCase], reader: Reader, ours: Mapping[str, tuple[str, ...]] | None = None
) -> LearnedRouting:
    """Learns from cases. Raises InvalidCases where there are too few, or one department only."""
    if len(cases) < MIN_CASES:
        raise InvalidCases(f"{len(cases)} solved cases are too few to learn from; give at least {MIN_CASES}")
    texts = [prepared(case.dialogue) for case in cases]
    return _fit(cases, texts, reader.dense(texts), reader, ours or {})


def cross_validated(
    cases: Sequence[SolvedCase],
    reader: Reader,
    folds: int,
    step: Callable[[str, int, int], None] = lambda *_: None,
    seed: int = 0,
) -> list[tuple[LearnedAnswer, frozenset[str]]]:
    """For every case, the answer of a routing that had not seen it, and the departments that routing knew.

    Everything fitted (n-grams, scorers, weights, sizes) is fitted on the other folds alone.
    """
    from sklearn.model_selection import KFold

    if len(cases) < max(MIN_CASES, folds * 2):
        raise InvalidCases(
            f"{len(cases)} cases are too few for {folds} folds; give at least {max(MIN_CASES, folds * 2)}"
        )
    texts = [prepared(case.dialogue) for case in cases]
    dense = reader.dense(texts)
    found: dict[int, tuple[LearnedAnswer, frozenset[str]]] = {}
    for number, (fitted, held) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(texts)):
        step("fold", number, folds)
        routing = _fit([cases[row] for row in fitted], [texts[row] for row in fitted], dense[fitted], reader, {})
        known = frozenset(routing.features.labels)
        for row, answer in zip(held, routing._answers([texts[row] for row in held], dense[held]), strict=True):
            found[int(row)] = (answer, known)
    return [found[row] for row in range(len(cases))]


def _fit(
    cases: Sequence[SolvedCase],
    texts: Sequence[str],
    dense: np.ndarray,
    reader: Reader,
    ours: Mapping[str, tuple[str, ...]],
) -> LearnedRouting:
    labels = sorted({key for case in cases for key in case.department_keys()})
    if len(cases) < MIN_CASES // 2 or len(labels) < MIN_LABELS:
        raise InvalidCases(
            f"{len(cases)} solved cases of {len(labels)} departments are too few to learn from; "
            f"give at least {MIN_CASES} cases of {MIN_LABELS} departments"
        )
    features = CaseFeatures.fit(texts, labels)
    right = np.array([[label in case.department_keys() for label in labels] for case in cases], dtype=float)
    head = LearnedHead.fit(features.dialogues(features.words(), texts, dense), right)
    return LearnedRouting(features, head, reader, usual_spellings(cases), ours)


def our_departments(
    names: Sequence[str], departments: Mapping[str, Department], hospital: Hospital
) -> dict[str, tuple[str, ...]]:
    """For each name's key, our departments it means: by its name in the hospital's list, by a name or alias of ours,
    else by the alias it shares most character pairs with, if most of them; empty where none is near."""
    known = list(_known_names(departments, hospital))
    exact: dict[str, list[str]] = {}
    for key, department_id in known:
        exact.setdefault(key, []).append(department_id)
    return {
        key: tuple(dict.fromkeys(exact.get(key) or _nearest(key, known))) for key in dict.fromkeys(map(name_key, names))
    }


def _known_names(departments: Mapping[str, Department], hospital: Hospital) -> Iterator[tuple[str, str]]:
    for line in hospital.departments.values():
        for name in (line.name_zh, line.name_en):
            if name:
                yield name_key(name), line.id
    for department in departments.values():
        for name in department.all_names():
            yield name_key(name), department.id


ALIKE = 0.6  # share of character pairs in common (Dice) from which a name is taken for another


def _nearest(key: str, known: Sequence[tuple[str, str]]) -> list[str]:
    likeness = [(_dice(key, name), department_id) for name, department_id in known]
    best = max(likeness, default=(0.0, ""))[0]
    return [department_id for value, department_id in likeness if value == best] if best >= ALIKE else []


def _dice(one: str, other: str) -> float:
    pairs = [{text[place : place + 2] for place in range(max(1, len(text) - 1))} for text in (one, other)]
    return 2 * len(pairs[0] & pairs[1]) / (len(pairs[0]) + len(pairs[1]))
