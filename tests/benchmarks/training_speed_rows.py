"""The rows of the table of training's speed, the config of each, and the data they need beside the dialogues."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

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
    Row("lora varlen, 24,576 tokens a step", "lora", tokens=24576, training=KEPT),
    Row("qlora varlen, 32,768 tokens a step", tokens=32768, training=KEPT),
    Row("lora varlen, 32,768 tokens a step", "lora", tokens=32768, training=KEPT),
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
