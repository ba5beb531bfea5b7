"""An adapted layer as one step of the gradient, with no more numbers written than the products need.

The library computes x Wᵀ + scale · B(A x) by casting x to the adapter's type, and writing A x, B A x, its scaled form and
the sum each to memory, forwards and backwards; for a 7 B base that traffic is a third of a step. Here the product's own
output takes the adapter's share in place, x stays as it is, and of a gated layer neither the activation nor the adapters'
shares are kept: the backward pass makes them anew, which costs nothing that matters. The weights of the base, whole or in 4 bit, get
no gradient; the adapter's weights stay in float32 and are multiplied in the type of x, as autocast does.
Imports torch: import it where a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch

from finetune.gpu_kernels import gated, gated_backward

FEW_TOKENS = 64  # below, where nothing is learnt, the library's own way is quicker: 4-bit weights are read as they are


def fuse_adapters(model: Any) -> int:
    """Gives every adapted linear layer the step of this module, and every gated layer of three of them one step together.

    Returns how many linear layers it changed. A layer in a state the step does not know (another adapter's kind, dropout,
    merged, switched off) goes on as the library has it.
    """
    fused = 0
    for module in model.modules():
        if _is_adapted_linear(module):
            module.forward = MethodType(_linear_forward(module.forward), module)
            fused += 1
    for module in model.modules():
        if _is_gated(module):
            module.forward = MethodType(_gated_forward(module.forward), module)
    return fused


def _is_adapted_linear(module: Any) -> bool:
    """Whether it is a LoRA on weights that are whole or in 4 bit."""
    from peft.tuners.lora.layer import LoraLayer

    if not isinstance(module, LoraLayer):
        return False
    return type(module.get_base_layer()).__name__ in ("Linear", "Linear4bit")


def _is_gated(module: Any) -> bool:
    """Whether it is down(silu(gate(x)) · up(x)) of three adapted layers without bias."""
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    activation = getattr(module, "act_fn", None)
    linear = all(_is_adapted_linear(part) and part is not None and part.get_base_layer().bias is None for part in parts)
    return linear and type(activation).__name__ in ("SiLU", "SiLUActivation")


def _linear_forward(plain: Callable[..., Any]) -> Callable[..., Any]:
    def forward(layer: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        name = None if args or kwargs else _adapter(layer, x)
        if name is None:
            return plain(x, *args, **kwargs)
        x = _in_autocast(x)
        weight, state, bias = _base(layer)
        return _AdaptedLinear.apply(x, weight, state, bias, *_pair(layer, name))

    return forward


def _gated_forward(plain: Callable[..., Any]) -> Callable[..., Any]:
    def forward(layer: Any, x: Any) -> Any:
        parts = (layer.gate_proj, layer.up_proj, layer.down_proj)
        names = [name for part in parts if (name := _adapter(part, x)) is not None]
        if len(names) < len(parts):
            return plain(x)
        x = _in_autocast(x)
        weights = [one for part in parts for one in _base(part)[:2]]
        pairs = [one for part, name in zip(parts, names, strict=True) for one in _pair(part, name)]
        return _AdaptedGatedLayer.apply(x, *weights, *pairs)

    return forward


def _adapter(layer: Any, x: Any) -> str | None:
    """The name of the one plain adapter that speaks; None where the library's own way is right."""
    if layer.disable_adapters or layer.merged or len(layer.active_adapters) != 1:
        return None
    name: str = layer.active_adapters[0]
    if name not in layer.lora_A or name in layer.lora_variant or layer.lora_bias.get(name):
        return None
    if not isinstance(layer.lora_dropout[name], torch.nn.Identity):
        return None
    if not torch.is_grad_enabled() and x.numel() // x.shape[-1] < FEW_TOKENS:
        return None
    return name


def _in_autocast(x: Any) -> Any:
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


def _base(layer: Any) -> tuple[Any, Any, Any]:
    """(weight, how it is quantized or None, bias)."""
    base = layer.get_base_layer()
    state = getattr(base.weight, "quant_state", None)
    return base.weight, getattr(base, "quant_state", None) if state is None else state, base.bias


def _pair(layer: Any, name: str) -> tuple[Any, Any, float]:
    return layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]


def _whole(weight: Any, state: Any, dtype: Any) -> Any:
    """The weight as a matrix (out, in) of the type it is multiplied in."""
    if state is None:
        return weight.detach().to(dtype)
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(weight.detach(), state).to(dtype)


