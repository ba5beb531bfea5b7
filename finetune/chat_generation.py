"""A model, or base and adapter, that answers many prompts: batched, the longest first, padded on the left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.adapter import require_adapter_of
from finetune.base_model import load_base, load_tokenizer
from finetune.chat_template import ensure_training_template, stop_token_ids
from finetune.ppo_rollout import padded_left
from finetune.stage_config import BaseSettings
from knowledge.errors import TrainingFailed

Messages = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Answer:
    """What a model wrote. row: the prompt's number; stopped: it ended by itself."""

    row: int
    text: str
    tokens: int
    stopped: bool


class ChatGenerator:
    """Writes answers and weighs texts. four_bit: the base in nf4."""

    def __init__(self, model: str, adapter: str = "", *, four_bit: bool = True, max_new_tokens: int = 256) -> None:
        settings = BaseSettings(model=model)
        folder = Path(adapter) if adapter else None
        if folder is not None:
            require_adapter_of(folder, model)
        has_tokenizer = folder is not None and (folder / "tokenizer_config.json").is_file()
        self.tokenizer = load_tokenizer(settings, folder if has_tokenizer else None)
        if not self.tokenizer.chat_template:
            ensure_training_template(self.tokenizer, "plain", model)
        self.model = load_base(settings, four_bit=four_bit)
        self.model.config.use_cache = True
        if folder is not None:
            self.model = _with_adapter(self.model, folder)
        self.model.eval()
        self.stops = stop_token_ids(self.tokenizer, self.model.generation_config)
        self.name, self.max_new_tokens = adapter or model, max_new_tokens

    def prompt_tokens(self, messages: Messages) -> list[int]:
        return list(
            self.tokenizer.apply_chat_template(
                list(messages), add_generation_prompt=True, tokenize=True, return_dict=False
            )
        )

    def answers(
        self,
        prompts: Sequence[tuple[int, Messages]],
        batch_size: int = 8,
        step: Callable[[str, int, int], object] = lambda *_: None,
    ) -> Iterator[Answer]:
        """Greedy answers as they come, the longest prompts first: what does not fit fails at once, and little is padded."""
        import torch

        tokens = sorted(
            ((row, self.prompt_tokens(messages)) for row, messages in prompts), key=lambda one: -len(one[1])
        )
        for at in range(0, len(tokens), batch_size):
            batch = tokens[at : at + batch_size]
            ids, mask = padded_left([row for _, row in batch], self.tokenizer.pad_token_id, self.model.device)
            with torch.inference_mode():
                whole = self.model.generate(
                    input_ids=ids,
                    attention_mask=mask,
                    max_new_tokens=self.max_new_tokens,
                    do_sample=False,
                    temperature=None,
                    top_p=None,
                    top_k=None,
                    eos_token_id=sorted(self.stops),
                    pad_token_id=self.tokenizer.pad_token_id,
                )
            for (row, _), written in zip(batch, whole[:, ids.shape[1] :].tolist(), strict=True):
                end = next((place for place, token in enumerate(written) if token in self.stops), None)
                kept = written if end is None else written[:end]
                text = self.tokenizer.decode(kept, skip_special_tokens=True).strip()
                yield Answer(row, text, len(kept), end is not None)
            step(f"answers of {Path(self.name).name}", min(at + batch_size, len(tokens)), len(tokens))

    def log_likelihoods(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, int]]:
        """(log-likelihood in nats, tokens) of the labelled tokens of each (input_ids, labels); labels of -100 do not count."""
        import torch

        sums = []
        for ids, labels in rows:
            tokens = torch.tensor([list(ids)], device=self.model.device)
            with torch.inference_mode():
                log_probs = self.model(input_ids=tokens).logits[0, :-1].float().log_softmax(-1)
            wanted = torch.tensor(list(labels)[1:], device=log_probs.device)
            taken = log_probs.gather(-1, wanted.clamp(min=0)[:, None])[:, 0] * (wanted != -100)
            sums.append((float(taken.sum()), int((wanted != -100).sum())))
        return sums


def _with_adapter(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(folder))
    except (RuntimeError, ValueError, KeyError):
        raise TrainingFailed(f"{folder}: does not fit the model; name the base it was trained on") from None
