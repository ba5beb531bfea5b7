"""Records as a model reads them: its own chat template around them, and which of the characters and tokens it is trained on.

The marks are found in the rendered text, so they hold for every template whose turns end with a mark of their own; a
template's own `{% generation %}` is not needed. What is trained is each answer and the mark that ends it: a model that
is never trained on that mark never stops (the field's most common complaint).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from finetune.exam_prompt import exam_prompt
from finetune.records import (
    ChoiceRecord,
    DialogueRecord,
    InvalidRecord,
    Message,
    PlainTextRecord,
    PreferenceRecord,
    TrainingRecord,
)

IGNORED = -100  # the label of a token that is not trained, as torch's cross-entropy has it
TrainOn = Literal["all", "last"]
CHATML_STOP = "<|im_end|>"  # a tokenizer without a template of its own is written to in ChatML


@dataclass(frozen=True)
class RenderedText:
    """A record as text. trained: stretches [start, end) of it, in characters, that the model is trained on."""

    text: str
    trained: tuple[tuple[int, int], ...]

    def pieces(self) -> Iterator[tuple[str, bool]]:
        """The text in order, each stretch with whether it is trained."""
        at = 0
        for start, end in self.trained:
            if start > at:
                yield self.text[at:start], False
            yield self.text[start:end], True
            at = end
        if at < len(self.text):
            yield self.text[at:], False


@dataclass(frozen=True)
class RenderedTokens:
    """A record as tokens. input_ids, labels: (tokens,) alike long; a label is IGNORED where the token is not trained."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    text: str


class Template:
    """How a tokenizer writes turns. Without a tokenizer, or without a template in it: ChatML."""

    def __init__(self, tokenizer: Any = None) -> None:
        self.tokenizer = tokenizer
        self.is_own = bool(tokenizer is not None and getattr(tokenizer, "chat_template", None))
        self.stop = self._stop()

    def render(self, messages: Sequence[dict[str, str]], with_prompt: bool = False) -> str:
        """The turns as text; with_prompt: followed by what begins the assistant's turn."""
        if not self.is_own:
            return _chatml(messages, with_prompt)
        try:
            text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=with_prompt)
        except Exception as fault:  # Jinja's errors, and those that templates raise themselves
            raise InvalidRecord(f"turns the tokenizer's template takes ({fault})") from None
        return str(text)

    def _stop(self) -> str:
        """What the template writes behind an answer, without the blanks at its end."""
        probe = "\u6d4b\u8bd5answer"
        text = self.render([{"role": "user", "content": "q"}, {"role": "assistant", "content": probe}])
        after = text[text.rindex(probe) + len(probe) :].strip()
        if not after:
            raise InvalidRecord(
                "a chat template that marks the end of an answer; this tokenizer's does not, so a model would never stop"
            )
        return after


def _chatml(messages: Sequence[dict[str, str]], with_prompt: bool) -> str:
    turns = "".join(f"<|im_start|>{message['role']}\n{message['content']}{CHATML_STOP}\n" for message in messages)
    return turns + ("<|im_start|>assistant\n" if with_prompt else "")


@lru_cache(maxsize=8)
def _template_of(tokenizer: Any) -> Template:
    return Template(tokenizer)


def rendered_text(record: TrainingRecord, template: Template, train_on: TrainOn = "all") -> RenderedText:
    """A record as the model reads it. Raises InvalidRecord where the template leaves nothing to train on.

    Of a preference it is the prompt with the chosen answer. A choice is asked with its options and answered with the letters.
    """
    match record:
        case PlainTextRecord():
            return RenderedText(record.text, ((0, len(record.text)),))
        case DialogueRecord():
            return _dialogue(_with_system(record.system, record.messages), template, train_on)
        case PreferenceRecord():
            return _dialogue(
                _with_system(record.system, (*record.prompt, Message("assistant", record.chosen))), template, "last"
            )
        case ChoiceRecord():
            return _dialogue(_with_system("", choice_messages(record)), template, "last")


