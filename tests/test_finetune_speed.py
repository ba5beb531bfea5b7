"""What makes training fast changes nothing in what is learnt: fused adapters, the chunked loss, packing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.stage_config import AdapterSettings, BaseSettings, StageConfig, TrainingSettings

METHODS = ("lora", "qlora")


def adapted(tiny_base: Path, method: str, kernels: str, **training: Any) -> Any:
    """The tiny model with an adapter whose B is not nought, as the config makes it."""
    import torch

    from finetune.training import trained_model

    config = StageConfig(
        "sft", "sft", ("rows.jsonl",), base=BaseSettings(model=str(tiny_base)),
        adapter=AdapterSettings(method=method, rank=16), training=TrainingSettings(kernels=kernels, **training),
    )  # fmt: skip
    model = trained_model(config).train()
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.05, generator=generator)
    return model


def batch(packed: bool = True) -> dict[str, Any]:
    import numpy as np

    from finetune.token_batches import TokenCollator, TokenRow

    numbers = np.random.default_rng(5)
    rows = []
    for length in (9, 70, 33):
        ids = numbers.integers(3, 270, length).astype(np.int32)
        labels = ids.copy()
        labels[: length // 3] = -100
        rows.append(TokenRow(ids, labels))
    return TokenCollator(0, packed)([rows])


def gradients(model: Any, inputs: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    model.zero_grad(set_to_none=True)
    loss = model(**inputs, use_cache=False).loss
    loss.backward()
    return float(loss), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def distance(left: dict[str, Any], right: dict[str, Any]) -> float:
    assert set(left) == set(right)
    return max(float((left[name] - right[name]).norm() / right[name].norm().clamp(min=1e-12)) for name in right)


@pytest.mark.parametrize("method", METHODS)
def test_a_fused_adapter_has_the_loss_and_the_gradients_of_the_library(tiny_base: Path, method: str) -> None:
    plain, fused = (adapted(tiny_base, method, kernels) for kernels in ("plain", "fused"))
    inputs = {name: value for name, value in batch().items() if name in ("input_ids", "labels", "position_ids")}
    loss, expected = gradients(plain, inputs)
    fused_loss, found = gradients(fused, inputs)
    assert fused_loss == pytest.approx(loss, abs=1e-5) and distance(found, expected) < 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_layers_computed_again_on_the_way_back_give_the_same_gradients(tiny_base: Path, method: str) -> None:
    from finetune.trainer_run import recompute_some

    model = adapted(tiny_base, method, "fused")
    inputs = {name: value for name, value in batch().items() if name in ("input_ids", "labels", "position_ids")}
    expected = gradients(model, inputs)
    for every in (1, 2):
        model.gradient_checkpointing_enable({"use_reentrant": False})
        recompute_some(model, every)
        assert (
            sum(bool(getattr(part, "gradient_checkpointing", False)) for part in model.get_base_model().model.layers)
            == 2 // every
        )
        loss, found = gradients(model, inputs)
        assert loss == pytest.approx(expected[0], abs=1e-6) and distance(found, expected[1]) < 1e-5


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("chunk", [7, 2048])
def test_a_chunked_loss_is_the_whole_one(tiny_base: Path, chunk: int, packed: bool) -> None:
    from finetune.token_loss import chunked_loss

    whole, chunked = (adapted(tiny_base, "lora", "plain") for _ in range(2))
    assert chunked_loss(chunked, chunk) and not chunked_loss(whole, 0)
    inputs = {
        name: value for name, value in batch(packed).items() if "seq_lens" not in name and "max_length" not in name
    }
    loss, expected = gradients(whole, inputs)
    chunked_loss_value, found = gradients(chunked, inputs)
    assert chunked_loss_value == pytest.approx(loss, abs=1e-5) and distance(found, expected) < 1e-4


def test_a_chunked_loss_is_the_whole_one_where_weights_are_spread_and_the_head_is_a_part_of_its_own(
    tiny_base: Path, tmp_path: Path
) -> None:
    """As accelerate spreads a model under FSDP2: each module's weights are whole only while it is called."""
    import torch
    from torch.distributed import destroy_process_group, init_process_group
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from finetune.token_loss import chunked_loss

    whole, spread = (adapted(tiny_base, "lora", "plain") for _ in range(2))
    inputs = {name: value for name, value in batch(True).items() if "seq_lens" not in name and "max_length" not in name}
    expected, _ = gradients(whole, inputs)
    init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        chunked_loss(spread, 16)
        mesh = init_device_mesh("cpu", (1,))
        base = spread.get_base_model()
        for module in (*base.model.layers, base.get_input_embeddings(), base.get_output_embeddings(), spread):
            fully_shard(module, mesh=mesh)
        loss = spread(**inputs).loss
        loss.backward()
        learnt = [weight.grad for weight in spread.parameters() if weight.requires_grad]
        assert learnt and all(one is not None for one in learnt)
        assert float(loss.detach()) == pytest.approx(expected, abs=1e-4)
    finally:
        destroy_process_group()
    assert isinstance(next(spread.parameters()), torch.distributed.tensor.DTensor)


