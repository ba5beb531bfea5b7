"""`daozhen eval retrieval`: BM25, the embedder and both together on questions with known passages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rag.config import load_settings, quiet_libraries
from rag.figures import keep_figures
from ui.progress import progress_bar

NAMES = {"bm25": "BM25", "dense": "dense", "hybrid": "both fused"}
NAMED_AT_MOST = 3  # queries without a judgement


@click.command(no_args_is_help=True)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def retrieval(folder: Path, as_json: bool) -> None:
    """Score retrieval on FOLDER, a set in BEIR's form: corpus.jsonl, queries.jsonl and qrels/test.tsv.

    Prints nDCG@10, recall@10 and MRR@10 with 95 % bootstrap intervals, and each gain over BM25 with a paired one.
    The embedder is the one the settings name.

    \b
    daozhen eval retrieval ~/beir/our-questions
    daozhen eval retrieval ~/beir/our-questions --json
    """
    quiet_libraries()
    from rag.evaluation_retrieval import rank, read_beir, report
    from rag.from_settings import embedder_for

    data = read_beir(folder)
    for line in data.left_out[:NAMED_AT_MOST]:
        click.echo(line, err=True)
    if len(data.left_out) > NAMED_AT_MOST:
        click.echo(f"and {len(data.left_out) - NAMED_AT_MOST:,} more queries without a right passage", err=True)
    embedder = embedder_for(load_settings())
    with progress_bar(data.name) as step:
        rankings = rank(data, embedder, step)
    figures = {"embedder": embedder.name, **report(data, rankings)}
    keep_figures(load_settings().home, "retrieval", folder.name, figures)
    click.echo(json.dumps(figures, ensure_ascii=False, indent=2) if as_json else _table(figures))


def _table(figures: dict[str, Any]) -> str:
    metrics = ("ndcg@10", "recall@10", "mrr@10")
    lines = [
        f"{figures['questions']:,} questions, {figures['passages']:,} passages; embedder {figures['embedder']}",
        "",
    ]
    lines.append(f"{'':<16}" + "".join(f"{name:<24}" for name in ("nDCG@10", "recall@10", "MRR@10")))
    lines += [f"{name:<16}" + _cells(figures[method], metrics) for method, name in NAMES.items()]
    lines += ["", "gain over BM25, paired"]
    lines += [f"{NAMES[method]:<16}" + _cells(gain, metrics, "+") for method, gain in figures["over_bm25"].items()]
    return "\n".join(line.rstrip() for line in lines)


def _cells(values: dict[str, Any], metrics: tuple[str, ...], sign: str = "") -> str:
    cells = []
    for name in metrics:
        low, high = values["intervals"][name]
        cells.append(f"{values[name]:{sign}.3f} ({low:{sign}.3f} {high:{sign}.3f})")
    return "".join(f"{cell:<24}" for cell in cells)
