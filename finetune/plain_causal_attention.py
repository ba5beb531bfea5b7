"""Causal attention over whole windows, for a base from scratch: rows without padding need no mask."""

from __future__ import annotations

from typing import Any

PLAIN_CAUSAL = "plain_causal"


def register_plain_causal() -> None:
    """Attention over whole windows: no mask is made, so that torch takes its flash kernel, compiled or not."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(PLAIN_CAUSAL, plain_causal_attention)
    AttentionMaskInterface.register(PLAIN_CAUSAL, lambda *_args, **_kwargs: None)


def plain_causal_attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float | None = None, **_: Any
) -> tuple[Any, None]:
    """query, key, value: (rows, heads, tokens, width)."""
    from torch.nn.functional import scaled_dot_product_attention

    groups = query.shape[1] // key.shape[1]
    out = scaled_dot_product_attention(
        query,
        key.repeat_interleave(groups, 1),
        value.repeat_interleave(groups, 1),
        is_causal=True,
        scale=scaling,
    )
    return out.transpose(1, 2).contiguous(), None
