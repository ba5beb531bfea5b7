"""Fits rag/models/relevance.json: when do the passages found answer the question?

    python -m tests.benchmarks.calibrate_relevance [--write]

Fitted on tests/data/answers_dev.jsonl by logistic regression; cross-validated figures are printed. The questions that are
reported (tests/data/answers.jsonl) are not read. A question without an answer in the guides, and one whose first source
is not a right guide, count as not answered by what was found.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from rag.answering import Asked, found_passages, kind_not_answered, relevance_features
from rag.assistant import language_of, load_assistant
from rag.config import load_settings, quiet_libraries
from rag.relevance import WEIGHTS_FILE, RelevanceFeatures
from tests.benchmarks.questions import read_questions
from ui.ready import ensure_index

NAMES = [field.name for field in fields(RelevanceFeatures)]
ABSTAINED = 0.94  # of the unanswerable; the aim is .90 on questions never seen
STRENGTH = 1.0  # inverse regularisation; chosen among .3, 1 and 3 by the cross-validated figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {WEIGHTS_FILE.name}")
    arguments = parser.parse_args()
    quiet_libraries()
    settings = load_settings()
    ensure_index(settings)
    search = load_assistant(settings).search
    written = {"weights": {}, "threshold": {}, "fitted_on": "tests/data/answers_dev.jsonl"}
    for language in ("zh", "en"):
        rows, answers, answerable = [], [], []
        refused = {True: 0, False: 0}
        for question in read_questions(Path("tests/data/answers_dev.jsonl")):
            if language_of(question.text) != language:
                continue
            if kind_not_answered(question.text):
                refused[question.answerable] += 1
                continue
            asked = Asked.alone(question.text, language)
            found = found_passages(asked, search, language, settings.passages_per_answer)
            features = relevance_features(asked, search, found, language) if found else None
            rows.append([value for value in asdict(features).values()] if features else [0.0] * len(NAMES))
            top = {entry.passage.source_id.removeprefix("guidelines/") for entry in found[:5]}
            answers.append(bool(top & set(question.guides)))
            answerable.append(question.answerable)
        x, y = np.array(rows), np.array(answers)
        model = LogisticRegression(C=STRENGTH, max_iter=1000)
        chance = cross_val_predict(
            model, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=1), method="predict_proba"
        )[:, 1]
        threshold = best_threshold(chance, np.array(answerable), refused[False])
        told = chance >= threshold
        print(
            f"{language}: {len(y)} questions, right guide among the first five sources of answerable ones "
            f"{y[np.array(answerable)].mean():.3f}; at {threshold:.2f} answers {told[np.array(answerable)].mean():.3f} of the "
            f"answerable, abstains on {1 - told[~np.array(answerable)].mean():.3f} of the others"
        )
        model.fit(x, y)
        written["weights"][language] = {"intercept": round(float(model.intercept_[0]), 4)} | {
            name: round(float(weight), 4) for name, weight in zip(NAMES, model.coef_[0], strict=True)
        }
        written["threshold"][language] = round(float(threshold), 3)
        print(f"    refused by kind before: {refused[False]} unanswerable, {refused[True]} answerable")
        print("   ", written["weights"][language])
    if arguments.write:
        WEIGHTS_FILE.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        print("written:", WEIGHTS_FILE)


def best_threshold(chance: np.ndarray, answerable: np.ndarray, refused: int) -> float:
    """The lowest threshold at which enough of the unanswerable questions, those refused by kind among them, are refused."""
    others = (~answerable).sum() + refused
    for threshold in np.unique(np.round(chance, 3)):
        if (refused + (chance[~answerable] < threshold).sum()) / others >= ABSTAINED:
            return float(threshold)
    return 1.0


if __name__ == "__main__":
    main()
