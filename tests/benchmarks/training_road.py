"""What each stage of a road did to its own held-out measure: a table and a picture, from the folders the runs left.

    python -m tests.benchmarks.training_road --base models/daozhen-base --runs runs/embedded [--chart road.png]

A stage's measure stands in its metrics.jsonl at step 0 and at the end (evaluate_every > 0); ppo's is its reward, the mean of
the first and of the last quarter of its iterations.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
STEPS = ("pt", "sft", "sft_second", "rm", "dpo", "ppo")


def ends(rows: Rows, key: str) -> tuple[float, float]:
    """The first and the last value of a figure."""
    values = [row[key] for row in rows if key in row]
    return values[0], values[-1]


def perplexity(rows: Rows) -> tuple[float, float]:
    first, last = ends(rows, "eval_loss")
    return math.exp(first), math.exp(last)


def rewards(rows: Rows) -> tuple[float, float]:
    values = [row["reward"] for row in rows if "reward" in row]
    part = max(1, len(values) // 4)
    return sum(values[:part]) / part, sum(values[-part:]) / part


MEASURES: dict[str, tuple[str, Callable[[Rows], tuple[float, float]]]] = {
    "pt": ("perplexity", perplexity),
    "sft": ("perplexity of the answers", perplexity),
    "sft_second": ("perplexity of the answers", perplexity),
    "rm": ("pairs told apart", lambda rows: ends(rows, "eval_accuracy")),
    "dpo": ("pairs with a margin", lambda rows: ends(rows, "eval_rewards/accuracies")),
    "ppo": ("reward (share let through by the gates)", rewards),
}


def rows_of(run: Path) -> Rows:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def draw(losses: list[float], chart: Path) -> None:
    """The base's loss over its run."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3), dpi=110)
    axes.plot([number / len(losses) for number in range(len(losses))], losses, linewidth=1)
    axes.set_xlabel("share of the run")
    axes.set_ylabel("loss, nats a token")
    axes.set_title("The base from scratch: late weights hold from 0.65 on")
    figure.tight_layout()
    figure.savefig(chart)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="the base's model folder, with its recipe.json")
    parser.add_argument("--runs", type=Path, required=True, help="the folder of the pipeline's runs")
    parser.add_argument("--chart", type=Path)
    asked = parser.parse_args()
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
            print(f"| {name} | {measure} | {before:.3f} | {after:.3f} |")
    if asked.chart:
        draw(recipe["losses"], asked.chart)


if __name__ == "__main__":
    main()
