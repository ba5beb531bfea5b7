"""The arithmetic between a model's matrix products, in as few passes over memory as it needs.

Each is a function of torch alone, right on any device, and a Triton kernel of the same result for a GPU. The kernels read
every number once or twice, where the functions make five to ten passes; at 16,384 tokens a step that is a tenth of the time.
Imports torch: import it where a model is loaded.
"""

from __future__ import annotations

import os
from typing import Any

import torch

try:
    import triton
    import triton.language as tl
except ImportError:  # a CPU's torch comes without it
    triton = None

LARGEST_RANK = 64  # of an adapter, as a tile of the kernels can hold it


def kernels_run(tensor: Any) -> bool:
    """Whether the Triton kernels work where a tensor is; TRITON_INTERPRET=1 runs them on a CPU, slowly, to test them."""
    return triton is not None and (tensor.is_cuda or os.environ.get("TRITON_INTERPRET") == "1")


def loss_and_gradient(logits: Any, targets: Any) -> tuple[Any, Any]:
    """(−log p of each target in float32, gradient of their sum by the logits, which it may overwrite).

    logits: (tokens, vocabulary); targets: (tokens,) int64.
    """
    if kernels_run(logits):
        losses = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
        _cross_entropy[(len(logits),)](
            logits, targets, losses, logits.stride(0), logits.shape[1], BLOCK=_block(logits.shape[1]), num_warps=16
        )
        return losses, logits
    shares = torch.log_softmax(logits, -1, dtype=torch.float32)
    losses = -shares.gather(-1, targets[:, None])[:, 0]
    gradient = shares.exp_().to(logits.dtype)
    gradient[torch.arange(len(targets), device=targets.device), targets] -= 1
    return losses, gradient


def gated(gate: Any, up: Any, low_gate: Any, low_up: Any, b_gate: Any, b_up: Any) -> Any:
    """silu(gate + low_gate bᵀ) · (up + low_up bᵀ): a gated layer whose two products still lack their adapters' share.

    gate, up: (tokens, inner); low_…: (tokens, rank), the input by A; b_…: (inner, rank), B with its scaling.
    """
    if _fits(gate, low_gate):
        out = torch.empty_like(gate)
        _gated_forward[_tiles(gate)](
            gate, up, low_gate, low_up, b_gate, b_up, out, *gate.shape,
            RANK=low_gate.shape[1], ROWS=_ROWS, COLUMNS=_COLUMNS, num_warps=8,
        )  # fmt: skip
        return out
    return torch.nn.functional.silu(torch.addmm(gate, low_gate, b_gate.t())) * torch.addmm(up, low_up, b_up.t())


def gated_backward(
    gate: Any, up: Any, low_gate: Any, low_up: Any, b_gate: Any, b_up: Any, gradient: Any, low_down: Any, a_down: Any
) -> tuple[Any, Any, Any]:
    """(the gated activation anew, gradient by gate, gradient by up), for the gradient: gradient + low_down a_down.

    low_down: (tokens, rank); a_down: (rank, inner). The kernel writes over gradient, gate and up.
    """
    if _fits(gate, low_gate) and low_down.shape[1] == low_gate.shape[1]:
        _gated_backward[_tiles(gate)](
            gate, up, low_gate, low_up, b_gate, b_up, gradient, low_down, a_down, *gate.shape,
            RANK=low_gate.shape[1], ROWS=_ROWS, COLUMNS=_COLUMNS, num_warps=8,
        )  # fmt: skip
        return gradient, gate, up
    gate, up = torch.addmm(gate, low_gate, b_gate.t()), torch.addmm(up, low_up, b_up.t())
    gradient = torch.addmm(gradient, low_down, a_down)
    share = torch.sigmoid(gate)
    silu = gate * share
    return silu * up, gradient * up * (share + silu * (1 - share)), gradient * silu


_ROWS, _COLUMNS = 32, 128  # a tile that leaves each of 256 threads some 90 registers


def _fits(tensor: Any, low: Any) -> bool:
    rank = low.shape[1]
    exact = not tensor.is_cuda or tensor.dtype != torch.float32  # tiles of float32 would be multiplied in tf32
    return kernels_run(tensor) and exact and 16 <= rank <= LARGEST_RANK and rank & (rank - 1) == 0


def _tiles(tensor: Any) -> tuple[int, int]:
    rows, columns = tensor.shape
    return triton.cdiv(columns, _COLUMNS), triton.cdiv(rows, _ROWS)