class _AdaptedLinear(torch.autograd.Function):
    """x Wᵀ + bias + (x Aᵀ)(scale · B)ᵀ. x: (…, in); A: (rank, in); B: (out, rank)."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, state: Any, bias: Any, a: Any, b: Any, scale: float) -> Any:
        rows = x.reshape(-1, x.shape[-1])
        matrix = _whole(weight, state, x.dtype).t()
        low = rows @ a.to(x.dtype).t()
        out = rows @ matrix if bias is None else torch.addmm(bias.to(x.dtype), rows, matrix)
        out.addmm_(low, (b * scale).to(x.dtype).t())
        ctx.state, ctx.scale = state, scale
        ctx.save_for_backward(rows, weight, a, b, low)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        rows, weight, a, b, low = ctx.saved_tensors
        out = gradient.reshape(-1, gradient.shape[-1])
        low_out = out @ (b * ctx.scale).to(out.dtype)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = out @ _whole(weight, ctx.state, out.dtype)
            of_x = of_x.addmm_(low_out, a.to(out.dtype)).view(*gradient.shape[:-1], -1)
        of_a = (low_out.t() @ rows).to(a.dtype)
        of_b = (out.t() @ low).to(b.dtype) * ctx.scale
        return of_x, None, None, None, of_a, of_b, None


class _AdaptedGatedLayer(torch.autograd.Function):
    """down(silu(gate(x)) · up(x)), each of the three adapted. Keeps x and the two products without their adapters.

    One way back only: on a GPU it writes over what was kept, so that retain_graph would find other numbers.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Any, w_gate: Any, s_gate: Any, w_up: Any, s_up: Any, w_down: Any, s_down: Any,
        a_gate: Any, b_gate: Any, c_gate: float, a_up: Any, b_up: Any, c_up: float, a_down: Any, b_down: Any, c_down: float,
    ) -> Any:  # fmt: skip
        kind, rows = x.dtype, x.reshape(-1, x.shape[-1])
        gate = rows @ _whole(w_gate, s_gate, kind).t()
        up = rows @ _whole(w_up, s_up, kind).t()
        low_gate, low_up = rows @ a_gate.to(kind).t(), rows @ a_up.to(kind).t()
        inner = gated(gate, up, low_gate, low_up, (b_gate * c_gate).to(kind), (b_up * c_up).to(kind))
        low_down = inner @ a_down.to(kind).t()
        out = inner @ _whole(w_down, s_down, kind).t()
        out.addmm_(low_down, (b_down * c_down).to(kind).t())
        ctx.states, ctx.scales = (s_gate, s_up, s_down), (c_gate, c_up, c_down)
        ctx.save_for_backward(
            rows, gate, up, low_gate, low_up, low_down, w_gate, w_up, w_down, a_gate, b_gate, a_up, b_up, a_down, b_down
        )
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        kind, out = gradient.dtype, gradient.reshape(-1, gradient.shape[-1])
        rows, gate, up, low_gate, low_up, low_down, w_gate, w_up, w_down, *pairs = ctx.saved_tensors
        a_gate, b_gate, a_up, b_up, a_down, b_down = pairs
        s_gate, s_up, s_down = ctx.states
        c_gate, c_up, c_down = ctx.scales
        scaled_gate, scaled_up = (b_gate * c_gate).to(kind), (b_up * c_up).to(kind)
        low_out = out @ (b_down * c_down).to(kind)
        inner, of_gate, of_up = gated_backward(
            gate,
            up,
            low_gate,
            low_up,
            scaled_gate,
            scaled_up,
            out @ _whole(w_down, s_down, kind),
            low_out,
            a_down.to(kind),
        )
        of_a_down, of_b_down = low_out.t() @ inner, out.t() @ low_down
        del inner
        down_gate, down_up = of_gate @ scaled_gate, of_up @ scaled_up
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = of_gate @ _whole(w_gate, s_gate, kind)
            of_x.addmm_(of_up, _whole(w_up, s_up, kind))
            of_x.addmm_(down_gate, a_gate.to(kind)).addmm_(down_up, a_up.to(kind))
            of_x = of_x.view(*gradient.shape[:-1], -1)
        return (
            of_x, None, None, None, None, None, None,
            (down_gate.t() @ rows).to(a_gate.dtype), (of_gate.t() @ low_gate).to(b_gate.dtype) * c_gate, None,
            (down_up.t() @ rows).to(a_up.dtype), (of_up.t() @ low_up).to(b_up.dtype) * c_up, None,
            of_a_down.to(a_down.dtype), of_b_down.to(b_down.dtype) * c_down, None,
        )  # fmt: skip
