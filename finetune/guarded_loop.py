"""The training loop of what is trained from scratch: AdamW, a rise and fall of the rate, checkpoints, a guard.

Every step draws its batch and its randomness from the seed and its own number alone, so a run that was stopped goes
on from its checkpoint as if it had never been.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from knowledge.errors import TrainingFailed

Progress = Callable[[str], None]
CHECKPOINT_SECONDS = 60.0
LINES = 8  # of progress in a phase
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class LoopSettings:
    """steps, and AdamW's settings: the rate rises from 0 over warmup_share of the steps and then falls to 0.

    least_fall: the share by which the loss must have fallen after guard_share of the steps and at the end; a run
    that has not is stopped with an error.
    """

    steps: int
    learning_rate: float
    warmup_share: float = 0.08
    weight_decay: float = 0.01
    guard_share: float = 0.2
    least_fall: float = 0.1


def train_loop(
    model: nn.Module,
    loss_of: Callable[[int], torch.Tensor],
    settings: LoopSettings,
    checkpoint: Path,
    fingerprint: str,
    progress: Progress,
) -> list[float]:
    """Runs the steps and returns the loss of each. Raises TrainingFailed if the loss does not fall.

    checkpoint: a file without a suffix; what stands there under the same fingerprint is continued, and removed when done.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    decayed = [weight for weight in weights if weight.dim() > 1]
    plain = [weight for weight in weights if weight.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        fused=weights[0].is_cuda,
    )
    losses = restored(model, optimizer, checkpoint, fingerprint)
    if losses:
        progress(f"going on after step {len(losses)}")
    kept, started, seen = time.monotonic(), time.monotonic(), len(losses)
    guard = max(20, round(settings.steps * settings.guard_share))
    recent: list[torch.Tensor] = []
    for step in range(len(losses), settings.steps):
        for part in optimizer.param_groups:
            part["lr"] = settings.learning_rate * rate_share(step, settings.steps, settings.warmup_share)
        torch.manual_seed(step)
        loss = loss_of(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, LARGEST_GRADIENT)
        optimizer.step()
        recent.append(loss.detach())
        last = step + 1 == settings.steps
        if last or len(recent) == max(1, settings.steps // (LINES * 4)):
            losses += torch.stack(recent).tolist()  # read rarely: reading waits for the device
            recent = []
            if len(losses) >= guard:
                require_learning(losses, settings.least_fall)
            if last or (len(losses) * LINES) // settings.steps > ((len(losses) - 1) * LINES) // settings.steps:
                speed = (len(losses) - seen) / (time.monotonic() - started)
                progress(
                    f"step {len(losses)} of {settings.steps}, loss {np.mean(losses[-50:]):.3f}, {speed:.1f} steps/s"
                )
            if not last and time.monotonic() - kept > CHECKPOINT_SECONDS:
                keep(model, optimizer, checkpoint, fingerprint, losses)
                kept = time.monotonic()
    checkpoint.with_suffix(".safetensors").unlink(missing_ok=True)
    return losses


def rate_share(step: int, steps: int, warmup_share: float) -> float:
    """What share of the learning rate applies at a step: a linear rise, then a linear fall."""
    warmup = max(1, round(steps * warmup_share))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def require_learning(losses: Sequence[float], least_fall: float) -> None:
    """Raises TrainingFailed unless the loss is a number and has fallen by that share."""
    tenth = max(1, len(losses) // 10)
    first, last = float(np.mean(losses[: min(10, tenth)])), float(np.mean(losses[-tenth:]))
    if not np.isfinite(last) or last > first * (1 - least_fall):
        raise TrainingFailed(
            f"the loss did not fall ({first:.3f} at first, {last:.3f} at last); try another learning_rate or more steps"
        )


def keep(
    model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path, fingerprint: str, losses: list[float]
) -> None:
    """Writes weights and the optimizer's state, whole or not at all."""
    from safetensors.torch import save_file

    tensors = {f"weight.{name}": weight.detach() for name, weight in model.named_parameters()}
    for name, weight in model.named_parameters():
        for kind, value in optimizer.state[weight].items():
            tensors[f"{kind}.{name}"] = value
    facts = {"fingerprint": fingerprint, "losses": json.dumps(losses)}
    partial = checkpoint.with_suffix(".partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata=facts)
    partial.replace(checkpoint.with_suffix(".safetensors"))


def restored(model: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path, fingerprint: str) -> list[float]:
    """Takes up a checkpoint of the same fingerprint; the losses so far, none where there is no such checkpoint."""
    from safetensors import safe_open

    path = checkpoint.with_suffix(".safetensors")
    if not path.is_file():
        return []
    with safe_open(path, framework="pt") as kept:
        facts = kept.metadata()
        if facts["fingerprint"] != fingerprint:
            return []
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.copy_(kept.get_tensor(f"weight.{name}"))
                optimizer.state[weight] = {
                    kind: kept.get_tensor(f"{kind}.{name}").to(
                        "cpu" if kind == "step" and not weight.is_cuda else weight.device
                    )
                    for kind in ("step", "exp_avg", "exp_avg_sq")
                }
        losses: list[float] = json.loads(facts["losses"])
        return losses
