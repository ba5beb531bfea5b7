"""One row of the table of training's speed, measured in this process: ours, TRL's defaults, and how exact the fused step is."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.random_base import TOY, random_base, write_base_folder
from tests.benchmarks.training_speed_rows import STEPS, Row, config_of


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


def versions() -> dict[str, str]:
    from finetune.run_folder import versions as found

    return found()
