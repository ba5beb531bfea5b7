"""What the policy writes to prompts, and what everybody thinks of it: the experience one iteration learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.ppo_roles import Roles
from finetune.stage_config import ReinforcementSettings


@dataclass
class Rollout:
    """ids, attention: (rows, prompt + answer); the rest (rows, answer). start: where answers begin. score: raw, (rows,)."""

    ids: Any
    attention: Any
    start: int
    mask: Any
    log_probs: Any
    reference_log_probs: Any
    values: Any
    score: Any
    stopped: Any
    texts: list[str]

    @property
    def divergence(self) -> float:
        """Nats by which an answer leaves the reference, on average."""
        return float(((self.log_probs - self.reference_log_probs) * self.mask).sum(1).mean())


def padded_left(rows: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Any, Any]:
    """(ids, attention mask)."""
    import torch

    width = max(len(row) for row in rows)
    ids = [[pad] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def answer_mask(answers: Any, stops: set[int]) -> tuple[Any, Any]:
    """(mask up to and with the first stop token, which rows have one). answers: (rows, tokens)."""
    import torch

    stop = torch.zeros_like(answers, dtype=torch.bool)
    for token in stops:
        stop |= answers == token
    before = stop.cumsum(1) - stop.long()
    return (before == 0).long(), stop.any(1)


def roll_out(
    roles: Roles,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    settings: ReinforcementSettings,
    stops: set[int],
    score: Callable[[list[str]], Any],
) -> Rollout:
    """Answers to prompts (token ids), with everything an update needs. score: texts → (rows,) rewards."""
    import torch

    device = next(roles.model.parameters()).device
    ids, attention = padded_left(prompts, tokenizer.pad_token_id, device)
    roles.take("default")
    roles.model.eval()
    with torch.no_grad():
        whole = _written(roles, ids, attention, settings, stops, tokenizer.pad_token_id)
        start = ids.shape[1]
        mask, stopped = answer_mask(whole[:, start:], stops)
        attention = torch.cat([attention, mask], 1)
        texts = [
            tokenizer.decode(answer[kept.bool()], skip_special_tokens=True)
            for answer, kept in zip(whole[:, start:], mask, strict=True)
        ]
        log_probs, reference, values = [], [], []
        for part in torch.arange(len(whole), device=device).split(settings.minibatch):
            log_probs.append(roles.log_probs("default", whole[part], attention[part], start, settings.temperature))
            reference.append(roles.log_probs("reference", whole[part], attention[part], start, settings.temperature))
            values.append(roles.values(whole[part], attention[part], start))
        scores = score(texts).to(device)
    return Rollout(
        whole,
        attention,
        start,
        mask,
        torch.cat(log_probs),
        torch.cat(reference),
        torch.cat(values),
        scores,
        stopped,
        texts,
    )


def _written(roles: Roles, ids: Any, attention: Any, settings: ReinforcementSettings, stops: set[int], pad: int) -> Any:
    """(rows, prompt + answer): the prompts with answers drawn from the policy as it is, nothing cut from its choices."""
    return roles.model.generate(
        input_ids=ids,
        attention_mask=attention,
        max_new_tokens=settings.max_new_tokens,
        do_sample=True,
        temperature=settings.temperature,
        top_k=0,
        top_p=1.0,
        use_cache=True,
        eos_token_id=sorted(stops),
        pad_token_id=pad,
    )
