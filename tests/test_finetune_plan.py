"""What `--dry-run` foretells stands beside what was measured on one H200 (tests/benchmarks/RESULTS.md, speed of training)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.stage_config import AdapterSettings, BaseSettings, StageConfig, TrainingSettings

KEPT, AGAIN = {"gradient_checkpointing": False}, {"gradient_checkpointing": True}
PEAKS = [
    ("qlora", 16384, KEPT, 64.23),
    ("lora", 16384, KEPT, 73.28),
    ("qlora", 24576, KEPT, 92.92),
    ("qlora", 16384, AGAIN, 11.64),
    ("lora", 16384, AGAIN, 20.56),
    ("qlora", 16384, {**AGAIN, "recompute_every": 2}, 37.36),
    ("qlora", 16384, {**KEPT, "kernels": "plain"}, 102.81),
    ("qlora", 25600, KEPT, 97.16),  # the largest padded batch
]


@pytest.fixture(scope="module")
def qwen_7b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import Qwen2Config

    from tests.benchmarks.random_base import QWEN2_5_7B

    folder = tmp_path_factory.mktemp("qwen")
    Qwen2Config(**QWEN2_5_7B).save_pretrained(folder)
    return folder


def config_on(base: Path, method: Any, **training: Any) -> StageConfig:
    return StageConfig(
        "sft", "sft", ("rows.jsonl",), base=BaseSettings(model=str(base), dtype="bfloat16"),
        adapter=AdapterSettings(method=method, rank=16), training=TrainingSettings(**{"kernels": "fused", **training}),
    )  # fmt: skip


@pytest.mark.parametrize(("method", "tokens", "training", "gib"), PEAKS)
def test_the_memory_foretold_is_what_was_measured(
    qwen_7b: Path, method: str, tokens: int, training: dict[str, Any], gib: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune import plan
    from finetune.supervision import TokenCount

    monkeypatch.setattr(plan, "device_name", lambda: "cuda")
    config = config_on(qwen_7b, method, max_tokens=tokens, packing=True, batch_size=1, **training)
    foretold = plan.memory_bytes(config, plan.shape_of_base(config), TokenCount()) / 2**30
    assert foretold == pytest.approx(gib, rel=0.06)


@pytest.mark.parametrize(("batch_size", "packing", "factor"), [(1, False, 1.0), (2, False, 1.25), (4, True, 1.0)])
def test_padding_is_foretold_by_the_longest_of_a_random_batch(batch_size: int, packing: bool, factor: float) -> None:
    from finetune.plan import padding_factor

    config = config_on(Path("base"), "qlora", batch_size=batch_size, packing=packing)
    assert padding_factor(config, [100, 300]) == pytest.approx(factor)  # of two draws three in four are 300
