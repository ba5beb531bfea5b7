"""The encoder in training: a pre-norm transformer whose weights carry ModernBERT's names.

Pre-norm because a post-norm one at these learning rates never leaves the unigram loss. Without layers it is a static
embedder: the mean of its tokens' rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from finetune.embedder_graph import EncoderShape, rotary_tables
from finetune.embedder_tokens import PAD_ID

LONGEST_ROTATED = 1024
INITIAL_SPREAD = 0.02
LENGTH_STEP = 32  # texts of a batch are padded to a multiple of this, so that few shapes occur


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.Wqkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.Wo = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, rows: torch.Tensor, mask: torch.Tensor | None, cosines: torch.Tensor, sines: torch.Tensor) -> Any:
        n, tokens, width = rows.shape
        query, key, value = self.Wqkv(rows).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key = turned(query, cosines, sines), turned(key, cosines, sines)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.Wo(mixed.transpose(1, 2).reshape(n, tokens, width))


def turned(rows: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Rotary positions: the halves of every head turned by their position's angles."""
    one, other = rows.chunk(2, dim=-1)
    return torch.cat((one * cosines - other * sines, other * cosines + one * sines), dim=-1).to(rows.dtype)


class FeedForward(nn.Module):
    """ModernBERT's gated feed-forward block."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.Wi = nn.Linear(shape.width, 2 * shape.inner, bias=False)
        self.Wo = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(self, rows: torch.Tensor) -> Any:
        shown, gate = self.Wi(rows).chunk(2, dim=-1)
        return self.Wo(F.gelu(shown) * gate)


class Layer(nn.Module):
    """One pre-norm encoder layer; the first has its norm in the embeddings."""

    def __init__(self, shape: EncoderShape, first: bool) -> None:
        super().__init__()
        self.attn_norm = nn.Identity() if first else nn.LayerNorm(shape.width, shape.epsilon, bias=False)
        self.attn = Attention(shape)
        self.mlp_norm = nn.LayerNorm(shape.width, shape.epsilon, bias=False)
        self.mlp = FeedForward(shape)

    def forward(
        self, rows: torch.Tensor, mask: torch.Tensor | None, cosines: torch.Tensor, sines: torch.Tensor, dropout: float
    ) -> torch.Tensor:
        rows = rows + F.dropout(self.attn(self.attn_norm(rows), mask, cosines, sines), dropout, self.training)
        return rows + F.dropout(self.mlp(self.mlp_norm(rows)), dropout, self.training)


class Embeddings(nn.Module):
    """Token embeddings and their norm."""

    def __init__(self, shape: EncoderShape, vocabulary: int) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocabulary, shape.width, padding_idx=PAD_ID)
        self.norm = nn.LayerNorm(shape.width, shape.epsilon, bias=False)

    def forward(self, ids: torch.Tensor) -> Any:
        return self.norm(self.tok_embeddings(ids))


class Encoder(nn.Module):
    """ids (n, tokens) → token rows (n, tokens, width); `vectors` pools them."""

    cosines: torch.Tensor
    sines: torch.Tensor

    def __init__(self, shape: EncoderShape, vocabulary: int) -> None:
        super().__init__()
        self.shape, self.dropout = shape, 0.0
        self.embeddings = Embeddings(shape, vocabulary)
        self.layers = nn.ModuleList(Layer(shape, first=number == 0) for number in range(shape.layers))
        self.final_norm = nn.LayerNorm(shape.width, shape.epsilon, bias=False)
        for name, table in zip(("cosines", "sines"), rotary_tables(shape, LONGEST_ROTATED), strict=True):
            self.register_buffer(name, torch.from_numpy(table), persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                onto_residual = name.endswith("Wo.weight")
                nn.init.normal_(
                    weight, std=INITIAL_SPREAD / ((2 * max(1, shape.layers)) ** 0.5 if onto_residual else 1)
                )

    def forward(self, ids: torch.Tensor, present: torch.Tensor | None = None) -> torch.Tensor:
        """present: (n, tokens) bool, False where a row is padding; None where there is none."""
        mask = None if present is None else present[:, None, None, :]
        cosines, sines = self.cosines[: ids.shape[1]], self.sines[: ids.shape[1]]
        rows = self.embeddings(ids)
        for layer in self.layers:
            rows = layer(rows, mask, cosines, sines, self.dropout)
        return self.final_norm(rows)

    def vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """(n, width) float32: the mean of the token rows that are no padding, not yet of unit length."""
        present = ids != PAD_ID
        rows = self.forward(ids, present).float()
        return (rows * present[..., None]).sum(1) / present.sum(1, keepdim=True)


def padded(rows: Sequence[np.ndarray], max_tokens: int) -> np.ndarray:
    """(n, tokens) int64 of rows cut at max_tokens, the width a multiple of LENGTH_STEP."""
    longest = min(max_tokens, max(len(row) for row in rows))
    ids = np.full((len(rows), -(-longest // LENGTH_STEP) * LENGTH_STEP), PAD_ID, dtype=np.int64)
    for line, row in enumerate(rows):
        ids[line, : min(len(row), max_tokens)] = row[:max_tokens]
    return ids


def vectors_of(encoder: Encoder, rows: Sequence[np.ndarray], max_tokens: int, part: int = 512) -> torch.Tensor:
    """(n, width) of many rows, in parts of like length so that little is padding; gradients flow through."""
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    device = encoder.final_norm.weight.device
    found = [
        encoder.vectors(
            torch.from_numpy(padded([rows[row] for row in order[start : start + part]], max_tokens)).to(device)
        )
        for start in range(0, len(order), part)
    ]
    places = torch.empty(len(order), dtype=torch.long)
    places[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(found)[places.to(device)]


def encoded(encoder: Encoder, rows: Sequence[np.ndarray], max_tokens: int) -> torch.Tensor:
    """(n, width) unit vectors, without gradients."""
    encoder.eval()
    with torch.no_grad(), mixed_precision(encoder):
        found = F.normalize(vectors_of(encoder, rows, max_tokens), dim=-1)
    encoder.train()
    return found


def mixed_precision(encoder: Encoder) -> Any:
    """bfloat16 where the hardware multiplies it faster; plain float32 on a CPU."""
    device = encoder.final_norm.weight.device.type
    return torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda")
