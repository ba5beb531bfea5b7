"""What an answer of the policy is worth: by a trained reward model, or by what can be verified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.ppo_roles import Roles
from finetune.ppo_rollout import padded_left
from finetune.stage_config import ReinforcementSettings
from finetune.stage_rows import StageRow
from finetune.verifiable_rewards import reward_named

VERIFIABLE = "verifiable:"


class AnswerScores:
    """The reward a config names. reward_dir: the adapter folder of an rm run; None for a verifiable reward.

    Raises TrainingFailed where no verifiable reward has that name.
    """

    def __init__(self, settings: ReinforcementSettings, tokenizer: Any) -> None:
        reward = settings.reward
        self.reward_dir = None if reward.startswith(VERIFIABLE) else Path(reward)
        self._verified = reward_named(reward.removeprefix(VERIFIABLE)) if self.reward_dir is None else None
        self._tokenizer, self._minibatch = tokenizer, settings.minibatch

    def of(self, texts: Sequence[str], rows: Sequence[StageRow], roles: Roles) -> Any:
        """(rows,) float32: the score of each text as the answer to its row's prompt."""
        import torch

        if self._verified is not None:
            scores = [self._verified(text, row.values) for text, row in zip(texts, rows, strict=True)]
            return torch.tensor(scores, dtype=torch.float32)
        ids, mask = self._dialogues(texts, rows, next(roles.model.parameters()).device)
        parts = zip(ids.split(self._minibatch), mask.split(self._minibatch), strict=True)
        return torch.cat([roles.scores(*part) for part in parts])

    def _dialogues(self, texts: Sequence[str], rows: Sequence[StageRow], device: Any) -> tuple[Any, Any]:
        """Prompts with their answers, whole, as the reward model was trained to read them."""
        dialogues = [
            self._tokenizer.apply_chat_template(
                [*row.values["prompt"], {"role": "assistant", "content": text}], tokenize=True, return_dict=False
            )
            for text, row in zip(texts, rows, strict=True)
        ]
        return padded_left(dialogues, self._tokenizer.pad_token_id, device)
