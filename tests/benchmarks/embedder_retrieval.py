"""How well embedders find the right answer, beside BM25 and fused with it, how fast they are and how large.

    python -m tests.benchmarks.embedder_retrieval --data DIR [--embedder FOLDER …] [--chart FILE.png] [--json FILE]
        [--only SET …] [--measured FILE …] [--passages N]

cMedQA (Chinese): questions with a right answer; the corpus is every distinct answer. MedQuAD (English): the questions
about conditions that `split_of` keeps for testing, by SHA-256 of the lower-cased focus; the corpus is their answers;
once as they are, once with the condition's name taken out of the answers, once out of the questions. No question of
either was trained on. Speeds: the best of several runs, passages of 200 tokens on two threads, queries on one. Figures written by --json, on
another machine too, join the tables and the chart by --measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.embedder_pairs import TextPair, medquad, rows_of, split_of, without_term
from rag.embedder import DEFAULT_FOLDER, Embedder, load_embedder
from rag.evaluation_retrieval import Rankings, RetrievalSet, rank, report
from rag.onnx_embedder import OnnxEmbedder, open_graph
from rag.ranking_scores import METRICS, best_rows, question_scores

SPEED_ROUNDS = 7
PASSAGE_TOKENS, PASSAGES, PASSAGE_THREADS = 200, 32, 2
MASKED = "MedQuAD, unnamed in questions"


def retrieval_set(name: str, pairs: Sequence[tuple[str, str]], corpus: Sequence[str]) -> RetrievalSet:
    passages = list(dict.fromkeys(corpus))
    place = {passage: number for number, passage in enumerate(passages)}
    right: dict[str, dict[int, float]] = {}
    for question, passage in pairs:
        right.setdefault(question, {})[place[passage]] = 1.0
    return RetrievalSet(name, list(right), passages, list(right.values()))


def cmedqa(data_dir: Path) -> RetrievalSet:
    rows = list(rows_of(data_dir / "retrieval" / "cmedqa_dev.jsonl"))
    pairs = [(row["question"], row["answer"]) for row in rows if int(row["label"]) == 1]
    return retrieval_set("cMedQA", pairs, [row["answer"] for row in rows])


def medquad_sets(data_dir: Path) -> list[RetrievalSet]:
    """As they are; the condition unnamed in the answers; the condition unnamed in the questions."""
    held_out = [
        pair
        for pair in medquad(data_dir / "knowledge" / "medquad.jsonl.xz")
        if split_of(pair.key) == "test" and pair.positive
    ]

    def variant(name: str, question: Any, answer: Any) -> RetrievalSet:
        pairs = [(question(pair), answer(pair)) for pair in held_out]
        return retrieval_set(name, pairs, [passage for _, passage in pairs])

    def asked(pair: TextPair) -> str:
        return pair.anchor

    def answered(pair: TextPair) -> str:
        return pair.positive

    return [
        variant("MedQuAD", asked, answered),
        variant("MedQuAD, unnamed in answers", asked, lambda pair: without_term(pair.positive, pair.key)),
        variant(MASKED, lambda pair: without_term(pair.anchor, pair.key), answered),
    ]


def cut(data: RetrievalSet, passages: int) -> RetrievalSet:
    """The questions answered by the first passages, and those alone: to try the script, not to quote."""
    kept = [
        (question, {row: gain for row, gain in right.items() if row < passages})
        for question, right in zip(data.questions, data.right, strict=True)
        if min(right) < passages
    ]
    questions, right = zip(*kept, strict=True)
    return RetrievalSet(data.name, questions, data.passages[:passages], right)


def plain_bm25(data: RetrievalSet) -> list[list[int]]:
    """Another BM25 to be better than: bm25s with its own settings over characters and words, without stop words."""
    import bm25s

    from rag.words import tokens_of

    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(token, len(numbers)) for token in tokens_of(text)] for text in data.passages]
    index = bm25s.BM25()
    index.index((rows, numbers), show_progress=False)
    rankings = []
    for question in data.questions:
        known = [numbers[token] for token in tokens_of(question) if token in numbers]
        scores = index.get_scores_from_ids(known) if known else np.zeros(len(rows))
        rankings.append(best_rows(np.asarray(scores), least=0.0))
    return rankings


def better_bm25(data: RetrievalSet, rankings: Rankings) -> Rankings:
    """The rankings with the better of both BM25s."""
    other = plain_bm25(data)
    ours, theirs = (question_scores(some, data.right)[METRICS[0]].mean() for some in (rankings.bm25, other))
    return rankings if ours >= theirs else Rankings(other, rankings.dense)


def passage_of(embedder: Embedder, tokens: int) -> str:
    """A Chinese text of about so many tokens."""
    text = "患者三天前出现咳嗽发热伴有胸痛夜间加重服药后略有好转现在仍感到乏力食欲不好睡眠差。"
    tokenizer = getattr(embedder, "tokenizer", None)
    each = len(tokenizer.encode(text).ids) - 1 if tokenizer else len(text) // 2
    return text * max(1, round(tokens / each))


def speeds(embedder: Embedder, questions: Sequence[str]) -> dict[str, float]:
    """passages/s of 200 tokens on two threads and the median query in ms: the best of SPEED_ROUNDS, other work being there."""
    if isinstance(embedder, OnnxEmbedder):  # by default its passages take every core, and machines differ in those
        vars(embedder)["_passage_session"] = open_graph(embedder.folder, PASSAGE_THREADS)
    passages = [f"{number} {passage_of(embedder, PASSAGE_TOKENS)}" for number in range(PASSAGES)]
    fastest, medians = np.inf, []
    for _ in range(SPEED_ROUNDS):
        started = time.perf_counter()
        embedder.encode_passages(passages)
        fastest = min(fastest, time.perf_counter() - started)
        times = []
        for question in questions[:60]:
            started = time.perf_counter()
            embedder.encode_queries([question])
            times.append(time.perf_counter() - started)
        medians.append(float(np.median(times)) * 1000)
    return {"passages_per_second": round(PASSAGES / fastest, 1), "query_p50_ms": round(min(medians), 2)}


def megabytes(folder: Path) -> float:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 2)


def measured(folder: Path, sets: Sequence[RetrievalSet]) -> dict[str, Any]:
    embedder = load_embedder(folder)
    figures: dict[str, Any] = {"name": folder.name, "megabytes": megabytes(folder)}
    for data in sets:
        figures[data.name] = report(data, better_bm25(data, rank(data, embedder)))
    return {**figures, **speeds(embedder, sets[0].questions)}


def print_tables(candidates: Sequence[dict[str, Any]], sets: Sequence[RetrievalSet]) -> None:
    for data in sets:
        print(f"\n{data.name}: {len(data.questions):,} questions, {len(data.passages):,} passages\n")
        print("| method | nDCG@10 (95 %) | over BM25 (paired 95 %) | recall@10 | MRR@10 |\n|---|---|---|---|---|")
        first = candidates[0][data.name]["bm25"]
        print(f"| BM25 | {cell(first)} | | {first['recall@10']:.3f} | {first['mrr@10']:.3f} |")
        for figures in candidates:
            for method in ("dense", "hybrid"):
                values, gain = figures[data.name][method], figures[data.name]["over_bm25"][method]
                share = gain["ndcg@10"] / figures[data.name]["bm25"]["ndcg@10"]
                name = figures["name"] + (" + BM25" if method == "hybrid" else "")
                print(
                    f"| {name} | {cell(values)} | {share:+.0%} ({gain['intervals']['ndcg@10'][0]:+.3f} "
                    f"{gain['intervals']['ndcg@10'][1]:+.3f}) | {values['recall@10']:.3f} | {values['mrr@10']:.3f} |"
                )
    print("\n| embedder | MB | passages/s | query p50, ms |\n|---|---|---|---|")
    for figures in candidates:
        speed = f"{figures['passages_per_second']:.0f} | {figures['query_p50_ms']:.2f}"
        print(f"| {figures['name']} | {figures['megabytes']} | {speed} |")


def cell(values: dict[str, Any]) -> str:
    low, high = values["intervals"]["ndcg@10"]
    return f"{values['ndcg@10']:.3f} ({low:.3f}-{high:.3f})"


def draw(candidates: Sequence[dict[str, Any]], sets: Sequence[RetrievalSet], path: Path) -> None:
    """nDCG@10 against passages a second, a panel a set."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(sets), figsize=(5.4 * len(sets), 4.4), layout="constrained", squeeze=False)
    for panel, data in zip(panels[0], sets, strict=True):
        bm25 = candidates[0][data.name]["bm25"]["ndcg@10"]
        panel.axhline(bm25, color="grey", linestyle="--", linewidth=1)
        panel.annotate("BM25", (0.99, bm25), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="grey")
        for method, colour in (("dense", "tab:blue"), ("hybrid", "tab:red")):
            speed = [figures["passages_per_second"] for figures in candidates]
            panel.scatter(
                speed, [figures[data.name][method]["ndcg@10"] for figures in candidates], c=colour, label=method
            )
        for number, figures in enumerate(sorted(candidates, key=lambda row: float(row["passages_per_second"]))):
            place = (figures["passages_per_second"], figures[data.name]["hybrid"]["ndcg@10"])
            beside, side = (
                ((-5, 5), "right") if number % 2 == 0 else ((5, -11), "left")
            )  # neighbours are near each other
            panel.annotate(figures["name"], place, fontsize=8, xytext=beside, textcoords="offset points", ha=side)
        panel.margins(x=0.3)
        panel.set(xscale="log", xlabel="passages of 200 tokens a second, 2 threads", ylabel="nDCG@10", title=data.name)
        panel.legend(loc="lower left")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder holding retrieval/ and knowledge/")
    parser.add_argument(
        "--embedder", type=Path, action="append", help="model folder; may be repeated; default: the shipped one"
    )
    parser.add_argument("--chart", type=Path, help="write a picture of quality and speed")
    parser.add_argument("--json", type=Path, help="write every figure")
    parser.add_argument(
        "--only", action="append", metavar="SET", help=f"cMedQA, MedQuAD, {MASKED!r} …; may be repeated"
    )
    parser.add_argument(
        "--measured", type=Path, action="append", default=[], help="figures of an earlier --json to join"
    )
    parser.add_argument("--passages", type=int, help="keep so many of each set, to try the script")
    arguments = parser.parse_args()
    sets = [cmedqa(arguments.data), *medquad_sets(arguments.data)]
    sets = [data for data in sets if not arguments.only or data.name in arguments.only]
    if arguments.passages:
        sets = [cut(data, arguments.passages) for data in sets]
    candidates = [row for file in arguments.measured for row in json.loads(file.read_text(encoding="utf-8"))]
    folders = arguments.embedder or ([] if candidates else [DEFAULT_FOLDER])
    candidates += [measured(folder, sets) for folder in folders]
    if arguments.json:
        arguments.json.write_text(json.dumps(candidates, indent=1) + "\n", encoding="utf-8")
    if arguments.chart:
        draw(candidates, sets, arguments.chart)
    print_tables(candidates, sets)


if __name__ == "__main__":
    main()
