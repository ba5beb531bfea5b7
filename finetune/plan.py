"""`daozhen train --dry-run`: what a run will read, how many steps it takes, and about how much memory and time.

Memory and time are estimates: weights, learnt parameters with their Adam moments, and activations by the model's shape;
time by the floating point operations of the steps, padding with them, at the speed a short measurement shows for this machine.
What a layer keeps and how much of that speed training reaches were measured on a 7 B base (tests/test_finetune_plan.py).
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.base_model import compute_dtype, device_name
from finetune.preference_rows import longest
from finetune.stage_config import StageConfig
from finetune.stage_rows import require_files
from finetune.supervision import TokenCount, dialogue_tokens, text_tokens
from finetune.training import StageInputs, prepare_libraries, stage_inputs, takes_fused_step

BITS_NF4 = 4.127  # a weight with its doubly quantized scale (QLoRA, section 3)
BYTES_LEARNT = 16  # a learnt parameter in float32, its gradient and two moments
HELD = {
    True: (8.2, 2),
    False: (10.2, 4),
}  # by the fused step: tensors of hidden and inner width a layer keeps for its gradient
UTILISATION = {"gpu, fused": 0.63, "gpu": 0.48, "cpu": 0.4}  # of the measured matrix speed, as training reaches it
CHUNKED = ("pt", "sft")  # stages whose logits are asked for in chunks, where something is learnt
ANSWERS = {"rm": ("chosen", "rejected"), "dpo": ("chosen", "rejected"), "kto": ("completion",)}
PASSES = {"rm": 2, "dpo": 4, "kto": 2}  # forward passes over a row's tokens, against one answer's one


@dataclass(frozen=True)
class Shape:
    """A base by its config. linear: weights that 4 bit and LoRA reach; other: embeddings, heads, norms."""

    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    linear: int
    other: int
    lora_per_rank: int


def plan(config: StageConfig, data_dir: Path) -> dict[str, Any]:
    """Rows, tokens, steps, memory (GiB) and time of a run, before it is run."""
    prepare_libraries(config)
    require_files((*config.data, *config.evaluation), data_dir)
    inputs = stage_inputs(config, data_dir)
    count, lengths = counted(config, inputs)
    shape = shape_of_base(config)
    steps = steps_of(config, count)
    step_tokens = min(count.tokens, count.tokens * config.training.epochs / max(steps, 1))
    chunked = config.stage in CHUNKED and config.training.logits_chunk
    asked = count.supervised / max(count.tokens, 1) if chunked else 1.0
    flops = flops_of(config, shape, head_share=asked) * step_tokens * steps * PASSES.get(config.stage, 1)
    flops *= padding_factor(config, lengths)
    return {
        "stage": config.stage,
        **asdict(count),
        "steps": steps,
        "weights_gib": _gib(weight_bytes(config, shape)),
        "memory_gib": _gib(memory_bytes(config, shape, count)),
        "seconds": float(f"{flops / (matrix_flops(config) * utilisation(config)):.3g}"),
        "device": device_name(),
    }


def _gib(size: float) -> float:
    return float(f"{size / 2**30:.3g}")


def counted(config: StageConfig, inputs: StageInputs) -> tuple[TokenCount, list[int]]:
    """The tokens of the rows, all and each row's, by the stage's own rendering."""
    count, max_tokens = TokenCount(), config.training.max_tokens
    lengths: list[int] = []
    if config.stage in CHUNKED:
        render = dialogue_tokens if config.stage == "sft" else text_tokens
        lengths += (len(tokens.input_ids) for tokens in render(iter(inputs.train), inputs.tokenizer, max_tokens, count))
        return count, lengths
    for row in inputs.train:
        if config.stage in ANSWERS:
            tokens = longest(row, inputs.tokenizer, ANSWERS[config.stage])
        else:
            prompt = inputs.tokenizer.apply_chat_template(
                row.values["prompt"], add_generation_prompt=True, tokenize=True, return_dict=False
            )
            new = config.ppo.max_new_tokens if config.stage == "ppo" else config.grpo.max_new_tokens
            tokens = len(prompt) + new
        if tokens > max_tokens:
            count.too_long += 1
            continue
        count.rows += 1
        count.tokens += tokens
        count.longest = max(count.longest, tokens)
        lengths.append(tokens)
    return count, lengths


def padding_factor(config: StageConfig, lengths: list[int]) -> float:
    """How many tokens are computed for each that is none of padding: rows are drawn at random, the longest decides."""
    rows = config.training.batch_size or config.training.accumulate
    if config.training.packing or not lengths:
        return 1.0
    ordered = np.sort(np.asarray(lengths, dtype=float))
    drawn_longest = np.diff((np.arange(len(ordered) + 1) / len(ordered)) ** rows)  # chance of each to be it
    return float(ordered @ drawn_longest / ordered.mean())


def steps_of(config: StageConfig, count: TokenCount) -> int:
    """Optimiser steps; of ppo, iterations."""
    training = config.training
    if config.stage == "ppo":
        return config.ppo.iterations
    if training.max_steps:
        return training.max_steps
    rows = math.ceil(count.tokens / training.max_tokens) if training.packing else count.rows
    if config.stage == "grpo":
        rows *= config.grpo.answers
    batches = math.ceil(rows / max(training.batch_size, 1))
    return math.ceil(math.ceil(batches / training.accumulate) * training.epochs)


def shape_of_base(config: StageConfig) -> Shape:
    """The base's shape, from its config alone: no weight is read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    base = AutoConfig.from_pretrained(config.base.model, local_files_only=not config.base.allow_download)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(base)
    text = base.get_text_config()
    head = model.get_output_embeddings()
    linears = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head]
    linear = sum(part.weight.numel() for part in linears)
    total = sum(parameter.numel() for parameter in model.parameters())
    per_rank = sum(part.in_features + part.out_features for part in linears)
    return Shape(
        text.num_hidden_layers,
        text.hidden_size,
        getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        text.vocab_size,
        linear,
        total - linear,
        per_rank,
    )


