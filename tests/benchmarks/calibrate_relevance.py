"""Fits rag/models/relevance.json: when do the passages found answer the question?

    python -m tests.benchmarks.calibrate_relevance [--write]

Fitted on tests/data/answers_dev*.jsonl by logistic regression. The figures printed are nested: of each of five folds
neither the weights nor the threshold have seen a question. The questions that are reported (tests/data/answers.jsonl)
are not read. A question without an answer in the guides, and one whose first guide is not a right one, count as not
answered by what was found.
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
from rag.config import load_settings, quiet_libraries
from rag.dialogue import language_of
from rag.evidence_search import Asked, found_passages, mended, relevance_features
from rag.from_settings import open_search
from rag.relevance import WEIGHTS_FILE, RelevanceFeatures
from rag.retriever import HybridSearch
from tests.benchmarks.questions import read_questions
from ui.ready import ensure_index

QUESTIONS = [Path(f"tests/data/answers_dev{kind}.jsonl") for kind in ("", "_hard", "_plain")]
FOLDS = 5
NAMES = [field.name for field in fields(RelevanceFeatures)]
STRENGTH = 1.0  # inverse regularisation of standardised features; chosen among .1, .3 and 1 by the nested figures
ABSTAINED = 0.95  # of the unanswerable questions of each language: new questions are refused less often than these


@dataclass
class Sample:
    """Questions with their features. right: the first guide found is a right one; refused: questions refused by kind."""

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
    told = np.zeros(len(x), dtype=bool)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=1).split(x, right):
        inner = thresholds_of(model, x[train], right[train], answerable[train], chinese[train], sample.refused, 0.8)
        chance = model.fit(x[train], right[train]).predict_proba(x[test])[:, 1]
        told[test] = chance >= np.where(chinese[test], inner["zh"], inner["en"])
    for language, rows in (("zh", chinese), ("en", ~chinese)):
        refused = sample.refused[language == "zh", False]
        others = (~answerable[rows]).sum() + refused
        print(
            f"{language}: {rows.sum()} questions, {refused} more and {sample.refused[language == 'zh', True]} answerable refused by kind; "
            f"right guide first for {right[rows][answerable[rows]].mean():.3f}; answers "
            f"{told[rows][answerable[rows]].mean():.3f} of the answerable, rightly {right[rows][answerable[rows] & told[rows]].mean():.3f}; abstains on "
            f"{(refused + (~told[rows][~answerable[rows]]).sum()) / others:.3f} of the others"
        )
    threshold = thresholds_of(model, x, right, answerable, chinese, sample.refused, 1.0)
    print("thresholds:", ", ".join(f"{language} {at:.3f}" for language, at in threshold.items()))
    if arguments.write:
        model.fit(x, right)
        WEIGHTS_FILE.write_text(json.dumps(written(model, threshold), indent=1) + "\n", encoding="utf-8")
        print("written:", WEIGHTS_FILE.name)


def thresholds_of(
    model: Pipeline,
    x: np.ndarray,
    right: np.ndarray,
    answerable: np.ndarray,
    chinese: np.ndarray,
    refused: Counter[tuple[bool, bool]],
    share: float,
) -> dict[str, float]:
    """By language, from cross-validated chances. share: of all questions that these are, so of those refused by kind too."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    chance = cross_val_predict(model, x, right, cv=folds, method="predict_proba")[:, 1]
    return {
        language: best_threshold(chance[rows], answerable[rows], share * refused[language == "zh", False])
        for language, rows in (("zh", chinese), ("en", ~chinese))
    }


def read_sample(search: HybridSearch, k: int) -> Sample:
    sample = Sample()
    for question in (question for path in QUESTIONS for question in read_questions(path)):
        language = language_of(question.text)
        if kind_not_answered(question.text):
            sample.refused[language == "zh", question.answerable] += 1
            continue
        asked = mended(Asked.alone(question.text, language), search)
        found = found_passages(asked, search, language, k)
        features = asdict(relevance_features(asked, search, found, language)) if found else dict.fromkeys(NAMES, 0.0)
        first = next((entry.passage.source_id for entry in found[:k] if entry.passage.kind == "guide"), "")
        sample.features.append(list(features.values()))
        sample.chinese.append(language == "zh")
        sample.right.append(first.removeprefix("guidelines/") in question.guides)
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


def best_threshold(chance: np.ndarray, answerable: np.ndarray, refused: float) -> float:
    """The lowest threshold at which enough of the unanswerable questions, those refused by kind among them, are refused."""
    others = (~answerable).sum() + refused
    for threshold in np.unique(np.round(chance, 3)):
        if (refused + (chance[~answerable] < threshold).sum()) / others >= ABSTAINED:
            return float(threshold)
    return 1.0


if __name__ == "__main__":
    main()
