"""SFT on two GPUs against one, and the same config under FSDP2: tokens a second, peak memory, the curve of the loss.

    python -m tests.benchmarks.two_gpus --data DIALOGUES.jsonl --out rows.jsonl          # two GPUs
    python -m tests.benchmarks.two_gpus --data DIALOGUES.jsonl --out rows.jsonl --toy    # two processes on a CPU, small

Every run is `accelerate launch … daozhen train` on a base of the Qwen2.5-7B shape with random weights. All see the same tokens
in the same order: one process takes two batches a step where two take one each. So their losses may differ by the rounding of
the sums alone: in bfloat16 by less than TOLERANCE of the loss, in float32 on a CPU by less than a ten-thousandth.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.random_base import QWEN2_5_7B, TOY, random_base, write_base_folder

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "finetune" / "configs"
STEPS = 9
TOLERANCE = {"cuda": 5e-3, "cpu": 1e-4}


@dataclass(frozen=True)
class Run:
    name: str
    processes: int
    settings: str = ""  # of finetune/configs, for accelerate
    method: str = "lora"


RUNS = [
    Run("lora, one", 1),
    Run("lora, two, ddp", 2, "ddp.yaml"),
    Run("lora, two, fsdp2", 2, "fsdp2.yaml"),
    Run("qlora, one", 1, method="qlora"),
    Run("qlora, two, ddp", 2, "ddp.yaml", method="qlora"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("two_gpus.jsonl"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/two_gpus"))
    parser.add_argument("--runs", default="", help="Only the runs whose names hold one of these, separated by ;.")
    parser.add_argument("--seconds", type=float, default=120.0, help="Limit of a run.")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--worker", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
        return
    write_base_folder(arguments.work / "base", arguments.data, TOY if arguments.toy else QWEN2_5_7B)
    lines = arguments.data.read_text(encoding="utf-8").splitlines(keepends=True)[: 64 if arguments.toy else 4000]
    (arguments.work / "dialogues.jsonl").write_text("".join(lines), encoding="utf-8")
    done: dict[str, dict[str, Any]] = {}
    for run in RUNS:
        if any(part in run.name for part in arguments.runs.split(";")):
            done[run.name] = figures = trained(run, arguments)
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(figures) + "\n")
            print(json.dumps(figures), flush=True)
    for line in compared(done, "cpu" if arguments.toy else "cuda"):
        print(line, flush=True)


def compared(done: dict[str, dict[str, Any]], device: str) -> list[str]:
    """Each run against the one process of its method."""
    said = []
    for name, figures in done.items():
        one = done.get(f"{name.split(',')[0]}, one", {})
        if figures is one or not figures.get("losses") or not one.get("losses"):
            continue
        apart = max(abs(a - b) / abs(b) for a, b in zip(figures["losses"], one["losses"], strict=True))
        speed = figures["tokens_per_second"] / max(one["tokens_per_second"], 1)
        verdict = "the same curve" if apart < TOLERANCE[device] else "ANOTHER CURVE"
        said.append(f"{name}: {speed:.2f} times one, losses at most {apart:.1e} apart: {verdict}")
    return said


def trained(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    out = arguments.work / run.name.replace(", ", "-")
    shutil.rmtree(out, ignore_errors=True)
    config = arguments.work / f"{out.name}.toml"
    config.write_text(config_text(run, arguments), encoding="utf-8")
    words = ["train", str(config), "--data", str(arguments.work), "--out", str(out)]
    command = [sys.executable, "-m", "tests.benchmarks.two_gpus", "--worker", *words]
    if run.processes > 1:
        settings = (CONFIGS / run.settings).read_text(encoding="utf-8")
        if arguments.toy:
            settings = settings.replace("use_cpu: false", "use_cpu: true")
        (arguments.work / run.settings).write_text(settings, encoding="utf-8")
        launch = [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--config_file",
            str(arguments.work / run.settings),
        ]
        launch += ["--num_processes", str(run.processes), "--main_process_port", "29611"]
        if arguments.toy and run.settings == "ddp.yaml":  # accelerate starts one process only on a CPU
            launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29611"]
        command = [*launch, *command[1:]]
    environment = {"PYTHONPATH": str(ROOT), **os.environ}
    if run.processes == 1:
        environment["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    started = time.monotonic()
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=arguments.seconds, cwd=ROOT, env=environment, check=False
        )
    except subprocess.TimeoutExpired as late:
        return {"run": run.name, "error": f"longer than {arguments.seconds:.0f} s: {(late.stderr or b'')[-800:]!r}"}
    seconds = round(time.monotonic() - started, 1)
    if ended.returncode or not (out / "metrics.jsonl").is_file():
        return {"run": run.name, "seconds": seconds, "error": f"{ended.returncode}: {ended.stderr[-3000:]}"}
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    figures = json.loads(ended.stdout[ended.stdout.index("{\n") :])
    kept = ("tokens_per_second", "tokens", "peak_memory_gib", "model_flops_utilisation")
    losses = [float(row["loss"]) for row in metrics if "loss" in row]
    return {"run": run.name, "seconds": seconds, **{name: figures.get(name) for name in kept}, "losses": losses}


def config_text(run: Run, arguments: argparse.Namespace) -> str:
    tokens, kernels = (256, "fused") if arguments.toy else (16384, "auto")
    return f"""stage = "sft"
name = "{run.name}"
data = ["dialogues.jsonl"]
[base]
model = "{arguments.work / "base"}"
[adapter]
method = "{run.method}"
rank = 16
[training]
max_steps = {STEPS}
batch_size = 1
accumulate = {2 // run.processes}
max_tokens = {tokens}
packing = true
gradient_checkpointing = false
kernels = "{kernels}"
learning_rate = 1e-4
warmup_share = 0.0
scheduler = "constant"
log_every = 1
save_every = 100000
"""


def worker(words: list[str]) -> None:
    """`daozhen` with those words, on the base with random weights."""
    import torch

    from finetune import training
    from ui.cli import main as daozhen

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    training.load_base = random_base  # type: ignore[assignment]
    sys.exit(daozhen(words))


if __name__ == "__main__":
    main()