def choice_messages(record: ChoiceRecord) -> tuple[Message, Message]:
    """A question with options as a dialogue, asked as it is when a model is measured."""
    (asked,) = exam_prompt(record.question, record.options)
    answer = ", ".join(record.answers)
    return (
        Message("user", asked["content"]),
        Message("assistant", f"{answer}\n{record.explanation}" if record.explanation else answer),
    )


def _with_system(system: str, messages: Sequence[Message]) -> list[dict[str, str]]:
    return [*([{"role": "system", "content": system}] if system else []), *(message.as_row() for message in messages)]


def _dialogue(messages: list[dict[str, str]], template: Template, train_on: TrainOn) -> RenderedText:
    if any(template.stop in message["content"] for message in messages):
        raise InvalidRecord(f"texts without the template's own mark {template.stop!r}, found it inside one")
    text = template.render(messages)
    spans: list[tuple[int, int]] = []
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    for number in answers if train_on == "all" else answers[-1:]:
        head = template.render(messages[:number], with_prompt=True)
        start = len(head) if text.startswith(head) else _begin(text, head, messages[number]["content"], spans)
        end = text.find(template.stop, start)
        if end < 0:
            raise InvalidRecord(
                f"an answer that ends with {template.stop!r}, found none: does the template leave turns out?"
            )
        spans.append((start, end + len(template.stop)))
    if not spans:
        raise InvalidRecord("an answer to train on, found none")
    return RenderedText(text, tuple(spans))


def _begin(text: str, head: str, answer: str, before: Sequence[tuple[int, int]]) -> int:
    """Where an answer begins whose turn opens otherwise in the whole dialogue than alone, as with a thinking block left out."""
    at = text.find(answer.strip(), before[-1][1] if before else 0)
    if at < 0:
        raise InvalidRecord("a chat template that writes every answer as it is; this tokenizer's changes them")
    return at


def rendered_tokens(
    record: TrainingRecord, tokenizer: Any, max_tokens: int | None = None, train_on: TrainOn = "all"
) -> RenderedTokens:
    """A record as the tokens and labels that a stage trains on.

    tokenizer: a fast one of transformers, which knows where in the text each token stands. max_tokens: longer records are
    cut at the end. Raises InvalidRecord where no token is left to train on, or an answer does not end with a stop token.
    """
    template = _template_of(tokenizer)
    rendered = rendered_text(record, template, train_on)
    text = rendered.text
    if isinstance(record, PlainTextRecord) and tokenizer.eos_token:
        text += tokenizer.eos_token  # where a document ends is learned too
    encoded = tokenizer(text, add_special_tokens=isinstance(record, PlainTextRecord), return_offsets_mapping=True)
    spans = ((0, len(text)),) if isinstance(record, PlainTextRecord) else rendered.trained
    labels = _labels(encoded["input_ids"], encoded["offset_mapping"], spans)
    learned_ends = {end for (_, end), label in zip(encoded["offset_mapping"], labels, strict=True) if label != IGNORED}
    if any(end not in learned_ends for _, end in spans):
        raise InvalidRecord("an answer whose last trained token ends it, found one that runs on into the next turn")
    ids = tuple(encoded["input_ids"][:max_tokens])
    labels = labels[:max_tokens]
    if all(label == IGNORED for label in labels):
        raise InvalidRecord(
            f"an answer within {max_tokens} tokens, found none" if max_tokens else "a token to train on, found none"
        )
    return RenderedTokens(ids, tuple(labels), text)


def _labels(ids: Sequence[int], offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> list[int]:
    labels = [IGNORED] * len(ids)
    remaining = list(spans)
    for place, (start, end) in enumerate(offsets):
        while remaining and start >= remaining[0][1]:
            remaining.pop(0)
        if remaining and end > start and start >= remaining[0][0] and end <= remaining[0][1]:
            labels[place] = ids[place]
    return labels


def marked_tokens(rendered: RenderedTokens, tokenizer: Any) -> list[tuple[str, bool]]:
    """Each token as text, with whether it is trained: what `daozhen data preview` shows."""
    shown = [tokenizer.decode([token]) for token in rendered.input_ids]
    return [(text, label != IGNORED) for text, label in zip(shown, rendered.labels, strict=True)]
