"""The held-apart questions over the local engine and over Milvus: do they find the same, and how long does each take?

python -m tests.benchmarks.milvus_store [--uri URI] [--cases CASES.jsonl] [--most N]

Without --uri a Milvus Lite file in a temporary folder: one process in Python, for checking, not for speed. With the
address of a server (its token in DAOZHEN_MILVUS_TOKEN) the figures are that server's. The index is the one in
DAOZHEN_HOME; the copy is dropped at the end.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from rag.config import Settings, load_settings, quiet_libraries
from rag.dialogue import language_of
from rag.evidence_search import Asked, found_passages, gather_evidence
from rag.facets import PassageFilter
from rag.from_settings import embedder_for
from rag.passage_index import PassageIndex
from rag.passages import RetrievedPassage
from rag.retriever import HybridSearch
from rag.served_copy import copy_generation
from rag.served_generation import ServedGeneration
from rag.served_or_local import connected
from tests.benchmarks.questions import read_questions
from ui.ready import ensure_index

T = TypeVar("T")
DEPTH = 10


@dataclass
class Compared:
    """Counts over all questions. moved: passages that both found among the first DEPTH, at another rank."""

    questions: int = 0
    same_ranking: int = 0
    places: int = 0
    moved: int = 0
    only_one: int = 0
    largest_score_difference: float = 0.0
    same_sources: int = 0
    same_evidence: int = 0
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"search": [], "evidence": []})
    seconds_served: dict[str, list[float]] = field(default_factory=lambda: {"search": [], "evidence": []})

    def rankings(self, here: list[RetrievedPassage], there: list[RetrievedPassage]) -> None:
        ranks = {one.passage.passage_id: (rank, one.score) for rank, one in enumerate(here)}
        names = [one.passage.passage_id for one in there]
        self.places += len(here)
        self.same_ranking += names == list(ranks)
        self.only_one += len(set(ranks) - set(names))
        self.moved += sum(name in ranks and ranks[name][0] != rank for rank, name in enumerate(names))
        gaps = [abs(one.score - ranks[one.passage.passage_id][1]) for one in there if one.passage.passage_id in ranks]
        self.largest_score_difference = max([self.largest_score_difference, *gaps])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--uri", default="")
    options.add_argument("--cases", type=Path, default=Path("tests/data/answers.jsonl"))
    options.add_argument("--most", type=int, default=None)
    asked = options.parse_args()
    quiet_libraries()
    settings = load_settings()
    ensure_index(settings)
    with tempfile.TemporaryDirectory() as folder:
        uri = asked.uri or str(Path(folder) / "milvus.db")
        _compare(replace(settings, store="milvus", milvus_uri=uri, milvus_name="daozhen_benchmark"), asked)


def _compare(settings: Settings, asked: argparse.Namespace) -> None:
    store, index, embedder = connected(settings), PassageIndex.open(settings.index_dir), embedder_for(settings)
    report = copy_generation(index, store)
    print(f"{report.passages} passages copied in {report.seconds:.0f} s; alternating, one question at a time")
    served = ServedGeneration.open(store, report.generation, settings.index_dir)
    compared = Compared()
    try:
        for question in read_questions(asked.cases)[: asked.most]:
            _ask(question.text, HybridSearch(index, embedder), HybridSearch(served, embedder), compared)
    finally:
        store.drop(report.generation)
        store.close()
    _print(compared)


def _ask(question: str, local: HybridSearch, milvus: HybridSearch, compared: Compared) -> None:
    language = language_of(question)
    asked, only = Asked.alone(question, language), PassageFilter(language)
    compared.questions += 1
    here = _timed(compared.seconds["search"], lambda: local.search(question, DEPTH, only))
    there = _timed(compared.seconds_served["search"], lambda: milvus.search(question, DEPTH, only))
    compared.rankings(here, there)
    shown = [[one.passage for one in found_passages(asked, side.current(), language, 6)] for side in (local, milvus)]
    compared.same_sources += shown[0] == shown[1]
    evidence = _timed(compared.seconds["evidence"], lambda: gather_evidence(asked, local.current(), 6))
    served = _timed(compared.seconds_served["evidence"], lambda: gather_evidence(asked, milvus.current(), 6))
    found = [None if one is None else ([p.passage for p in one.passages], one.guide) for one in (evidence, served)]
    compared.same_evidence += found[0] == found[1]


def _timed(seconds: list[float], work: Callable[[], T]) -> T:
    begun = time.perf_counter()
    done = work()
    seconds.append(time.perf_counter() - begun)
    return done


def _print(compared: Compared) -> None:
    print(f"questions: {compared.questions}")
    print(f"first {DEPTH} the same, in the same order: {compared.same_ranking}/{compared.questions}")
    print(f"of {compared.places} places: {compared.moved} at another rank, {compared.only_one} found by one side only")
    print(f"largest difference of a score: {compared.largest_score_difference:.4f}")
    print(f"passages by source the same: {compared.same_sources}/{compared.questions}")
    print(f"evidence of the answer the same: {compared.same_evidence}/{compared.questions}")
    for what in compared.seconds:
        here, there = (
            statistics.quantiles([1000 * value for value in side[what]], n=100, method="inclusive")
            for side in (compared.seconds, compared.seconds_served)
        )
        print(
            f"{what}: local p50 {here[49]:.1f} ms, p99 {here[98]:.1f} ms; Milvus p50 {there[49]:.1f}, p99 {there[98]:.1f}"
        )


if __name__ == "__main__":
    main()
