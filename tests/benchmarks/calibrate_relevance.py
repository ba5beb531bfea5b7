"""Fits rag/models/relevance.json: when do the passages found answer the question?

    python -m tests.benchmarks.calibrate_relevance [--write]

Fitted on tests/data/answers_dev.jsonl and answers_dev_hard.jsonl by logistic regression; cross-validated figures are printed. The questions that are
reported (tests/data/answers.jsonl) are not read. A question without an answer in the guides, and one whose first source
is not a right guide, count as not answered by what was found.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from rag.answering import kind_not_answered
from rag.assistant import open_search
from rag.config import load_settings, quiet_libraries
from rag.dialogue import language_of
from rag.evidence_search import Asked, found_passages, relevance_features
from rag.relevance import WEIGHTS_FILE, RelevanceFeatures
from rag.retriever import HybridSearch
from tests.benchmarks.questions import read_questions
from ui.ready import ensure_index

QUESTIONS = [Path("tests/data/answers_dev.jsonl"), Path("tests/data/answers_dev_hard.jsonl")]
NAMES = [field.name for field in fields(RelevanceFeatures)]
STRENGTH = (
    0.3  # inverse regularisation of standardised features; chosen among .3, 1, 3 and 10 by the cross-validated figures
)
ABSTAINED = 0.94  # of the unanswerable questions of each language


@dataclass
class Sample:
    """Questions with their features. right: a right guide is among the sources found; refused: questions refused by kind."""

    features: list[list[float]] = field(default_factory=list)
    chinese: list[bool] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    answerable: list[bool] = field(default_factory=list)
    refused: Counter[tuple[bool, bool]] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {WEIGHTS_FILE.name}")
    arguments = parser.parse_args()
    quiet_libraries()
    settings = load_settings()
    ensure_index(settings)
    sample = read_sample(open_search(settings).current(), settings.passages_per_answer)
    x = np.column_stack([np.array(sample.features), sample.chinese])
    right, answerable, chinese = (np.array(part) for part in (sample.right, sample.answerable, sample.chinese))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=2000))
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    chance = cross_val_predict(model, x, right, cv=folds, method="predict_proba")[:, 1]
    threshold = {}
    for language, rows in (("zh", chinese), ("en", ~chinese)):
        refused = sample.refused[language == "zh", False]
        at = threshold[language] = best_threshold(chance[rows], answerable[rows], refused)
        told = chance[rows] >= at
        others = (~answerable[rows]).sum() + refused
        print(
            f"{language}: {rows.sum()} questions, {refused} more and {sample.refused[language == 'zh', True]} answerable refused by kind; "
            f"right guide found for {right[rows][answerable[rows]].mean():.3f}; at {at:.3f} answers "
            f"{told[answerable[rows]].mean():.3f} of the answerable, abstains on "
            f"{(refused + (~told[~answerable[rows]]).sum()) / others:.3f} of the others"
        )
    if arguments.write:
        model.fit(x, right)
        WEIGHTS_FILE.write_text(json.dumps(written(model, threshold), indent=1) + "\n", encoding="utf-8")
        print("written:", WEIGHTS_FILE.name)


def read_sample(search: HybridSearch, k: int) -> Sample:
    sample = Sample()
    for question in (question for path in QUESTIONS for question in read_questions(path)):
        language = language_of(question.text)
        if kind_not_answered(question.text):
            sample.refused[language == "zh", question.answerable] += 1
            continue
        asked = Asked.alone(question.text, language)
        found = found_passages(asked, search, language, k)
        features = asdict(relevance_features(asked, search, found, language)) if found else dict.fromkeys(NAMES, 0.0)
        sources = {entry.passage.source_id.removeprefix("guidelines/") for entry in found[:5]}
        sample.features.append(list(features.values()))
        sample.chinese.append(language == "zh")
        sample.right.append(bool(sources & set(question.guides)))
        sample.answerable.append(question.answerable)
    return sample


def written(model: Pipeline, threshold: dict[str, float]) -> dict[str, object]:
    """The model with its standardisation folded into the weights."""
    scaler, regression = model.steps[0][1], model.steps[1][1]
    weights = regression.coef_[0] / scaler.scale_
    intercept = float(regression.intercept_[0] - (weights * scaler.mean_).sum())
    rounded = {name: round(float(weight), 4) for name, weight in zip((*NAMES, "chinese"), weights, strict=True)}
    return {
        "weights": {"intercept": round(intercept, 4), **rounded},
        "threshold": {language: round(at, 3) for language, at in threshold.items()},
        "fitted_on": ", ".join(map(str, QUESTIONS)),
    }


def best_threshold(chance: np.ndarray, answerable: np.ndarray, refused: int) -> float:
    """The lowest threshold at which enough of the unanswerable questions, those refused by kind among them, are refused."""
    others = (~answerable).sum() + refused
    for threshold in np.unique(np.round(chance, 3)):
        if (refused + (chance[~answerable] < threshold).sum()) / others >= ABSTAINED:
            return float(threshold)
    return 1.0


if __name__ == "__main__":
    main()
