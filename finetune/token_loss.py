"""The cross-entropy of a language model without its logits ever standing whole in memory.

A vocabulary of 152,064 makes 600 kB of logits a token in float32: more than all that a layer keeps for it. So the head is
asked a chunk of tokens at a time, only where something is learnt, and the gradient of its input is made in the same pass:
no logits are kept, and none are computed twice. Imports torch: import it where a model is loaded.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.modeling_outputs import CausalLMOutputWithPast

from finetune.gpu_kernels import loss_and_gradient

OF_THE_LOGITS = ("final_logit_softcapping", "logits_scaling", "logit_scale")  # what some bases do to them


def chunked_loss(model: Any, chunk_tokens: int) -> bool:
    """Makes a causal model's forward give the loss alone, where a batch says what is learnt; False where the base cannot.

    model: the model, or the adapted model on it. chunk_tokens: tokens whose logits stand at once; 0 leaves them whole.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder: Any = getattr(base, base.base_model_prefix, None)
    head, config, whole = base.get_output_embeddings(), base.config.get_text_config(), base.forward
    head_alone = head.forward
    plain_head = type(head) is torch.nn.Linear and head.bias is None
    chunked = bool(
        chunk_tokens
        and plain_head
        and decoder is not None
        and not any(getattr(config, name, None) for name in OF_THE_LOGITS)
    )

    def forward(*args: Any, labels: Any = None, learnt: Any = None, targets: Any = None, **inputs: Any) -> Any:
        if learnt is None or not chunked:
            return whole(*args, labels=labels, **inputs)
        count = inputs.pop("num_items_in_batch", None)
        states = decoder(*args, **inputs).last_hidden_state
        # called, not read: under FSDP2 a module's weights are whole only while it is called
        total = head(states.reshape(-1, states.shape[-1]).index_select(0, learnt), targets=targets)
        count = torch.as_tensor(len(targets) if count is None else count, device=total.device)
        return CausalLMOutputWithPast(loss=total / count.clamp(min=1))

    def head_forward(states: Any, targets: Any = None) -> Any:
        return head_alone(states) if targets is None else summed_loss(states, head.weight, targets, chunk_tokens)

    base.forward = forward
    if chunked:
        head.forward = head_forward
    return chunked


def summed_loss(states: Any, weight: Any, targets: Any, chunk_tokens: int) -> Any:
    """Sum of −log p(target). states: (tokens, width) before the head; weight: (vocabulary, width)."""
    device = states.device.type
    if torch.is_autocast_enabled(device):
        states = states.to(torch.get_autocast_dtype(device))
    return _ChunkedCrossEntropy.apply(states, weight, targets, chunk_tokens)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Any, weight: Any, targets: Any, chunk_tokens: int) -> Any:
        wanted, learns = ctx.needs_input_grad[:2]
        head = weight.detach().to(states.dtype)
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        of_states = torch.empty_like(states) if wanted else None
        of_head = torch.zeros_like(weight) if learns else None
        for start in range(0, len(states), chunk_tokens):
            part = states[start : start + chunk_tokens]
            losses, gradient = loss_and_gradient(part @ head.t(), targets[start : start + chunk_tokens])
            total += losses.sum()
            if of_states is not None:
                torch.mm(gradient, head, out=of_states[start : start + chunk_tokens])
            if of_head is not None:
                of_head += gradient.t() @ part
        ctx.save_for_backward(of_states, of_head)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        return *(None if one is None else one * gradient.to(one.dtype) for one in ctx.saved_tensors), None, None
