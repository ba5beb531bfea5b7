"""Policy, reference, reward and value as adapters and heads on one base, so that a 7 B model in 4 bit is held once.

The policy is the adapter that learns; the value has an adapter and a head of its own; the reference is the frozen adapter
the policy began as, or the bare base; the reward is the frozen adapter and head that an rm run wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from finetune.adapter import adapter_weights, require_adapter_of, trainable_in_float32
from knowledge.errors import TrainingFailed

Role = Literal["default", "value", "reference", "reward"]
LEARNING = ("default", "value")


class Roles:
    """One model under four names. model: a PeftModel whose adapter "default" is the policy."""

    def __init__(self, model: Any, *, base: str, init_adapter: str, reward_dir: Path | None) -> None:
        import torch

        self.model = model
        hidden, device = model.config.get_text_config().hidden_size, next(model.parameters()).device
        self.value_head = torch.nn.Linear(hidden, 1, device=device)
        torch.nn.init.zeros_(self.value_head.weight)
        torch.nn.init.zeros_(self.value_head.bias)
        self.model.add_adapter("value", _plain(model.peft_config["default"]))
        self.has_reference = bool(init_adapter)
        if init_adapter:
            self._add_frozen("reference", Path(init_adapter))
        self.reward_head: Any = None
        if reward_dir is not None:
            require_adapter_of(reward_dir, base)
            self.reward_head = _reward_head(reward_dir, hidden, device)
            self._add_frozen("reward", reward_dir)
        self.take("default")
        trainable_in_float32(model)

    @property
    def decoder(self) -> Any:
        return self.model.get_base_model().model

    def take(self, role: Role) -> None:
        """Makes the model speak as a role. What learns stays the same: the library would freeze and thaw with the switch."""
        self.model.base_model.set_adapter(role)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(any(f".{learner}." in name for learner in LEARNING))

    def hidden(self, role: Role, ids: Any, mask: Any) -> Any:
        """(rows, tokens, width): the last layer's states, padding skipped."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        without = self.model.disable_adapter() if role == "reference" and not self.has_reference else nullcontext()
        if not (role == "reference" and not self.has_reference):
            self.take(role)
        with without:
            states = self.decoder(
                input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
            ).last_hidden_state
        if role == "reference" and not self.has_reference:
            self.take("default")
        return states

    def log_probs(self, role: Role, ids: Any, mask: Any, start: int, temperature: float) -> Any:
        """Log-probability of every token from start on, in float32."""
        states = self.hidden(role, ids, mask)[:, start - 1 : -1]
        logits = self.model.get_base_model().lm_head(states).float() / temperature
        return logits.log_softmax(-1).gather(-1, ids[:, start:, None])[..., 0]

    def values(self, ids: Any, mask: Any, start: int) -> Any:
        """The value of the state before every token from start on."""
        states = self.hidden("value", ids, mask)[:, start - 1 : -1]
        return self.value_head(states.float())[..., 0]

    def scores(self, ids: Any, mask: Any) -> Any:
        """The reward of whole dialogues, padded on the left: read at their last token."""
        return self.reward_head(self.hidden("reward", ids, mask)[:, -1].float())[..., 0]

    def parameters_of(self, role: Role) -> list[Any]:
        return [parameter for name, parameter in self.model.named_parameters() if f".{role}." in name]

    def frozen_print(self) -> str:
        """Tells whether reference and reward are what they were, to the bit."""
        digest = hashlib.sha256()
        frozen = [*self.parameters_of("reference"), *self.parameters_of("reward")]
        if self.reward_head is not None:
            frozen += list(self.reward_head.parameters())
        for parameter in [*frozen, *_sample(self.model)]:
            digest.update(_bytes(parameter))
        return digest.hexdigest()

    def _add_frozen(self, name: Role, folder: Path) -> None:
        from peft import PeftConfig, set_peft_model_state_dict

        weights = {key: value for key, value in adapter_weights(folder).items() if ".score." not in key}
        self.model.add_adapter(name, _plain(PeftConfig.from_pretrained(str(folder))))
        try:
            result: Any = set_peft_model_state_dict(self.model, weights, adapter_name=name)
        except RuntimeError:
            raise TrainingFailed(f"{folder}: its weights do not fit the base; it belongs to another base") from None
        if [key for key in result.missing_keys if f".{name}." in key] or result.unexpected_keys:
            raise TrainingFailed(f"{folder}: its weights do not fit the base; it belongs to another base")


def _plain(peft_config: Any) -> Any:
    """An adapter config for another role on a base that writes: no head of its own, no dropout."""
    import copy

    plain = copy.deepcopy(peft_config)
    plain.task_type, plain.modules_to_save, plain.inference_mode = "CAUSAL_LM", None, False
    if hasattr(plain, "lora_dropout"):
        plain.lora_dropout = 0.0
    return plain


def _reward_head(folder: Path, hidden: int, device: Any) -> Any:
    import torch

    weights = [value for key, value in adapter_weights(folder).items() if ".score." in key and key.endswith("weight")]
    if len(weights) != 1 or tuple(weights[0].shape) != (1, hidden):
        raise TrainingFailed(f"{folder}: holds no reward head; name the adapter folder of an rm run as [ppo] reward")
    head = torch.nn.Linear(hidden, 1, bias=False, device=device)
    head.weight.data.copy_(weights[0])
    return head.requires_grad_(False)


def _sample(model: Any) -> Iterable[Any]:
    """Some of the base's own weights, which nothing may change."""
    base = [parameter for name, parameter in model.named_parameters() if "lora_" not in name]
    return base[:: max(1, len(base) // 8)]


def _bytes(parameter: Any) -> bytes:
    import torch

    return bytes(parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
