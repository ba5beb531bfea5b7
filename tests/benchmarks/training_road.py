"""What each stage of a road did to its own held-out measure: a table and a picture, from the folders the runs left.

    python -m tests.benchmarks.training_road --base models/daozhen-base --runs runs/embedded [--chart road.png]
    python -m tests.benchmarks.training_road --base models/daozhen-base-nf4 --runs runs/embedded --data DIR --limit 100

A stage's measure stands in its metrics.jsonl at step 0 and at the end (evaluate_every > 0); ppo's is its reward, the mean of
the first and of the last quarter of its iterations. With --data the held-out rows themselves are read again before and after
each stage that learns texts: perplexity with its paired interval.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rag.intervals import clopper_pearson

Rows = list[dict[str, Any]]
Figure = tuple[float, float, float]  # a value and its 95 % interval; the value alone where nothing tells how it varies
STEPS = ("pt", "sft", "sft_second", "rm", "dpo", "ppo")


def ends(rows: Rows, key: str) -> tuple[float, float]:
    """The first and the last value of a figure."""
    values = [row[key] for row in rows if key in row]
    return values[0], values[-1]


def perplexity(rows: Rows) -> list[Figure]:
    return [(math.exp(loss), math.nan, math.nan) for loss in ends(rows, "eval_loss")]


def share_of_pairs(key: str) -> Callable[[Rows], list[Figure]]:
    """Of the evaluation's pairs, with the exact interval of a share."""

    def read(rows: Rows) -> list[Figure]:
        last = next(row for row in reversed(rows) if key in row)
        pairs = round(last["eval_samples_per_second"] * last["eval_runtime"])
        return [(share, *clopper_pearson(round(share * pairs), pairs)) for share in ends(rows, key)]

    return read


def rewards(rows: Rows) -> list[Figure]:
    """The mean of the first and of the last quarter of the iterations."""
    values = [row["reward"] for row in rows if "reward" in row]
    part = max(2, len(values) // 4)
    return [around(values[:part]), around(values[-part:])]


def around(values: list[float]) -> Figure:
    mean, error = statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))
    reach = 1.96 * error
    return mean, mean - reach, mean + reach


MEASURES: dict[str, tuple[str, Callable[[Rows], list[Figure]]]] = {
    "pt": ("perplexity", perplexity),
    "sft": ("perplexity of the answers", perplexity),
    "sft_second": ("perplexity of the answers", perplexity),
    "rm": ("pairs told apart", share_of_pairs("eval_accuracy")),
    "dpo": ("pairs with a margin", share_of_pairs("eval_rewards/accuracies")),
    "ppo": ("reward (share let through by the gates)", rewards),
}


def told(figure: Figure) -> str:
    value, low, high = figure
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} ({low:.3f}-{high:.3f})"


def rows_of(run: Path) -> Rows:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def draw(losses: list[float], policy: Rows, chart: Path) -> None:
    """The base's loss over its run; beside it, where ppo ran, its reward and its divergence by iteration."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11 if policy else 6, 3), dpi=90, layout="constrained")
    panels = figure.subplots(1, 2 if policy else 1, squeeze=False)[0]
    panels[0].plot([number / len(losses) for number in range(len(losses))], losses, linewidth=1, color="#3f7f93")
    panels[0].set(
        xlabel="share of the run", ylabel="loss, nats a token", title="The base: late weights hold from 0.65 on"
    )
    if policy:
        steps = [row["step"] for row in policy]
        divergence = panels[1].twinx()
        panels[1].plot(steps, [row["reward"] for row in policy], marker=".", color="#3f7f93")
        divergence.plot(steps, [row["kl"] for row in policy], linewidth=1, linestyle="--", color="#b5651d")
        panels[1].set(xlabel="iteration", ylabel="reward", title="ppo: share let through (line), divergence (dashed)")
        divergence.set_ylabel("nats an answer")
    figure.savefig(chart)


def perplexities(base: Path, runs: Path, data: Path, limit: int) -> Iterator[str]:
    """Each stage against the one it began from, row by row of the same held-out file."""
    import numpy as np

    from finetune.chat_generation import ChatGenerator
    from rag.evaluation_retrieval import interval

    for before, after, file in (("", "pt", "pt_eval"), ("pt", "sft", "sft_eval"), ("sft", "sft_second", "sft_eval")):
        nats = []
        for stage in (before, after):
            generator = ChatGenerator(str(base), str(runs / stage / "adapter") if stage else "")
            rows = list(labelled(data / f"{file}.jsonl", generator.tokenizer))[: limit or None]
            nats.append(np.array([-total / count for total, count in generator.log_likelihoods(rows)]))
        gain = nats[1] - nats[0]
        low, high = interval(gain)
        yield (
            f"| {after} | {len(gain)} | {math.exp(nats[0].mean()):.3f} | {math.exp(nats[1].mean()):.3f} "
            f"| ×{math.exp(gain.mean()):.3f} ({math.exp(low):.3f}-{math.exp(high):.3f}) |"
        )


def labelled(path: Path, tokenizer: Any) -> Iterator[tuple[list[int], list[int]]]:
    """Every row as tokens and what is learnt of them: a text whole, of a dialogue the assistant's words."""
    from finetune.chat_template import ensure_training_template
    from finetune.stage_rows import StageRow
    from finetune.supervision import supervised_dialogue

    ensure_training_template(tokenizer, "", "")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = json.loads(line)
        if row["kind"] == "text":
            ids = tokenizer.encode(row["text"])
            yield ids, ids
            continue
        system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
        tokens = supervised_dialogue(StageRow(str(number), {"messages": [*system, *row["messages"]]}), tokenizer)
        yield list(tokens.input_ids), list(tokens.labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="the base's model folder, with its recipe.json")
    parser.add_argument("--runs", type=Path, required=True, help="the folder of the pipeline's runs")
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--data", type=Path, help="the folder with pt_eval.jsonl and sft_eval.jsonl")
    parser.add_argument("--limit", type=int, default=0, help="rows of each")
    asked = parser.parse_args()
    if asked.data:
        print("| stage | rows | perplexity before | after | paired (95 %) |\n|---|---|---|---|---|")
        for line in perplexities(asked.base, asked.runs, asked.data, asked.limit):
            print(line, flush=True)
        return
    recipe = json.loads((asked.base / "recipe.json").read_text(encoding="utf-8"))
    print("| source | tokens | perplexity before | after |\n|---|---|---|---|")
    for name, after in recipe["perplexity_after"].items():
        print(
            f"| {name} | {recipe['corpus']['tokens'][name]:,} | {recipe['perplexity_before'][name]:,.0f} | {after:.2f} |"
        )
    print("\n| stage | measure, held out | before | after |\n|---|---|---|---|")
    for name in STEPS:
        if (asked.runs / name / "metrics.jsonl").is_file():
            measure, of = MEASURES[name]
            before, after = of(rows_of(asked.runs / name))
            print(f"| {name} | {measure} | {told(before)} | {told(after)} |")
    if asked.chart:
        policy = asked.runs / "ppo"
        steps = [row for row in rows_of(policy) if "reward" in row] if (policy / "metrics.jsonl").is_file() else []
        draw(recipe["losses"], steps, asked.chart)


if __name__ == "__main__":
    main()
