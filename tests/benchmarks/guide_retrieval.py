"""Recall@5 of the right guide, by language: is a passage of a right guide among the first five found?

python -m tests.benchmarks.guide_retrieval [CASES.jsonl]
"""

from __future__ import annotations

import sys
from pathlib import Path

from rag.config import load_settings, quiet_libraries
from rag.dialogue import language_of
from rag.from_settings import open_search
from rag.intervals import clopper_pearson
from rag.retriever import PassageFilter
from tests.benchmarks.questions import read_questions
from ui.ready import ensure_index

K = 5


def main() -> None:
    quiet_libraries()
    settings = load_settings()
    ensure_index(settings)
    search = open_search(settings)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("tests/data/answers.jsonl")
    questions = [question for question in read_questions(path) if question.answerable]
    for language in ("zh", "en"):
        asked = [question for question in questions if language_of(question.text) == language]
        missed = []
        for question in asked:
            found = search.search(question.text, K, PassageFilter(language=language))
            if not {f"guidelines/{guide}" for guide in question.guides} & {entry.passage.source_id for entry in found}:
                missed.append(question)
        hits = len(asked) - len(missed)
        low, high = clopper_pearson(hits, len(asked))
        print(f"{language}: {hits}/{len(asked)} = {hits / len(asked):.3f} ({low:.3f}-{high:.3f})")
        for question in missed:
            print("   missed:", question.text, question.guides)


if __name__ == "__main__":
    main()
