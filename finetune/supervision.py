"""Rows → tokens, and which of them the loss falls on: the assistant's words and the stop token behind them.

Tokens are made here and not by the trainer, so that what is checked, counted and previewed is what is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from finetune.chat_template import stop_token_ids, supervised_spans
from finetune.stage_rows import StageRow
from knowledge.errors import TrainingFailed

IGNORED = -100  # the label of a token no loss falls on


@dataclass(frozen=True)
class SupervisedTokens:
    """labels: the token itself where the loss falls on it, else IGNORED; as long as input_ids."""

    input_ids: list[int]
    labels: list[int]

    @property
    def supervised(self) -> int:
        return sum(label != IGNORED for label in self.labels)


@dataclass
class TokenCount:
    """What a data set came to. too_long: rows of which not even the first answer fits."""

    rows: int = 0
    tokens: int = 0
    supervised: int = 0
    longest: int = 0
    shortened: int = 0
    too_long: int = 0


def supervised_dialogue(row: StageRow, tokenizer: Any) -> SupervisedTokens:
    """A dialogue's tokens. Raises TrainingFailed, naming the line, where the loss would fall on nothing."""
    try:
        encoded = tokenizer.apply_chat_template(
            row.values["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
    except Exception as fault:  # a template is a program: whatever it raises, this row cannot be rendered
        line = (str(fault).splitlines() or [type(fault).__name__])[0]
        raise TrainingFailed(f"{row.where}: the chat template cannot render it ({line})") from None
    ids, mask = encoded["input_ids"], encoded["assistant_masks"]
    stops = stop_token_ids(tokenizer)
    spans = supervised_spans(mask)
    if not any(token not in stops for start, end in spans for token in ids[start:end]):
        raise TrainingFailed(f"{row.where}: nothing in it would be learnt; it needs an answer of the assistant")
    return SupervisedTokens(ids, [token if marked else IGNORED for token, marked in zip(ids, mask, strict=True)])


def fitted(tokens: SupervisedTokens, max_tokens: int) -> SupervisedTokens | None:
    """The whole turns that fit; None where not even the first answer does.

    An answer is never cut: a model that reads half of one learns to stop nowhere.
    """
    if len(tokens.input_ids) <= max_tokens:
        return tokens
    ends = [end for _, end in supervised_spans([label != IGNORED for label in tokens.labels]) if end <= max_tokens]
    return SupervisedTokens(tokens.input_ids[: ends[-1]], tokens.labels[: ends[-1]]) if ends else None


def dialogue_tokens(
    rows: Iterable[StageRow], tokenizer: Any, max_tokens: int, count: TokenCount
) -> Iterator[SupervisedTokens]:
    """Every row's tokens; what was shortened or left out is counted."""
    for row in rows:
        whole = supervised_dialogue(row, tokenizer)
        tokens = fitted(whole, max_tokens)
        if tokens is None:
            count.too_long += 1
            continue
        count.shortened += tokens is not whole
        _count(tokens, count)
        yield tokens


def text_tokens(
    rows: Iterable[StageRow], tokenizer: Any, max_tokens: int, count: TokenCount
) -> Iterator[SupervisedTokens]:
    """Running text, all of it learnt, ended by the stop token and cut into pieces of max_tokens."""
    for row in rows:
        ids = [*tokenizer(row.values["text"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for start in range(0, len(ids), max_tokens):
            piece = ids[start : start + max_tokens]
            if len(piece) > 1:
                tokens = SupervisedTokens(piece, list(piece))
                _count(tokens, count)
                yield tokens


def _count(tokens: SupervisedTokens, count: TokenCount) -> None:
    count.rows += 1
    count.tokens += len(tokens.input_ids)
    count.supervised += tokens.supervised
    count.longest = max(count.longest, len(tokens.input_ids))
