"""How well departments are chosen: predicted sets against right sets, before any emergency override."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from knowledge.departments import EMERGENCY_ID, Department
from knowledge.hospital import Hospital
from rag.case_features import Reader, prepared
from rag.intervals import bootstrap
from rag.learned_routing import LearnedAnswer, our_departments
from rag.solved_cases import SolvedCase, name_key, usual_spellings

SCORED = "the routing head, before the emergency override"
CONFUSIONS = 15
METRICS = ("exact_set", "micro_f1", "top1_in_set", "top3_recall", "ceiling")


@dataclass(frozen=True)
class Outcome:
    """All by key. right: the case's departments; given: the predicted set; ranking: best first; space: what could be given."""

    right: frozenset[str]
    given: frozenset[str]
    ranking: tuple[str, ...]
    space: frozenset[str]


def learned_outcomes(
    cases: Sequence[SolvedCase], answers: Sequence[tuple[LearnedAnswer, frozenset[str]]]
) -> list[Outcome]:
    """Label space: the case's candidates together with the departments seen in the solved cases."""
    return [
        Outcome(
            case.department_keys(),
            frozenset(answer.departments),
            tuple(key for key, _ in answer.ranking),
            known | frozenset(map(name_key, case.candidates)),
        )
        for case, (answer, known) in zip(cases, answers, strict=True)
    ]


def general_outcomes(
    cases: Sequence[SolvedCase], reader: Reader, departments: Mapping[str, Department], hospital: Hospital
) -> tuple[list[Outcome], list[str]]:
    """Without solved cases: the general routing's first department as a set of one; and the names no department of
    ours answers to. Label space: the candidates, or the project's departments where a case gives none."""
    names = dict.fromkeys(name for case in cases for name in (*case.candidates, *case.departments))
    ours = our_departments(list(names), departments, hospital)
    places = {department_id: place for place, department_id in enumerate(reader.routing.department_ids)}
    project = frozenset(places) - {EMERGENCY_ID}
    outcomes = []
    for case in cases:
        log_odds = reader.general(prepared(case.dialogue))
        keys = list(dict.fromkeys(map(name_key, case.candidates)))
        if keys:
            meant = {key: [places[found] for found in ours[key] if found in places] for key in keys}
            right = case.department_keys()
        else:
            meant = {department_id: [places[department_id]] for department_id in project}
            right = frozenset(_as_ours(key, ours) for key in case.department_keys())
        scores = {key: max(log_odds[found] for found in rows) for key, rows in meant.items() if rows}
        ranking = tuple(sorted(scores, key=lambda key: (-scores[key], key)))
        outcomes.append(Outcome(right, frozenset(ranking[:1]), ranking, frozenset(meant)))
    return outcomes, [name for name in names if not ours[name_key(name)]]


def _as_ours(key: str, ours: Mapping[str, tuple[str, ...]]) -> str:
    """The first of our departments a name means, or the name itself, which then lies outside the label space."""
    return next(iter(ours.get(key, ())), key)


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """n and the five measures, their 95 % bootstrap intervals, and the commonest confusions.

    exact_set: the set is right as a whole; micro_f1: over all departments of all cases; top1_in_set: the first one is
    right; top3_recall: share of a case's departments among the first three; ceiling: all lie in the label space.
    """
    counts = {name: np.array([_count(name, outcome) for outcome in outcomes], dtype=float) for name in METRICS}
    values: dict[str, Any] = {"n": len(outcomes)}
    values |= {name: round(float(rows[:, 0].sum() / max(rows[:, 1].sum(), 1e-12)), 4) for name, rows in counts.items()}
    intervals = {name: [round(end, 4) for end in bootstrap(rows[:, 0], rows[:, 1])] for name, rows in counts.items()}
    return {**values, "intervals": intervals, "confusions": confusions(outcomes), "scored": SCORED}


def _count(name: str, outcome: Outcome) -> tuple[float, float]:
    """What a case adds above and below the line of a measure."""
    right, given, ranking = outcome.right, outcome.given, outcome.ranking
    if name == "exact_set":
        return float(right == given), 1.0
    if name == "micro_f1":
        return 2.0 * len(right & given), float(len(right) + len(given))
    if name == "top1_in_set":
        return float(bool(ranking) and ranking[0] in right), 1.0
    if name == "top3_recall":
        return len(right & set(ranking[:3])) / len(right), 1.0
    return float(right <= outcome.space), 1.0


def confusions(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The commonest pairs of a right department and the wrong first one given instead, with how many cases have it."""
    pairs: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        if outcome.ranking and outcome.ranking[0] not in outcome.right:
            pairs.update((right, outcome.ranking[0]) for right in sorted(outcome.right))
    return [{"right": right, "given": given, "cases": count} for (right, given), count in pairs.most_common(CONFUSIONS)]


def spelled(values: dict[str, Any], cases: Sequence[SolvedCase]) -> dict[str, Any]:
    """The figures with departments under the spelling the cases use most."""
    names = usual_spellings(cases)
    rows = [
        {**row, **{side: names.get(row[side], row[side]) for side in ("right", "given")}}
        for row in values["confusions"]
    ]
    return {**values, "confusions": rows}
