"""Attention over packed rows that computes each document alone, by torch's own variable-length flash kernel.

sdpa keeps packed documents apart by a mask, but computes the whole square; this does not, where the GPU has it.
"""

from __future__ import annotations

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
    AttentionInterface.register(NAME, varlen_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def varlen_attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float | None = None, **kwargs: Any
) -> tuple[Any, None]:
    """query: (1, heads, tokens, width) of packed documents, whose ends stand in cu_seq_lens_q."""
    from torch.nn.attention.varlen import varlen_attn
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    ends = kwargs.get("cu_seq_lens_q")
    if ends is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    groups = query.shape[1] // key.shape[1]  # the kernel wants as many key heads as query heads
    rows, keys, values = (
        tensor[0].transpose(0, 1)
        for tensor in (query, key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1))
    )
    ends = ends.to(query.device)
    longest = int(kwargs["max_length_q"])
    out: Any = varlen_attn(rows, keys, values, ends, ends, longest, longest, scale=scaling, window_size=(-1, 0))
    return out.unsqueeze(0), None