def test_a_chunked_loss_teaches_the_head_too(tiny_base: Path) -> None:
    """A base that learns whole: the head's gradient is made beside the states'."""
    import torch

    from finetune.token_loss import summed_loss

    states, weight = torch.randn(11, 8, requires_grad=True), torch.randn(30, 8, requires_grad=True)
    targets = torch.arange(11)
    summed_loss(states, weight, targets, 4).backward()
    found = states.grad.clone(), weight.grad.clone()
    states.grad = weight.grad = None
    torch.nn.functional.cross_entropy(states @ weight.t(), targets, reduction="sum").backward()
    assert torch.allclose(found[0], states.grad, atol=1e-5) and torch.allclose(found[1], weight.grad, atol=1e-5)


def test_an_adapter_switched_off_or_joined_by_another_goes_the_librarys_way(tiny_base: Path) -> None:
    import torch

    plain, fused = (adapted(tiny_base, "lora", kernels) for kernels in ("plain", "fused"))
    ids = torch.arange(3, 99)[None]
    with torch.no_grad():
        assert torch.allclose(plain(ids).logits, fused(ids).logits, atol=1e-4)
        with plain.disable_adapter(), fused.disable_adapter():
            assert torch.equal(plain(ids).logits, fused(ids).logits)
    for model in (plain, fused):
        model.add_adapter("other", model.peft_config["default"])
        model.base_model.set_adapter(["default", "other"])
    assert torch.allclose(plain(ids).logits, fused(ids).logits, atol=1e-4)


def test_packing_fills_every_sequence_it_can_and_loses_no_row() -> None:
    import numpy as np

    from finetune.token_batches import TokenRow, packed

    lengths = np.random.default_rng(1).integers(2, 300, 500)
    rows = [TokenRow(np.full(length, number), np.zeros(length)) for number, length in enumerate(lengths)]
    sequences = packed(rows, 1024)
    assert sorted(int(row.input_ids[0]) for sequence in sequences for row in sequence) == list(range(500))
    assert max(sum(map(len, sequence)) for sequence in sequences) <= 1024
    assert len(sequences) <= int(lengths.sum()) // 1024 + 2


@pytest.mark.parametrize("method", METHODS)
def test_the_fused_step_trains_what_the_librarys_trains(tiny_base: Path, tmp_path: Path, method: str) -> None:
    import json

    from finetune.training import train_stage

    rows = [{"prompt": f"发烧{number}天", "completion": "多喝水，测体温。"} for number in range(8)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    losses = []
    for kernels in ("plain", "fused"):
        training = TrainingSettings(
            max_steps=5, batch_size=2, accumulate=1, learning_rate=5e-3, max_tokens=128, log_every=1, packing=True,
            warmup_share=0.0, scheduler="constant", kernels=kernels,
        )  # fmt: skip
        config = StageConfig(
            "sft", "sft", ("rows.jsonl",), base=BaseSettings(model=str(tiny_base)),
            adapter=AdapterSettings(method=method, rank=16), training=training,
        )  # fmt: skip
        losses.append(train_stage(replace(config, name=kernels), tmp_path, tmp_path / kernels)["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)
