"""The arithmetic of proximal policy optimisation (Schulman et al., 2017), apart from any model.

Shapes: (rows, tokens) of answers; mask is 1 on the tokens an answer holds, its stop token the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def masked_mean(values: Any, mask: Any) -> Any:
    """The mean over the marked tokens."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def whitened(values: Any, mask: Any, *, shift_mean: bool = True) -> Any:
    """Zero mean (unless it is to stay) and unit variance over the marked tokens; zero elsewhere."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask)
    scaled = (values - mean) * (variance + 1e-8).rsqrt()
    return (scaled if shift_mean else scaled + mean) * mask


def advantages_of(rewards: Any, values: Any, mask: Any, discount: float, gae_lambda: float) -> tuple[Any, Any]:
    """(advantages, returns) by generalised advantage estimation (Schulman et al., 2016), before whitening.

    values: of the state before each token. An answer ends with its last marked token: nothing follows it.
    """
    import torch

    advantages = torch.zeros_like(rewards)
    following_advantage = torch.zeros_like(rewards[:, 0])
    following_value = torch.zeros_like(rewards[:, 0])
    for at in reversed(range(rewards.shape[1])):
        delta = rewards[:, at] + discount * following_value - values[:, at]
        following_advantage = (delta + discount * gae_lambda * following_advantage) * mask[:, at]
        following_value = values[:, at] * mask[:, at]
        advantages[:, at] = following_advantage
    return advantages, (advantages + values) * mask


def token_rewards(scores: Any, log_ratio: Any, mask: Any, kl_weight: float) -> Any:
    """A pull to the reference on every token, the score on the last one. log_ratio: log(policy / reference)."""
    rewards = -kl_weight * log_ratio * mask
    last = mask.sum(1).long().clamp(min=1) - 1
    return rewards.scatter_add(1, last[:, None], scores[:, None].to(rewards.dtype))


def policy_loss(log_probs: Any, old_log_probs: Any, advantages: Any, mask: Any, clip: float) -> tuple[Any, Any]:
    """(loss, approximate divergence from the policy that wrote the answers)."""
    import torch

    log_ratio = (log_probs - old_log_probs) * mask
    ratio = log_ratio.exp()
    losses = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))
    divergence = masked_mean(ratio.detach() - 1 - log_ratio.detach(), mask)  # Schulman's k3: never negative
    return masked_mean(losses, mask), divergence


def value_loss(values: Any, old_values: Any, returns: Any, mask: Any, clip: float) -> Any:
    """Half the squared error, of the worse of the estimate and the estimate held near the old one."""
    import torch

    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * masked_mean(torch.maximum((values - returns) ** 2, (near - returns) ** 2), mask)


@dataclass
class AdaptiveWeight:
    """The weight of the pull to the reference, moved so that the divergence nears a target (Ziegler et al., 2019)."""

    weight: float
    target: float
    horizon: int

    def update(self, divergence: float, answers: int) -> None:
        error = max(-0.2, min(0.2, divergence / self.target - 1))
        self.weight *= 1 + error * answers / self.horizon


@dataclass
class RunningScale:
    """Mean and spread of all scores so far (Welford), to bring rewards of any reward model to one scale."""

    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def update(self, values: list[float]) -> None:
        for value in values:
            self.count += 1
            delta = value - self.mean
            self.mean += delta / self.count
            self.squares += delta * (value - self.mean)

    def scaled(self, values: Any, clip: float) -> Any:
        spread = (self.squares / max(self.count - 1, 1)) ** 0.5
        return ((values - self.mean) / (spread + 1e-6)).clamp(-clip, clip)
