"""The tokenizer and the token table of the static embedder: how both are learnt from text pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finetune.embedder_pairs import TextPair
from knowledge.errors import MissingExtra, TrainingFailed

UNKNOWN = "[UNK]"


@dataclass(frozen=True)
class TableSettings:
    """vocabulary: tokens; dimension: numbers per token; scale: what cosines are multiplied by in the softmax."""

    vocabulary: int = 12_000
    dimension: int = 256
    epochs: int = 6
    batch_size: int = 1024
    learning_rate: float = 0.01
    warmup_share: float = 0.1  # of all steps, the rate rising from 0; afterwards it falls linearly to 0
    scale: float = 14.0
    max_tokens: int = 256  # of a passage, in training only
    initial_spread: float = 0.02  # standard deviation of the untrained rows
    token_dropout: float = 0.0  # share of a text's tokens hidden at each sight of it
    least_fall: float = 0.1  # the share by which the loss must have fallen from the first tenth of steps to the last


def train_tokenizer(pairs: Sequence[TextPair], settings: TableSettings) -> Any:
    """A byte-pair tokenizer over both languages: NFKC, lower case, digits and scripts apart."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.UnicodeScripts(), pre_tokenizers.Digits()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary, min_frequency=3, special_tokens=[UNKNOWN], show_progress=False
    )
    texts = dict.fromkeys(text for pair in pairs for text in (pair.anchor, pair.positive))
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer


def train_table(
    pairs: Sequence[TextPair],
    tokenizer: Any,
    settings: TableSettings,
    seed: int,
    progress: Callable[[str], None],
) -> tuple[np.ndarray, list[float]]:
    """The table, (tokens, dimension) float32, and the loss of every step."""
    try:
        import torch
        from torch.nn import functional
    except ImportError:
        raise MissingExtra("training needs torch; pip install 'daozhen[finetune]'") from None
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    anchors = token_ids(tokenizer, [pair.anchor for pair in pairs])
    positives = [ids[: settings.max_tokens] for ids in token_ids(tokenizer, [pair.positive for pair in pairs])]
    kin = kinship(pairs)
    bag = torch.nn.EmbeddingBag(tokenizer.get_vocab_size(), settings.dimension, mode="mean")
    torch.nn.init.normal_(bag.weight, std=settings.initial_spread)
    optimizer = torch.optim.Adam(bag.parameters(), lr=settings.learning_rate)
    batch_size = min(settings.batch_size, len(pairs))
    steps = settings.epochs * (len(pairs) // batch_size)

    def vectors(texts: list[np.ndarray]) -> Any:
        kept = [without_some(ids, settings.token_dropout, rng) for ids in texts]
        starts = np.cumsum([0, *(len(ids) for ids in kept[:-1])])
        return functional.normalize(bag(torch.from_numpy(np.concatenate(kept)), torch.from_numpy(starts)), dim=-1)

    losses: list[float] = []
    for step, rows in enumerate(batches(len(pairs), batch_size, settings.epochs, rng)):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * rate_share(step, steps, settings.warmup_share)
        cosines = vectors([anchors[row] for row in rows]) @ vectors([positives[row] for row in rows]).T
        scores = cosines * settings.scale
        scores = scores.masked_fill(torch.from_numpy(kin_mask(kin[rows])), -torch.inf)
        loss = functional.cross_entropy(scores, torch.arange(len(rows)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % max(1, steps // 10) == 0:
            progress(f"step {step + 1} of {steps}, loss {np.mean(losses[-max(1, steps // 10) :]):.3f}")
    require_learning(losses, settings.least_fall)
    table = bag.weight.detach().numpy().copy()
    table[tokenizer.token_to_id(UNKNOWN)] = 0  # what was never seen says nothing
    return table, losses


def token_ids(tokenizer: Any, texts: list[str]) -> list[np.ndarray]:
    """int64 ids per text; a text without tokens becomes one unknown token, so that every text has a vector."""
    return [np.array(encoding.ids or [0], dtype=np.int64) for encoding in tokenizer.encode_batch_fast(texts)]


def batches(count: int, size: int, epochs: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Row numbers in random order, every epoch anew; what does not fill a batch waits for the next epoch."""
    for _ in range(epochs):
        order = rng.permutation(count)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))


def kinship(pairs: Sequence[TextPair]) -> np.ndarray:
    """(n, 3) int64: numbers that are equal where two pairs share the anchor, the positive or the topic."""
    numbers: dict[tuple[str, str], int] = {}

    def number(kind: str, value: str) -> int:
        return numbers.setdefault((kind, value), len(numbers))

    return np.array(
        [
            (number("text", pair.anchor), number("text", pair.positive), number("topic", pair.topic or f"{row}"))
            for row, pair in enumerate(pairs)
        ],
        dtype=np.int64,
    )


def kin_mask(kin: np.ndarray) -> np.ndarray:
    """(n, n) bool: True where the pair of the column is no fair negative for that of the row. Its own never is."""
    mask = (kin[:, None, :] == kin[None, :, :]).any(axis=2)
    np.fill_diagonal(mask, False)
    return mask


def without_some(ids: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The ids without a random share of them; short texts stay whole."""
    if share <= 0 or len(ids) < 3:
        return ids
    kept = ids[rng.random(len(ids)) >= share]
    return kept if len(kept) else ids


def rate_share(step: int, steps: int, warmup_share: float) -> float:
    """What share of the learning rate applies at a step: a linear rise, then a linear fall."""
    warmup = max(1, round(steps * warmup_share))
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def require_learning(losses: Sequence[float], least_fall: float) -> None:
    """Raises TrainingFailed unless the loss is a number and has fallen by that share."""
    tenth = max(1, len(losses) // 10)
    first, last = float(np.mean(losses[:tenth])), float(np.mean(losses[-tenth:]))
    if not np.isfinite(last) or last > first * (1 - least_fall):
        raise TrainingFailed(
            f"the loss did not fall ({first:.3f} at first, {last:.3f} at last); try another learning_rate or more epochs"
        )
