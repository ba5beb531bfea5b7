"""How well the embedder finds the right answer, beside BM25, and how fast.

    python -m tests.benchmarks.embedder_retrieval --data DIR [--embedder FOLDER_OR_ID] [--fusion-k 60]

cMedQA (Chinese): questions with a right answer; the corpus is every distinct answer. MedQuAD (English): the questions
about conditions that `split_of` keeps for testing, by SHA-256 of the lower-cased focus; the corpus is their answers.
No question of either was trained on.
"""

from __future__ import annotations

import argparse
import re
import time
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finetune.embedder_pairs import medquad, rows_of, split_of
from finetune.embedder_scores import ranking_scores
from rag.embedder import DEFAULT_FOLDER, Embedder, load_embedder

_RUNS = re.compile(r"[\u4e00-\u9fff]+|[a-z0-9]+")


@dataclass(frozen=True)
class RetrievalTask:
    """right: per question the numbers of its right passages."""

    name: str
    questions: list[str]
    passages: list[str]
    right: list[set[int]]

    @classmethod
    def of(cls, name: str, pairs: Sequence[tuple[str, str]], corpus: Sequence[str]) -> RetrievalTask:
        passages = list(dict.fromkeys(corpus))
        place = {passage: number for number, passage in enumerate(passages)}
        right: dict[str, set[int]] = {}
        for question, passage in pairs:
            right.setdefault(question, set()).add(place[passage])
        return cls(name, list(right), passages, list(right.values()))


def cmedqa_task(data_dir: Path) -> RetrievalTask:
    rows = list(rows_of(data_dir / "retrieval" / "cmedqa_dev.jsonl"))
    pairs = [(row["question"], row["answer"]) for row in rows if int(row["label"]) == 1]
    return RetrievalTask.of("cMedQA zh", pairs, [row["answer"] for row in rows])


def medquad_task(data_dir: Path) -> RetrievalTask:
    held_out = [p for p in medquad(data_dir / "knowledge" / "medquad.jsonl.xz") if split_of(p.key) == "test"]
    held_out = [pair for pair in held_out if pair.positive]
    pairs = [(pair.anchor, pair.positive) for pair in held_out]
    return RetrievalTask.of("MedQuAD en", pairs, [pair.positive for pair in held_out])


def lexical_terms(text: str) -> list[str]:
    """Chinese characters and their bigrams, Latin words and numbers."""
    terms: list[str] = []
    for run in _RUNS.findall(unicodedata.normalize("NFKC", text).lower()):
        chinese = run[0] >= "\u4e00"
        terms += [*run, *(run[i : i + 2] for i in range(len(run) - 1))] if chinese else [run]
    return terms


def bm25_similarity(task: RetrievalTask) -> np.ndarray:
    """(questions, passages) BM25 scores."""
    import bm25s

    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(term, len(numbers)) for term in lexical_terms(text)] for text in task.passages]
    index = bm25s.BM25()
    index.index((rows, numbers), show_progress=False)
    similarity = np.zeros((len(task.questions), len(task.passages)), dtype=np.float32)
    for row, question in enumerate(task.questions):
        known = [numbers[term] for term in lexical_terms(question) if term in numbers]
        if known:
            similarity[row] = index.get_scores_from_ids(known)
    return similarity


def fused(similarities: Sequence[np.ndarray], k: int) -> np.ndarray:
    """Reciprocal rank fusion: the sum of 1 / (k + rank), rank 1 the best."""
    ranks = [(-similarity).argsort(axis=1, kind="stable").argsort(axis=1) + 1 for similarity in similarities]
    return np.sum([1 / (k + rank) for rank in ranks], axis=0)


def query_p50_ms(embedder: Embedder, questions: Sequence[str], rounds: int = 500) -> float:
    """Median milliseconds for one query alone; the embedder keeps queries on one thread."""
    times = []
    for number in range(rounds):
        started = time.perf_counter()
        embedder.encode_queries([questions[number % len(questions)]])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000


def report(task: RetrievalTask, embedder: Embedder, fusion_k: int) -> None:
    def line(name: str, similarity: np.ndarray, right: Collection[set[int]] = task.right) -> None:
        scores = ranking_scores(similarity, right)
        print(f"| {name} | {scores['ndcg@10']:.3f} | {scores['recall@10']:.3f} | {scores['mrr@10']:.3f} |")

    started = time.perf_counter()
    passages = embedder.encode_passages(task.passages)
    seconds = time.perf_counter() - started
    lexical, dense = bm25_similarity(task), embedder.encode_queries(task.questions) @ passages.T
    print(f"\n{task.name}: {len(task.questions)} questions, {len(task.passages)} passages\n")
    print("| method | nDCG@10 | recall@10 | MRR@10 |\n|---|---|---|---|")
    line("BM25 (characters + bigrams, words)", lexical)
    line("dense", dense)
    line(f"RRF of both, k = {fusion_k}", fused([lexical, dense], fusion_k))
    print(
        f"\n{len(task.passages) / seconds:.0f} passages/s; one query {query_p50_ms(embedder, task.questions):.3f} ms (p50)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder holding retrieval/ and knowledge/")
    parser.add_argument("--embedder", default=None, help="model folder; default: the shipped one")
    parser.add_argument("--fusion-k", type=int, default=10)
    arguments = parser.parse_args()
    embedder = load_embedder(arguments.embedder)
    print(f"{embedder.name}, {embedder.dimension} numbers a text, fingerprint {embedder.fingerprint}")
    folder = Path(arguments.embedder) if arguments.embedder else DEFAULT_FOLDER
    if folder.is_dir():
        print(f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.2f} MB")
    for task in (cmedqa_task(arguments.data), medquad_task(arguments.data)):
        report(task, embedder, arguments.fusion_k)


if __name__ == "__main__":
    main()
