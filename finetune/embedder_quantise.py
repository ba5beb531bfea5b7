"""The scales an eight-bit encoder needs, found on sample texts.

Channels that are large in the activations and small in the weights (or the other way round) are first evened out:
what one is divided by the other is multiplied by (SmoothQuant: Xiao et al., ICML 2023). The factors go into the
weights that make the activations, so the function stays the same and costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from finetune.embedder_encoder import Encoder, encoded

Weights = dict[str, np.ndarray]
TEXTS_A_STEP = 16
KEPT_ROWS = 8192  # token rows sampled for each weight
LARGEST_BYTE = 127
HIGHEST_SHARE = 0.9999  # of the activations lie within the range; what lies beyond is cut


def weights_of(encoder: Encoder) -> Weights:
    """float32 arrays by name."""
    return {name: weight.detach().float().cpu().numpy() for name, weight in encoder.state_dict().items()}


def activations_of(encoder: Encoder, texts: Sequence[np.ndarray], max_tokens: int) -> dict[str, np.ndarray]:
    """(KEPT_ROWS or fewer, depth): by a weight's name a sample of the rows it is multiplied with."""
    seen: dict[str, list[torch.Tensor]] = {}
    hooks = []
    for name, module in encoder.named_modules():
        if isinstance(module, torch.nn.Linear):
            kept = seen.setdefault(f"{name}.weight", [])
            hooks.append(
                module.register_forward_pre_hook(
                    lambda _module, inputs, kept=kept: kept.append(inputs[0].flatten(0, 1)[::7].float().cpu())
                )
            )
    try:
        for start in range(0, len(texts), TEXTS_A_STEP):
            encoded(encoder, texts[start : start + TEXTS_A_STEP], max_tokens)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(rows)[-KEPT_ROWS:].numpy() for name, rows in seen.items()}


def smoothed(weights: Weights, activations: dict[str, np.ndarray]) -> tuple[Weights, dict[str, float]]:
    """Weights of the same function with even channels, and the size of one step of what each is multiplied with."""
    even, scales = dict(weights), {}
    for name, rows in activations.items():
        factors = channel_factors(rows, weights[name]) if (maker := maker_of(name, weights)) else np.ones(rows.shape[1])
        if maker:
            made, part = maker
            changed = even[made].copy()
            changed[part] = (changed[part].T / factors).T
            even[made] = changed
        even[name] = (even[name] * factors).astype(np.float32)
        scales[name] = float(np.quantile(np.abs(rows / factors), HIGHEST_SHARE)) / LARGEST_BYTE or 1.0
    return even, scales


def channel_factors(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What each channel of the activations is divided by. rows: (n, depth); weight: (columns, depth)."""
    in_rows = np.maximum(np.abs(rows).max(axis=0), 1e-5)
    in_weight = np.maximum(np.abs(weight).max(axis=0), 1e-5)
    factors: np.ndarray = np.sqrt(in_rows / in_weight)
    return factors / np.exp(np.log(factors).mean())


def maker_of(name: str, weights: Weights) -> tuple[str, slice] | None:
    """The weight, and the part of it, whose rows make the channels that the named weight reads; None for the first layer."""
    layer, _, kind = name.removesuffix(".weight").rpartition(".")
    if kind == "Wqkv":
        norm = f"{layer}_norm.weight"
        return (norm, slice(None)) if norm in weights else None
    if kind == "Wi":
        return f"{layer}_norm.weight", slice(None)
    made = f"{layer}.Wqkv.weight" if layer.endswith("attn") else f"{layer}.Wi.weight"
    size = len(weights[made])
    return made, slice(size * 2 // 3, size) if layer.endswith("attn") else slice(size // 2, size)
