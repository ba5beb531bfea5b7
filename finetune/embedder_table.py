"""The tokenizer and the token table of the static embedder: how both are learnt from text pairs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from finetune.embedder_pairs import TextPair
from knowledge.errors import MissingExtra, TrainingFailed

UNKNOWN = "[UNK]"
SHORTEST_SENTENCE = 6  # characters
_SENTENCE_ENDS = re.compile(r"(?<=[。！？；;!?])|(?<=\.)\s")


@dataclass(frozen=True)
class Phase:
    """One pass of training: Adam, its rate rising from 0 over warmup_share of the steps, then falling back to 0."""

    epochs: int
    batch_size: int
    learning_rate: float
    warmup_share: float = 0.1


@dataclass(frozen=True)
class TableSettings:
    """vocabulary: tokens; dimension: numbers per token; scale: what cosines are multiplied by in the softmax."""

    vocabulary: int = 12_000
    dimension: int = 256
    scale: float = 14.0
    max_tokens: int = 256  # of a passage, in training only
    initial_spread: float = 0.02  # standard deviation of the untrained rows
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


class TokenTable:
    """A table of token rows in training. A text's vector is the mean of its tokens' rows, at unit length."""

    def __init__(self, tokenizer: Any, settings: TableSettings, seed: int) -> None:
        try:
            import torch
        except ImportError:
            raise MissingExtra("training needs torch; pip install 'daozhen[finetune]'") from None
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.tokenizer, self.settings = tokenizer, settings
        self.bag = torch.nn.EmbeddingBag(tokenizer.get_vocab_size(), settings.dimension, mode="mean")
        torch.nn.init.normal_(self.bag.weight, std=settings.initial_spread)

    def fit(self, pairs: Sequence[TextPair], phase: Phase, progress: Callable[[str], None]) -> list[float]:
        """Trains on the pairs and returns the loss of every step. Raises TrainingFailed if it does not fall."""
        import torch

        anchors = token_ids(self.tokenizer, [pair.anchor for pair in pairs])
        positives = [ids[: self.settings.max_tokens] for ids in token_ids(self.tokenizer, [p.positive for p in pairs])]
        kin = kinship(pairs)
        optimizer = torch.optim.Adam(self.bag.parameters(), lr=phase.learning_rate)
        batch_size = min(phase.batch_size, len(pairs))
        steps = phase.epochs * (len(pairs) // batch_size)
        losses: list[float] = []
        for step, rows in enumerate(batches(len(pairs), batch_size, phase.epochs, self.rng)):
            optimizer.param_groups[0]["lr"] = phase.learning_rate * rate_share(step, steps, phase.warmup_share)
            cosines = self.vectors([anchors[row] for row in rows]) @ self.vectors([positives[row] for row in rows]).T
            scores = cosines.mul(self.settings.scale).masked_fill(torch.from_numpy(kin_mask(kin[rows])), -torch.inf)
            loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(rows)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if (step + 1) % max(1, steps // 5) == 0:
                progress(f"step {step + 1} of {steps}, loss {np.mean(losses[-max(1, steps // 10) :]):.3f}")
        require_learning(losses, self.settings.least_fall)
        return losses

    def vectors(self, texts: list[np.ndarray]) -> Any:
        """(n, dimension) unit rows, as a tensor that gradients flow through."""
        import torch

        starts = torch.from_numpy(np.cumsum([0, *(len(ids) for ids in texts[:-1])]))
        return torch.nn.functional.normalize(self.bag(torch.from_numpy(np.concatenate(texts)), starts), dim=-1)

    def rows(self) -> np.ndarray:
        """(tokens, dimension) float32; the unknown token's row is zero: what was never seen says nothing."""
        table: np.ndarray = self.bag.weight.detach().numpy().copy()
        table[self.tokenizer.token_to_id(UNKNOWN)] = 0
        return table


def neighbouring_sentences(texts: Iterable[str]) -> list[TextPair]:
    """Every sentence with the one after it, each text once: what is said together is kin."""
    pairs = []
    for text in dict.fromkeys(texts):
        sentences = [part for piece in _SENTENCE_ENDS.split(text) if len(part := piece.strip()) >= SHORTEST_SENTENCE]
        pairs += [TextPair(one, following, key=one) for one, following in pairwise(sentences)]
    return pairs


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
