"""Speed and memory of training: the Qwen2.5-7B shape with random weights, through `daozhen train`'s own stages.

    python -m tests.benchmarks.training_speed --data DIALOGUES.jsonl --out rows.jsonl          # on a GPU
    python -m tests.benchmarks.training_speed --data DIALOGUES.jsonl --out rows.jsonl --toy    # the same on a CPU, small

DIALOGUES.jsonl: one {"messages": [{"role", "content"}, …]} a line. Each row of the table is a process of its own, with a limit
on its time; its figures are appended to --out at once, the most telling rows first. Tokens a second leave padding out, and the
first three steps, which compile kernels. Utilisation: what the model needs (nothing counted twice that is computed again, the
head only where something is learnt) over what large matrix products reach on this GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.random_base import QWEN2_5_7B, TOY, random_base, write_base_folder

ROOT = Path(__file__).resolve().parents[2]
STEPS = 10


@dataclass(frozen=True)
class Row:
    """One line of the table. tokens: of a sequence where packed, the longest row where padded; rows: sequences a batch."""

    name: str
    method: str = "qlora"
    stage: str = "sft"
    tokens: int = 16384
    rows: int = 1
    packing: bool = True
    attention: str = "auto"
    limit_gib: float = 0.0  # memory the process may take; 0 all
    plain_trl: bool = False
    training: dict[str, Any] = field(default_factory=dict)


KEPT, AGAIN = {"gradient_checkpointing": False}, {"gradient_checkpointing": True}
PADDED = {"packing": False, "tokens": 1024, "rows": 32, "attention": "sdpa"}
PACKED = {"tokens": 4096, "rows": 1, "attention": "sdpa"}  # sdpa computes the square of the whole batch
ROWS = [
    Row("exactness", stage="exactness"),
    Row("qlora varlen", training=KEPT),
    Row("lora varlen", "lora", training=KEPT),
    Row("qlora varlen, recomputed, within 24 GiB", limit_gib=24.0, training=AGAIN),
    Row("qlora varlen, 24,576 tokens a step", tokens=24576, training=KEPT),
    Row("qlora TRL defaults", plain_trl=True, tokens=1024, rows=8),
    Row("lora TRL defaults", "lora", plain_trl=True, tokens=1024, rows=8),
    Row("dpo, one base", stage="dpo", tokens=1024, rows=4, packing=False, attention="sdpa", training=AGAIN),
    Row("ppo, one base", stage="ppo", tokens=1024, rows=8, packing=False, attention="sdpa", training=AGAIN),
    Row("qlora varlen, the libraries' layers", training={**KEPT, "kernels": "plain"}),
    Row("lora varlen, recomputed", "lora", training=AGAIN),
    Row("qlora varlen, every second layer recomputed", training={**AGAIN, "recompute_every": 2}),
    Row("qlora padded", **PADDED, training=KEPT),
    Row("lora padded", "lora", **PADDED, training=KEPT),
    Row("qlora packed", **PACKED, training={**KEPT, "accumulate": 4}),
    Row("lora packed", "lora", **PACKED, training={**KEPT, "accumulate": 4}),
    Row("qlora padded, recomputed", **PADDED, training=AGAIN),
    Row("lora padded, recomputed", "lora", **PADDED, training=AGAIN),
    Row("qlora packed, recomputed", **PACKED, training={**AGAIN, "accumulate": 4}),
    Row("lora packed, recomputed", "lora", **PACKED, training={**AGAIN, "accumulate": 4}),
    Row("qlora varlen, compiled layers", training={**KEPT, "kernels": "plain", "compile": True}),
]


def toy(row: Row) -> Row:
    training = {**row.training, "kernels": "fused" if row.training.get("kernels") != "plain" else "plain"}
    training.pop("compile", None)
    return replace(row, tokens=256, rows=min(row.rows, 2), limit_gib=0.0, training=training)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("training_speed.jsonl"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/training_speed"))
    parser.add_argument("--rows", default="", help="Only the rows whose names hold one of these, separated by ;.")
    parser.add_argument("--seconds", type=float, default=75.0, help="Limit of a row.")
    parser.add_argument(
        "--until", type=float, default=0.0, help="Seconds after which no further row is begun; 0 never."
    )
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--row", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        figures = measured(Row(**json.loads(arguments.row)), arguments.work, arguments.toy)
        print("figures " + json.dumps(figures), flush=True)
        return
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


def measured(row: Row, work: Path, is_toy: bool) -> dict[str, Any]:
    """Trains a row for some steps and returns its figures."""
    import torch

    from finetune import training

    if row.limit_gib and torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(row.limit_gib * 2**30 / total)
    if row.plain_trl:
        return plain_trl(row, work)
    training.load_base = random_base  # type: ignore[assignment]
    if row.stage == "exactness":
        return exactness(work)
    memory = Memory()
    out = work / "runs" / row.name.replace(" ", "_").replace(",", "")
    shutil.rmtree(out, ignore_errors=True)
    figures = training.train_stage(
        config_of(row, work, is_toy), work, out, step=memory.step, tell=lambda line: print(line, flush=True)
    )
    return {**figures, **memory.figures(), "loss": figures.get("loss"), "versions": versions()}


def exactness(work: Path) -> dict[str, Any]:
    """A small base: how far gradients in the training type, fused and as the libraries have them, are from float32's."""
    import torch

    from finetune.stage_config import AdapterSettings, BaseSettings, StageConfig, TrainingSettings
    from finetune.token_batches import TokenCollator, TokenRow
    from finetune.token_loss import chunked_loss
    from finetune.training import trained_model

    shape = {**TOY, "hidden_size": 256, "intermediate_size": 768, "vocab_size": 32000}
    small = write_base_folder(work / "small", work / "dialogues.jsonl", shape, tokens=1000)
    device, numbers = "cuda" if torch.cuda.is_available() else "cpu", np.random.default_rng(5)
    ids = [numbers.integers(3, 900, length).astype(np.int32) for length in (9, 700, 333, 60)]
    rows = [TokenRow(row, np.where(np.arange(len(row)) < len(row) // 3, -100, row)) for row in ids]

    def gradients(method: str, dtype: Any, kernels: Any, attention: Any) -> dict[str, Any]:
        config = StageConfig(
            "sft", "exactness", ("none.jsonl",), base=BaseSettings(model=str(small), dtype=dtype, attention=attention),
            adapter=AdapterSettings(method=method), training=TrainingSettings(kernels=kernels, packing=True),
        )  # fmt: skip
        model = trained_model(config).train()
        generator = torch.Generator().manual_seed(3)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.data = (torch.randn(parameter.shape, generator=generator) * 0.05).to(device)
        chunked_loss(model, 512)
        batch = TokenCollator(0, attention != "sdpa" or dtype == "float32")([rows])
        batch = {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = model(**batch, use_cache=False).loss
        loss.backward()
        found = {name: p.grad.float() for name, p in model.named_parameters() if p.grad is not None}
        return {"loss": loss.detach().float(), **found}

    figures: dict[str, Any] = {}
    for method in ("lora", "qlora"):
        exact = gradients(method, "float32", "plain", "sdpa")
        for name, kernels, attention in (
            ("library, padded", "plain", "sdpa"),
            ("fused, padded", "fused", "sdpa"),
            ("fused, packed", "auto", "auto"),
        ):
            found = gradients(method, "bfloat16", kernels, attention)
            apart = [float((found[key] - exact[key]).norm() / exact[key].norm().clamp(min=1e-9)) for key in exact]
            figures[f"{method}, {name}"] = {
                "loss": apart[0],
                "median": float(np.median(apart[1:])),
                "worst": max(apart[1:]),
            }
    return {"apart_from_float32": figures, "versions": versions()}


def config_of(row: Row, work: Path, is_toy: bool) -> Any:
    from finetune.stage_config import (
        AdapterSettings,
        BaseSettings,
        ReinforcementSettings,
        StageConfig,
        TrainingSettings,
    )

    settings: dict[str, Any] = {
        "max_steps": 4 if row.stage != "sft" else STEPS, "batch_size": row.rows, "accumulate": 1, "max_tokens": row.tokens,
        "packing": row.packing, "log_every": 5, "save_every": 100_000, "warmup_share": 0.0, **row.training,
    }  # fmt: skip
    ppo = ReinforcementSettings(reward="verifiable:format")
    if row.stage == "ppo":
        ppo = ReinforcementSettings(
            reward=str(reward_adapter(work)), iterations=2, prompts_per_iteration=16 if not is_toy else 2, epochs=1,
            minibatch=row.rows, max_new_tokens=128 if not is_toy else 4, kl_stop=1e9,
        )  # fmt: skip
    config = StageConfig(
        stage=row.stage, name="speed", data=("pairs.jsonl" if row.stage == "dpo" else "dialogues.jsonl",),
        base=BaseSettings(model=str(work / "base"), attention=row.attention),
        adapter=AdapterSettings(method=row.method, rank=16), training=TrainingSettings(**settings), ppo=ppo,
    )  # fmt: skip
    config.check(row.name)
    return config


class Memory:
    """What lies in the device's memory between steps: weights, adapters and the optimiser's moments."""

    def __init__(self) -> None:
        self.held = 0

    def step(self, _told: str, _done: int, _all: int) -> None:
        import torch

        if torch.cuda.is_available():
            self.held = torch.cuda.memory_allocated()

    def figures(self) -> dict[str, Any]:
        import torch

        if not torch.cuda.is_available():
            return {}
        return {
            "held_gib": round(self.held / 2**30, 2),
            "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            "reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2),
        }


def plain_trl(row: Row, work: Path) -> dict[str, Any]:
    """TRL's SFTTrainer as its documentation shows it: LoRA on all linear layers and nothing else set, nothing packed."""
    import datasets
    import torch
    from peft import LoraConfig
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from finetune.stage_config import BaseSettings
    from finetune.training import quiet_training_libraries

    quiet_training_libraries()
    on_gpu = torch.cuda.is_available()
    tokenizer = AutoTokenizer.from_pretrained(work / "base")
    lines = (work / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()[: row.rows * (STEPS + 2)]
    rows = datasets.Dataset.from_list([json.loads(line) for line in lines])
    model = random_base(BaseSettings(model=str(work / "base")), four_bit=row.method == "qlora")
    memory, times = Memory(), []

    class Watching(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if on_gpu:
                torch.cuda.synchronize()
            times.append((time.perf_counter(), counted[0]))
            memory.step("", 0, 0)

    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(work / "trl"), max_steps=STEPS, report_to="none", save_strategy="no", disable_tqdm=True,
            logging_steps=5, per_device_train_batch_size=row.rows, use_cpu=not on_gpu, bf16=on_gpu,
        ),
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Watching()],
    )  # fmt: skip
    counted, compute = [0], trainer.compute_loss

    def counting(model: Any, inputs: Any, **options: Any) -> Any:
        counted[0] += int(inputs["attention_mask"].sum())
        return compute(model, inputs, **options)

    trainer.compute_loss = counting
    result = trainer.train()
    (start, before), (end, after) = times[2], times[-1]
    rate = (after - before) / (end - start)
    return {
        "tokens_per_second": round(rate),
        "loss": round(result.training_loss, 4),
        **memory.figures(),
        "versions": versions(),
    }


def write_pairs(work: Path) -> None:
    """Preferences for dpo: each dialogue's last answer against another dialogue's."""
    talks = [
        json.loads(line)["messages"] for line in (work / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    talks = [talk for talk in talks if talk[-1]["role"] == "assistant"][:64]
    with (work / "pairs.jsonl").open("w", encoding="utf-8") as file:
        for talk, other in pairwise(talks):
            row = {"prompt": talk[:-1], "chosen": talk[-1:], "rejected": other[-1:]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def reward_adapter(work: Path) -> Path:
    """The folder an rm run would leave, with random weights: what ppo needs beside the base."""
    import torch
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = work / "reward"
    config = AutoConfig.from_pretrained(work / "base", num_labels=1)
    peft_config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="SEQ_CLS")
    with torch.device("meta"):
        model = get_peft_model(AutoModelForSequenceClassification.from_config(config), peft_config)
    weights = {name: torch.randn(value.shape) * 0.01 for name, value in get_peft_model_state_dict(model).items()}
    folder.mkdir(parents=True, exist_ok=True)
    model.peft_config["default"].save_pretrained(folder)
    save_file(weights, str(folder / "adapter_model.safetensors"))
    return folder


def versions() -> dict[str, str]:
    from finetune.run_folder import versions as found

    return found()


if __name__ == "__main__":
    main()
