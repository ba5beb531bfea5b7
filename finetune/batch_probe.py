"""The largest batch that fits: on a GPU by trying the longest rows forwards and backwards, on a CPU by the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from finetune.base_model import device_name
from finetune.plan import counted, memory_bytes, shape_of_base
from finetune.stage_config import StageConfig
from finetune.training import StageInputs, trained_model
from knowledge.errors import TrainingFailed

LARGEST = 256
CPU_SHARE = 0.6  # of the free memory


def with_probed_batch(config: StageConfig, inputs: StageInputs) -> StageConfig:
    """The config with a batch size that fits, and as many rows a step as it asked for (16 where it does not say)."""
    (count, _), shape = counted(config, inputs), shape_of_base(config)
    if device_name() == "cuda":
        tokens = config.training.max_tokens if config.training.packing else count.longest
        fits = _tried_on_gpu(config, tokens)
    else:
        import psutil

        free = psutil.virtual_memory().available * CPU_SHARE
        fits = lambda size: memory_bytes(config, shape, count, size) <= free  # noqa: E731
    size = largest_batch(fits, min(LARGEST, max(1, count.rows)))
    rows_a_step = max(config.training.accumulate, size)
    training = replace(config.training, batch_size=size, accumulate=max(1, rows_a_step // size))
    return replace(config, training=training)


def largest_batch(fits: Callable[[int], bool], most: int) -> int:
    """The largest power of two that fits. Raises TrainingFailed where one row does not."""
    size = 0
    while (size * 2 or 1) <= most and fits(size * 2 or 1):
        size = size * 2 or 1
    if not size:
        raise TrainingFailed("out of memory with a single row; lower [training] max_tokens or take a smaller base")
    return size


def _tried_on_gpu(config: StageConfig, tokens: int) -> Callable[[int], bool]:
    import torch

    model: Any = trained_model(config)
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if config.training.gradient_checkpointing and config.adapter.method != "prefix":
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    pairs = 2 if config.stage in ("rm", "dpo") else 1

    def fits(size: int) -> bool:
        ids = torch.zeros(size * pairs, tokens, dtype=torch.long, device="cuda")
        try:
            with torch.autocast("cuda", torch.bfloat16):
                states = getattr(base, base.base_model_prefix)(input_ids=ids).last_hidden_state
            states.float().mean().backward()
            room = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.max_memory_allocated()
            return bool(room > 2 * min(ids.numel(), 4096) * model.config.get_text_config().vocab_size * 4)
        except torch.cuda.OutOfMemoryError:
            return False
        finally:
            model.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()

    return fits
