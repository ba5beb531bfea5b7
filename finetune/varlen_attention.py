"""Attention over packed rows that computes each document alone, by torch's own variable-length flash kernel.

sdpa keeps packed documents apart by a mask, but computes the whole square; this does not, where the GPU has it.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from finetune.base_model import compute_dtype, device_name
from finetune.stage_config import BaseSettings
from knowledge.errors import TrainingFailed

NAME = "varlen"


def attention_for(settings: BaseSettings, packing: bool) -> str:
    """The attention to load a base with; "" leaves it to the library."""
    if settings.attention == "varlen" and not (packing and varlen_works(settings)):
        raise TrainingFailed("[base] attention varlen needs packing, a GPU and bfloat16; use auto")
    if settings.attention == "auto" and not (packing and varlen_works(settings)):
        return ""
    if settings.attention in ("auto", "varlen"):
        register_varlen()
        return NAME
    return settings.attention


def varlen_works(settings: BaseSettings) -> bool:
    """Whether this GPU, torch and dtype have flash attention for rows of different lengths."""
    import torch

    if device_name() != "cuda" or compute_dtype(settings) is not torch.bfloat16:
        return False
    try:
        import torch.nn.attention.varlen
    except ImportError:
        return False
    return torch.cuda.get_device_capability()[0] >= 8


def register_varlen() -> None:
    """Makes the kernel known to transformers as "varlen"; rows that are not packed go through sdpa."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    sdpa_mask = ALL_MASK_ATTENTION_FUNCTIONS["sdpa"]

    def mask_of(*args: Any, **kwargs: Any) -> Any:
        """None for packed rows: the square of a whole batch is neither needed nor small."""
        if kwargs.get("attention_mask") is None and not kwargs.get("allow_is_causal_skip", True):
            return None
        return sdpa_mask(*args, **kwargs)

    AttentionInterface.register(NAME, varlen_attention)
    AttentionMaskInterface.register(NAME, mask_of)


def varlen_attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float | None = None, **kwargs: Any
) -> tuple[Any, None]:
    """query: (1, heads, tokens, width) of packed documents, whose ends stand in cu_seq_lens_q."""
    from torch.nn.attention.varlen import varlen_attn
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    ends = kwargs.get("cu_seq_lens_q")
    if ends is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    rows, keys, values = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    options: dict[str, Any] = {"scale": scaling, "window_size": ((kwargs.get("sliding_window") or 0) - 1, 0)}
    if takes_fewer_key_heads():
        options["enable_gqa"] = True
    else:
        groups = query.shape[1] // key.shape[1]
        keys, values = (tensor.repeat_interleave(groups, 1) for tensor in (keys, values))
    ends, longest = ends.to(query.device), int(kwargs["max_length_q"])
    out: Any = varlen_attn(rows, keys, values, ends, ends, longest, longest, **options)
    return out.unsqueeze(0), None


@cache
def takes_fewer_key_heads() -> bool:
    """Since torch 2.12; before, every query head needs a key head of its own."""
    from torch.nn.attention.varlen import varlen_attn

    return "enable_gqa" in inspect.signature(varlen_attn).parameters
