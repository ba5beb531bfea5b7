"""Speed and memory of training: the Qwen2.5-7B shape with random weights, through `daozhen train`'s own stages.

    python -m tests.benchmarks.training_speed --data DIALOGUES.jsonl --out rows.jsonl          # on a GPU
    python -m tests.benchmarks.training_speed --data DIALOGUES.jsonl --out rows.jsonl --toy    # the same on a CPU, small
    python -m tests.benchmarks.training_speed --out rows.jsonl --chart speed.png               # what was measured, drawn

DIALOGUES.jsonl: one {"messages": [{"role", "content"}, …]} a line. Each row of the table is a process of its own, with a limit
on its time; its figures are appended to --out at once, the most telling rows first. Tokens a second leave padding out, and the
first three steps, which compile kernels. Utilisation: what the model needs (nothing counted twice that is computed again, the
head only where something is learnt) over what large matrix products reach on this GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.random_base import QWEN2_5_7B, TOY, write_base_folder
from tests.benchmarks.training_speed_measured import measured
from tests.benchmarks.training_speed_rows import ROWS, Row, toy, write_pairs

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("training_speed.jsonl"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/training_speed"))
    parser.add_argument("--rows", default="", help="Only the rows whose names hold one of these, separated by ;.")
    parser.add_argument("--seconds", type=float, default=75.0, help="Limit of a row.")
    parser.add_argument(
        "--until", type=float, default=0.0, help="Seconds after which no further row is begun; 0 never."
    )
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--chart", type=Path, help="Draws the rows of --out and measures nothing.")
    parser.add_argument("--row", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.chart:
        draw(arguments.out, arguments.chart)
        return
    if arguments.row:
        figures = measured(Row(**json.loads(arguments.row)), arguments.work, arguments.toy)
        print("figures " + json.dumps(figures), flush=True)
        return
    if arguments.data is None:
        parser.error("--data is missing")
    started = time.monotonic()
    write_base_folder(arguments.work / "base", arguments.data, TOY if arguments.toy else QWEN2_5_7B)
    lines = arguments.data.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = lines[: 64 if arguments.toy else 3000]  # more than the steps take
    (arguments.work / "dialogues.jsonl").write_text("".join(lines), encoding="utf-8")
    write_pairs(arguments.work)
    chosen = [row for row in ROWS if any(part in row.name for part in arguments.rows.split(";"))]
    for row in chosen:
        if arguments.until and time.monotonic() - started > arguments.until:
            print(f"{row.name}: not begun, the time is over", flush=True)
            continue
        figures = in_a_process(toy(row) if arguments.toy else row, arguments)
        with arguments.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")
        print(told(figures), flush=True)


def told(figures: dict[str, Any]) -> str:
    if "error" in figures:
        return f"{figures['row']:45} {figures['seconds']:5.0f} s  FAILED {figures['error'][-400:]}"
    if "apart_from_float32" in figures:
        return json.dumps(figures["apart_from_float32"], indent=1)
    kept = {name: figures.get(name) for name in ("tokens_per_second", "peak_memory_gib", "reserved_gib", "held_gib", "model_flops_utilisation", "loss")}  # fmt: skip
    return f"{figures['row']:45} {figures['seconds']:5.0f} s  " + "  ".join(
        f"{name} {value}" for name, value in kept.items()
    )


def in_a_process(row: Row, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.training_speed", "--data", str(arguments.data)]
    command += ["--work", str(arguments.work), "--row", json.dumps(asdict(row)), *(["--toy"] if arguments.toy else [])]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=arguments.seconds, cwd=ROOT, check=False,
            env={"TORCHINDUCTOR_CACHE_DIR": str(arguments.work / "compiled"), "PYTHONPATH": str(ROOT), **os.environ},
        )  # fmt: skip
        lines = [line for line in done.stdout.splitlines() if line.startswith("figures ")]
        said: dict[str, Any] = (
            json.loads(lines[-1][8:]) if lines else {"error": f"{done.returncode}: {done.stderr[-1500:]}"}
        )
    except subprocess.TimeoutExpired as late:
        said = {"error": f"longer than {arguments.seconds:.0f} s: {(late.stderr or b'')[-600:]!r}"}
    return {"row": row.name, "seconds": round(time.monotonic() - started, 1), **said}


def draw(rows: Path, picture: Path) -> None:
    """Two bars a row: tokens a second, and peak memory in GiB."""
    from matplotlib.figure import Figure

    measured_rows = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    shown = sorted((row for row in measured_rows if row.get("stage") != "dpo" and row.get("tokens_per_second")), key=lambda row: row["tokens_per_second"])  # fmt: skip
    names = [row["row"] for row in shown]
    figure = Figure(figsize=(10, 0.45 * len(shown) + 1.2), dpi=80, layout="constrained")
    speeds, peaks = figure.subplots(1, 2, sharey=True)
    for axis, key, title in ((speeds, "tokens_per_second", "tokens a second"), (peaks, "peak_memory_gib", "peak GiB")):
        bars = axis.barh(names, [row[key] for row in shown], color="#3f7f93")
        axis.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture)


if __name__ == "__main__":
    main()