def _block(vocabulary: int) -> int:
    return min(16384, triton.next_power_of_2(vocabulary))


if triton is not None:

    @triton.jit
    def _cross_entropy(logits, targets, losses, stride, vocabulary, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
        """One row: its greatest logit and the sum of exponents in one pass, the gradient in a second, in place."""
        row = tl.program_id(0).to(tl.int64)
        logits += row * stride
        target = tl.load(targets + row)
        greatest = float("-inf")
        total = 0.0
        for start in range(0, vocabulary, BLOCK):
            places = start + tl.arange(0, BLOCK)
            part = tl.load(logits + places, mask=places < vocabulary, other=float("-inf")).to(tl.float32)
            higher = tl.maximum(greatest, tl.max(part, 0))
            total = total * tl.exp(greatest - higher) + tl.sum(tl.exp(part - higher), 0)
            greatest = higher
        scale = greatest + tl.log(total)
        tl.store(losses + row, scale - tl.load(logits + target).to(tl.float32))
        tl.debug_barrier()  # the target's logit is read before its place is written
        for start in range(0, vocabulary, BLOCK):
            places = start + tl.arange(0, BLOCK)
            inside = places < vocabulary
            part = tl.load(logits + places, mask=inside, other=float("-inf")).to(tl.float32)
            share = tl.exp(part - scale) - tl.where(places == target, 1.0, 0.0)
            tl.store(logits + places, share.to(logits.dtype.element_ty), mask=inside)

    @triton.jit(do_not_specialize=["rows"])
    def _gated_forward(  # type: ignore[no-untyped-def]
        gate, up, low_gate, low_up, b_gate, b_up, out, rows, inner,
        RANK: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    ):  # fmt: skip
        row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
        column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
        rank = tl.arange(0, RANK)
        inside = (row < rows)[:, None] & (column < inner)[None, :]
        places = row.to(tl.int64)[:, None] * inner + column[None, :]
        lows = row[:, None] * RANK + rank[None, :]
        bs = column[None, :] * RANK + rank[:, None]
        here, there = (row < rows)[:, None], (column < inner)[None, :]
        g = tl.load(gate + places, mask=inside, other=0.0).to(tl.float32)
        g += tl.dot(tl.load(low_gate + lows, mask=here, other=0.0), tl.load(b_gate + bs, mask=there, other=0.0))
        u = tl.load(up + places, mask=inside, other=0.0).to(tl.float32)
        u += tl.dot(tl.load(low_up + lows, mask=here, other=0.0), tl.load(b_up + bs, mask=there, other=0.0))
        tl.store(out + places, (g * tl.sigmoid(g) * u).to(out.dtype.element_ty), mask=inside)

    @triton.jit(do_not_specialize=["rows"])
    def _gated_backward(  # type: ignore[no-untyped-def]
        gate, up, low_gate, low_up, b_gate, b_up, gradient, low_down, a_down, rows, inner,
        RANK: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    ):  # fmt: skip
        """Writes the activation over the gradient, and the gradients of gate and up over these."""
        row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
        column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
        rank = tl.arange(0, RANK)
        inside = (row < rows)[:, None] & (column < inner)[None, :]
        places = row.to(tl.int64)[:, None] * inner + column[None, :]
        lows = row[:, None] * RANK + rank[None, :]
        bs = column[None, :] * RANK + rank[:, None]
        downs = rank[:, None] * inner + column[None, :]
        here, there = (row < rows)[:, None], (column < inner)[None, :]
        g = tl.load(gate + places, mask=inside, other=0.0).to(tl.float32)
        g += tl.dot(tl.load(low_gate + lows, mask=here, other=0.0), tl.load(b_gate + bs, mask=there, other=0.0))
        u = tl.load(up + places, mask=inside, other=0.0).to(tl.float32)
        u += tl.dot(tl.load(low_up + lows, mask=here, other=0.0), tl.load(b_up + bs, mask=there, other=0.0))
        d = tl.load(gradient + places, mask=inside, other=0.0).to(tl.float32)
        d += tl.dot(tl.load(low_down + lows, mask=here, other=0.0), tl.load(a_down + downs, mask=there, other=0.0))
        share = tl.sigmoid(g)
        silu = g * share
        tl.store(gradient + places, (silu * u).to(gradient.dtype.element_ty), mask=inside)
        tl.store(gate + places, (d * u * (share + silu * (1 - share))).to(gate.dtype.element_ty), mask=inside)
        tl.store(up + places, (d * silu).to(up.dtype.element_ty), mask=inside)