def learnt_parameters(config: StageConfig, shape: Shape) -> int:
    """How many numbers a stage trains."""
    if config.adapter.method == "full":
        return shape.linear + shape.other
    if config.adapter.method == "prefix":
        return config.adapter.prefix_tokens * shape.layers * 2 * shape.hidden
    return config.adapter.rank * shape.lora_per_rank * (2 if config.stage == "ppo" else 1)


def weight_bytes(config: StageConfig, shape: Shape) -> float:
    """What the weights of the base take in memory."""
    width = compute_dtype(config.base).itemsize
    return shape.linear * (BITS_NF4 / 8 if config.adapter.four_bit else width) + shape.other * width


def memory_bytes(config: StageConfig, shape: Shape, count: TokenCount, batch_size: int = 0) -> float:
    """Weights, what is learnt, what the layers keep of the largest batch, and what is at work beside it at the worst moment."""
    training, width = config.training, compute_dtype(config.base).itemsize
    longest_row = training.max_tokens if training.packing else max(count.longest, 1)
    tokens = longest_row * (batch_size or training.batch_size or 1) * (2 if config.stage in ("rm", "dpo") else 1)
    hidden, inner = HELD[takes_fused_step(config)]
    one_layer = tokens * (hidden * shape.hidden + inner * shape.intermediate) * width
    kept, at_work = one_layer * shape.layers, tokens * (shape.hidden + shape.intermediate) * width
    if training.gradient_checkpointing and config.adapter.method != "prefix":
        again = math.ceil(shape.layers / training.recompute_every)
        kept = one_layer * (shape.layers - again) + tokens * shape.hidden * width * again
        at_work += one_layer
    activations = kept + max(at_work, logits_bytes(config, shape, tokens))
    return weight_bytes(config, shape) + BYTES_LEARNT * learnt_parameters(config, shape) + activations


def logits_bytes(config: StageConfig, shape: Shape, tokens: int) -> float:
    """Two chunks: one stands while the next is made. Off a GPU their shares stand beside them in float32."""
    if config.stage not in CHUNKED:
        return min(tokens, 4096) * shape.vocabulary * 4
    chunk = min(tokens, config.training.logits_chunk or tokens)
    width = compute_dtype(config.base).itemsize
    return 2 * chunk * shape.vocabulary * (width if device_name() == "cuda" else width + 4)


def utilisation(config: StageConfig) -> float:
    """The share of a device's arithmetic that training is expected to use."""
    if device_name() != "cuda":
        return UTILISATION["cpu"]
    return UTILISATION["gpu, fused" if takes_fused_step(config) else "gpu"]


def flops_of(config: StageConfig, shape: Shape, *, recomputed: bool = True, head_share: float = 1.0) -> float:
    """Floating point operations a token: forward 2 N, backward 2 N (4 N where the base learns too), once more recomputed.

    head_share: of the tokens, those whose logits are asked for.
    """
    weights = shape.linear + head_share * shape.hidden * shape.vocabulary
    backward = 4 if config.adapter.method == "full" else 2
    again = 2 / config.training.recompute_every if recomputed and config.training.gradient_checkpointing else 0
    return weights * (2 + backward + again)


def matrix_flops(config: StageConfig) -> float:
    """Operations a second of a large matrix product on this machine, in the type it trains in."""
    import torch

    device, dtype = device_name(), compute_dtype(config.base)
    size = 4096 if device == "cuda" else 512
    left = torch.randn(size, size, device=device).to(dtype)
    best = math.inf
    for _ in range(4):
        started = time.perf_counter()
        for _ in range(4):
            left @ left
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - started) / 4)
    return 2 * size**3 / best
