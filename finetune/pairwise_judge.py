"""Which of two answers is better, by any chat model, asked twice with the answers' places swapped.

The four criteria are those of CMB-Clin (Wang et al., CMB, 2023): fluency, relevance, completeness, medical proficiency. A verdict
counts only where both orders agree; a judge that goes by place is thereby seen and not believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knowledge.errors import WriterUnavailable
from rag.evaluation_retrieval import interval

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CRITERIA = {
    "fluency": "fluent and easy to read for a patient",
    "relevance": "to the point of what was asked",
    "completeness": "complete: nothing that matters is missing",
    "proficiency": "medically right and safe",
}
PROMPT = """You compare two answers to a patient. Judge four things apart from each other:
{criteria}

The patient: {question}

A good answer, for comparison: {reference}

Answer 1: {first}

Answer 2: {second}

Write exactly four lines, each the name of the criterion, a colon, and 1, 2 or tie."""
_VERDICT = re.compile(r"^\W*(\w+)\W*[:：]\W*(1|2|tie)\b", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Contest:
    """One question with the base's and the tuned model's answer, and a reference."""

    question: str
    reference: str
    base: str
    tuned: str


def judged(
    contests: Sequence[Contest], judge: BaseChatModel, step: Callable[[str, int, int], object] = lambda *_: None
) -> dict[str, Any]:
    """By criterion: the share won by the tuned model less the share lost, with its interval; how often the orders agreed.

    Raises WriterUnavailable where the judge fails or never gives a readable verdict.
    """
    import numpy as np

    points: dict[str, list[float]] = {name: [] for name in CRITERIA}
    agreed = read = 0
    for number, contest in enumerate(contests, 1):
        straight = _verdicts(judge, contest, contest.base, contest.tuned)
        swapped = _verdicts(judge, contest, contest.tuned, contest.base)
        for name in CRITERIA:
            if name not in straight or name not in swapped:
                continue
            read += 1
            first, second = straight[name], -swapped[name]
            agreed += first == second
            points[name].append(float(first) if first == second else 0.0)
        step("judge", number, len(contests))
    if contests and not read:
        raise WriterUnavailable("the judge gave no readable verdict; take a stronger model")
    return {
        "criteria": {
            name: {
                "tuned_won_less_lost": round(float(np.mean(row)), 4),
                "interval": list(interval(np.array(row))),
                "rows": len(row),
            }
            for name, row in points.items()
            if row
        },
        "orders_agree": round(agreed / max(read, 1), 4),
        "unreadable": len(contests) * len(CRITERIA) - read,
    }


def _verdicts(judge: BaseChatModel, contest: Contest, first: str, second: str) -> dict[str, int]:
    """By criterion 1 where the second answer is better, -1 where the first is, 0 for a tie."""
    criteria = "\n".join(f"- {name}: {meaning}" for name, meaning in CRITERIA.items())
    prompt = PROMPT.format(
        criteria=criteria, question=contest.question, reference=contest.reference, first=first, second=second
    )
    try:
        message = judge.invoke(prompt)
    except Exception as fault:  # whatever a model or its server raises
        raise WriterUnavailable(f"the judge failed ({type(fault).__name__})") from None
    text = message.text if isinstance(message.text, str) else str(message.content)
    value = {"1": -1, "2": 1, "tie": 0}
    return {name.lower(): value[won.lower()] for name, won in _VERDICT.findall(text) if name.lower() in CRITERIA}
