"""A model, or base and adapter, that answers many prompts: batched, the longest first, padded on the left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from finetune.adapter import require_adapter_of
from finetune.base_model import load_base, load_tokenizer
from finetune.chat_template import ensure_training_template, stop_token_ids
from finetune.ppo_rollout import padded_left
from finetune.stage_config import BaseSettings
from knowledge.errors import TrainingFailed
from rag.engines import LOCAL, Engine, Work, in_order

Messages = Sequence[dict[str, str]]
Prompt = tuple[int, list[int]]  # its number, its tokens
Labelled = tuple[Sequence[int], Sequence[int]]  # input_ids, labels; labels of -100 do not count
TEXTS_TOGETHER = 8  # weighed by one process before it tells


@dataclass(frozen=True)
class Answer:
    """What a model wrote. row: the prompt's number; stopped: it ended by itself."""

    row: int
    text: str
    tokens: int
    stopped: bool


class ChatGenerator:
    """Writes answers and weighs texts, here or in the processes of an engine. four_bit: the base in nf4.

    The tokenizer is loaded at once, the weights when something is first asked of them in this process.
    """

    def __init__(self, model: str, adapter: str = "", *, four_bit: bool = True, max_new_tokens: int = 256) -> None:
        self._settings = BaseSettings(model=model)
        self._folder = Path(adapter) if adapter else None
        if self._folder is not None:
            require_adapter_of(self._folder, model)
        has_tokenizer = self._folder is not None and (self._folder / "tokenizer_config.json").is_file()
        self.tokenizer = load_tokenizer(self._settings, self._folder if has_tokenizer else None)
        if not self.tokenizer.chat_template:
            ensure_training_template(self.tokenizer, "plain", model)
        self.name, self.four_bit, self.max_new_tokens = adapter or model, four_bit, max_new_tokens
        there = [str(Path(name).resolve()) if name and Path(name).is_dir() else name for name in (model, adapter)]
        self._again = partial(ChatGenerator, *there, four_bit=four_bit, max_new_tokens=max_new_tokens)

    @cached_property
    def model(self) -> Any:
        model = load_base(self._settings, four_bit=self.four_bit)
        model.config.use_cache = True
        if self._folder is not None:
            model = _with_adapter(model, self._folder)
        model.eval()
        return model

    @cached_property
    def stops(self) -> set[int]:
        return stop_token_ids(self.tokenizer, self.model.generation_config)

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
        engine: Engine = LOCAL,
    ) -> Iterator[Answer]:
        """Greedy answers as they come, the longest prompts first: what does not fit fails at once, and little is padded."""
        tokens = sorted(
            ((row, self.prompt_tokens(messages)) for row, messages in prompts), key=lambda one: -len(one[1])
        )
        batches = [tokens[at : at + batch_size] for at in range(0, len(tokens), batch_size)]
        work = Work(here=partial(map, self.answer), there=partial(_answering, self._again), on_gpu=True)
        done = 0
        for place, answers in engine.results(work, batches):
            yield from answers
            done += len(batches[place])
            step(f"answers of {Path(self.name).name}", done, len(tokens))

    def answer(self, batch: Sequence[Prompt]) -> list[Answer]:
        """The greedy answers to prompts that go through the model together."""
        import torch

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
        answers = []
        for (row, _), written in zip(batch, whole[:, ids.shape[1] :].tolist(), strict=True):
            end = next((place for place, token in enumerate(written) if token in self.stops), None)
            kept = written if end is None else written[:end]
            text = self.tokenizer.decode(kept, skip_special_tokens=True).strip()
            answers.append(Answer(row, text, len(kept), end is not None))
        return answers

    def log_likelihoods(self, rows: Sequence[Labelled], engine: Engine = LOCAL) -> list[tuple[float, int]]:
        """(log-likelihood in nats, tokens) of the labelled tokens of each row."""
        work = Work(
            here=partial(map, self.log_likelihood),
            there=partial(_weighing, self._again),
            together=TEXTS_TOGETHER,
            on_gpu=True,
        )
        return list(in_order(engine.results(work, rows)))

    def log_likelihood(self, row: Labelled) -> tuple[float, int]:
        """(log-likelihood in nats, tokens) of the labelled tokens of one row."""
        import torch

        ids, labels = row
        tokens = torch.tensor([list(ids)], device=self.model.device)
        with torch.inference_mode():
            log_probs = self.model(input_ids=tokens).logits[0, :-1].float().log_softmax(-1)
        wanted = torch.tensor(list(labels)[1:], device=log_probs.device)
        taken = log_probs.gather(-1, wanted.clamp(min=0)[:, None])[:, 0] * (wanted != -100)
        return float(taken.sum()), int((wanted != -100).sum())


def _answering(
    generator: Callable[[], ChatGenerator],
) -> Callable[[Iterable[Sequence[Prompt]]], Iterable[list[Answer]]]:
    return partial(map, _opened_there(generator).answer)


def _weighing(generator: Callable[[], ChatGenerator]) -> Callable[[Iterable[Labelled]], Iterable[tuple[float, int]]]:
    return partial(map, _opened_there(generator).log_likelihood)


def _opened_there(generator: Callable[[], ChatGenerator]) -> ChatGenerator:
    from finetune.training import quiet_training_libraries

    quiet_training_libraries()
    return generator()


def _with_adapter(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(folder))
    except (RuntimeError, ValueError, KeyError):
        raise TrainingFailed(f"{folder}: does not fit the model; name the base it was trained on") from None
