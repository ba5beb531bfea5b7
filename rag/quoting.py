"""A language model that chooses which sentence comes next, and whose words are given: it cannot say what nobody wrote.

Wherever the sentences still possible part, the model is asked which way it goes on; what they share is read to it in one
piece, so that an answer costs a few choices and not a step a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MOST_QUOTED = 6  # sentences of an answer


@dataclass(frozen=True)
class Quotable:
    """What may be said: whole sentences with their keys, in any order; refusal: what is said where there are none. gap: what
    stands between two."""

    sentences: tuple[str, ...]
    refusal: str
    gap: str = ""


def quoted(model: Any, tokenizer: Any, prompt: Sequence[int], quotable: Quotable) -> Iterator[str]:
    """The sentences in the order the model chooses, each once with the gap before it, MOST_QUOTED of them where there are
    more; the refusal where there are none.

    It is asked neither whether the passages answer, which was decided before, nor when to end: a small model ends too soon,
    and what it leaves out is what somebody asked. model and tokenizer: of transformers; prompt: the tokens before the
    answer. The last token of what was said is held back until the next sentence is known: some tokenizers write the blank
    behind a word into it.
    """
    reader = _Reader(model, prompt)
    left = list(dict.fromkeys(quotable.sentences))
    said, settled = "", 0  # the answer, and how many of its tokens are fixed
    if not left:
        yield quotable.refusal
    for _ in range(min(MOST_QUOTED, len(left))):
        gap = quotable.gap if said else ""
        texts = {one: said + gap + one for one in left}
        ways = {one: tokenizer.encode(text, add_special_tokens=False)[settled:] for one, text in texts.items()}
        chosen = _chosen(ways, reader)
        yield gap + chosen
        said, settled = texts[chosen], settled + len(ways[chosen]) - 1
        left.remove(chosen)


def _chosen(ways: dict[str, list[int]], reader: _Reader) -> str:
    """The way the model takes, token by token where they part; what it reads of it is all but its last token."""
    place = 0
    while len(ways) > 1:
        here = {ids[place] for ids in ways.values() if place < len(ids)}
        if not here:  # a tokenizer that reads them alike
            break
        token = reader.likeliest(here) if len(here) > 1 else here.pop()
        ways = {one: ids for one, ids in ways.items() if ids[place : place + 1] == [token]}
        if len(ways) > 1:
            reader.reads(token)
            place += 1
    one, ids = next(iter(ways.items()))
    for token in ids[place:-1]:
        reader.reads(token)
    return one


class _Reader:
    """The model's state after what it has been read; read only when it is asked for what comes next."""

    def __init__(self, model: Any, prompt: Sequence[int]) -> None:
        self._model, self._waiting = model, list(prompt)
        self._cache: Any = None
        self._next: Any = None

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
