"""What a base has learnt, on documents held back: perplexity of each source, and how surely answers are copied."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from finetune.base_corpus import Corpus
from finetune.base_tokenizer import ASSISTANT, SPECIAL

MOST_MEASURED, MEASURED_TOGETHER = 48, 8  # windows of each source


def held_out_perplexity(model: Any, corpus: Corpus, window: int, device: Any) -> dict[str, float]:
    """Of each source's held-out documents, in windows end to end."""
    return {
        name: round(math.exp(float(losses.sum() / losses.numel())), 2)
        for name, losses, _, _ in _held_out_losses(model, corpus, window, device, MOST_MEASURED)
    }


def answers_foretold(
    model: Any, corpus: Corpus, window: int, device: Any, most: int = MOST_MEASURED
) -> dict[str, float]:
    """Of the tokens of the held-out documents' answers, given those before, the share the model holds for likeliest.

    One token in thirty wrong is one sentence in two: to copy surely it wants .998.
    """
    return {
        name: round(float((right * inside).sum() / inside.sum()), 4)
        for name, _, right, inside in _held_out_losses(model, corpus, window, device, most)
        if inside.sum() > 0
    }


def _held_out_losses(
    model: Any, corpus: Corpus, window: int, device: Any, most: int
) -> Iterator[tuple[str, Any, Any, Any]]:
    """By source: of each token the loss, whether it was the likeliest, whether it belongs to an answer; (tokens,) each."""
    import numpy as np
    import torch

    for name, stream in corpus.held_out.items():
        length = min(window, len(stream))
        if length < 2:
            continue
        rows = np.stack([stream[at : at + length] for at in range(0, len(stream) - length + 1, length)])[:most]
        found = []
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            for some in np.array_split(rows.astype(np.int64), -(-len(rows) // MEASURED_TOGETHER)):
                ids = torch.from_numpy(some).to(device)
                losses, right = token_losses(model, ids)
                found.append([one.double().flatten() for one in (losses, right, answer_tokens(ids)[:, 1:])])
        losses, right, inside = (torch.cat(column) for column in zip(*found, strict=True))
        yield name, losses, right, inside


def token_losses(model: Any, ids: Any) -> tuple[Any, Any]:
    """Of every token but the first: its loss in nats, and whether it was held for the likeliest; (rows, tokens - 1) each."""
    import torch

    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    told = ids[:, 1:]
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), told, reduction="none")
    return losses, logits.argmax(-1) == told


def answer_tokens(ids: Any) -> Any:
    """(rows, tokens) float: 1 where a token stands after the assistant's mark, up to and with the end mark."""
    import torch

    place = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    nowhere = torch.full_like(ids, -1)
    begun = torch.where(ids == SPECIAL.index(ASSISTANT), place, nowhere).cummax(1).values
    ended = torch.where(ids < len(SPECIAL), place, nowhere)
    ended = torch.where(ids == SPECIAL.index(ASSISTANT), nowhere, ended).cummax(1).values
    before = torch.cat([nowhere[:, :1], ended[:, :-1]], 1)
    return ((begun > before) & (begun < place)).float()
