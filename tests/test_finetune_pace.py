"""The pace told is of training alone: no batch made ahead, none of evaluation, no second of saving."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finetune.stage_config import AdapterSettings, BaseSettings, StageConfig, TrainingSettings
from finetune.training_pace import CountedTokens, Pace, speed_figures


def collated(rows: list[int]) -> dict[str, Any]:
    import torch

    mask = torch.zeros(len(rows), max(rows), dtype=torch.int64)
    for place, length in enumerate(rows):
        mask[place, :length] = 1
    return {"input_ids": mask, "attention_mask": mask, "targets": torch.zeros(len(rows))}


def config(**training: Any) -> StageConfig:
    return StageConfig("sft", "sft", ("rows.jsonl",), training=TrainingSettings(**training))


def test_a_batch_that_no_step_took_and_evaluations_batches_are_not_counted() -> None:
    tokens = CountedTokens(collated)
    trainer = SimpleNamespace(evaluate=lambda: tokens([50, 50]))
    tokens.leave_out_evaluation(trainer)
    for rows in ([3, 5], [2, 2], [9, 9]):  # the third is made ahead
        tokens(rows)
        trainer.evaluate()
    tokens.taken = 2
    assert tokens.trained() == 12 and tokens.trained(since=1) == 4 and tokens.learnt_share == 4 / 12


def test_the_pace_is_of_the_steps_after_the_first_few_where_there_are_enough() -> None:
    def paced(steps: int, **training: Any) -> int:
        tokens = CountedTokens(collated)
        pace = Pace(config(**training), tokens)
        for step in range(1, steps + 1):
            tokens([10])
            pace.took_batch()
            pace.end_step(step, steps)
        tokens([10])
        return pace.measured()[0]

    assert paced(10) == 70 and paced(6) == 60 and paced(10, evaluate_every=5) == 100


def test_several_processes_are_told_together() -> None:
    assert speed_figures(config(), 2, 500, 2.0, 1.0)["tokens_per_second"] == 500


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_counts_the_tokens_of_its_steps(tiny_base: Path, tmp_path: Path, accumulate: int) -> None:
    """Rows of one length, more of them than the steps take, with evaluation between."""
    from finetune.training import train_stage

    row = json.dumps({"prompt": "发烧三天", "completion": "多喝水，测体温。"}) + "\n"
    (tmp_path / "rows.jsonl").write_text(row * 20, encoding="utf-8")
    training = TrainingSettings(
        max_steps=3, batch_size=2, accumulate=accumulate, max_tokens=128, evaluate_every=2, evaluation_share=0.1, log_every=1
    )  # fmt: skip
    base, adapter = BaseSettings(model=str(tiny_base)), AdapterSettings(method="lora")
    told: list[str] = []
    figures = train_stage(
        StageConfig("sft", "sft", ("rows.jsonl",), base=base, adapter=adapter, training=training), tmp_path,
        tmp_path / "run", tell=told.append,
    )  # fmt: skip
    length = (
        int(next(line for line in told if " tokens, " in line).split(" rows, ")[1].split()[0].replace(",", "")) // 18
    )
    assert figures["tokens"] == 3 * 2 * accumulate * length
