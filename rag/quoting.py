"""A language model that chooses and orders sentences, whose words are given: it cannot say what nobody wrote.

Wherever the sentences still possible part, the model is asked which way it goes on; what they share is read to it in one
piece, so that an answer costs a few choices and not a step a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MOST_QUOTED = 6  # sentences of an answer
_ENDS = ""  # the way on that is no sentence


@dataclass(frozen=True)
class Quotable:
    """What may be said: whole sentences with their keys, in any order, or the refusal alone. gap: what stands between two."""

    sentences: tuple[str, ...]
    refusal: str
    gap: str = ""


def quoted(model: Any, tokenizer: Any, prompt: Sequence[int], quotable: Quotable) -> Iterator[str]:
    """The sentences the model chooses, in its order, each once with the gap before it; the refusal where it says so first.

    model and tokenizer: of transformers, the tokenizer with an end-of-sequence token; prompt: the tokens before the answer.
    The last token of what was said is held back until the next sentence is known: some tokenizers write the blank behind
    a word into it.
    """
    reader = _Reader(model, prompt)
    left = list(dict.fromkeys(quotable.sentences))
    said, settled = "", 0  # the answer, and how many of its tokens are fixed
    for number in range(MOST_QUOTED):
        gap = quotable.gap if number else ""
        texts = {one: said + gap + one for one in left} | {_ENDS: said or quotable.refusal}
        ways = {one: tokenizer.encode(text, add_special_tokens=False)[settled:] for one, text in texts.items()}
        ways[_ENDS].append(tokenizer.eos_token_id)
        chosen = _chosen(ways, reader)
        if chosen == _ENDS:
            if not said:
                yield quotable.refusal
            return
        yield gap + chosen
        said, settled = texts[chosen], settled + len(ways[chosen]) - 1
        left.remove(chosen)


def _chosen(ways: dict[str, list[int]], reader: _Reader) -> str:
    """The way the model takes, token by token where they part; what it reads of it is all but its last token."""
    place = 0
    while len(ways) > 1:
        here = {ids[place] for ids in ways.values()}
        token = reader.likeliest(here) if len(here) > 1 else here.pop()
        ways = {one: ids for one, ids in ways.items() if ids[place] == token}
        if len(ways) > 1:
            reader.reads(token)
            place += 1
    ((one, ids),) = ways.items()
    for token in ids[place:-1]:
        reader.reads(token)
    return one


class _Reader:
    """The model's state after what it has been read; read only when it is asked for what comes next."""

    def __init__(self, model: Any, prompt: Sequence[int]) -> None:
        self._model, self._waiting = model, list(prompt)
        self._cache: Any = None
        self._next: Any = None  # how likely each token is to come next

    def reads(self, token: int) -> None:
        self._waiting.append(token)

    def likeliest(self, tokens: set[int]) -> int:
        """Of these tokens, the one the model would write next."""
        import torch

        if self._waiting:
            ids = torch.tensor([self._waiting], device=self._model.device)
            with torch.inference_mode():
                read = self._model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
            self._waiting, self._cache, self._next = [], read.past_key_values, read.logits[0, -1]
        listed = sorted(tokens)
        return listed[int(self._next[listed].argmax())]
