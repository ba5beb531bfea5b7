"""Texts → token ids: the bilingual byte-pair tokenizer, and rows of ids kept flat so that millions fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PAD, START, MASK = "[PAD]", "[CLS]", "[MASK]"  # numbers 0, 1, 2
PAD_ID, START_ID, MASK_ID = 0, 1, 2
FIRST_WORD_ID = 3
ALPHABET = 6000  # characters that have a token of their own; rarer ones are not read
TEXTS_A_STEP = 20_000


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-pair tokenizer over both languages: NFKC, lower case, digits one by one, scripts apart.

    Every text begins with [CLS]; characters it does not know are passed over.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.UnicodeScripts(), pre_tokenizers.Digits(individual_digits=True)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=3,
        limit_alphabet=ALPHABET,
        special_tokens=[PAD, START, MASK],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A", special_tokens=[(START, START_ID)])
    return tokenizer


@dataclass(frozen=True)
class TokenRows:
    """Rows of different lengths. ids: all of them, uint16, end to end; ends: (n,) where each row ends."""

    ids: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> TokenRows:
        ends = np.cumsum([len(row) for row in rows], dtype=np.int64) if rows else np.zeros(0, np.int64)
        ids = np.concatenate([np.asarray(row, dtype=np.uint16) for row in rows]) if rows else np.zeros(0, np.uint16)
        return cls(ids, ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.ids[self.ends[row - 1] if row else 0 : self.ends[row]]

    def lengths(self) -> np.ndarray:
        return np.diff(self.ends, prepend=0)


def tokenised(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> TokenRows:
    """The ids of every text, its first max_tokens."""
    return TokenRows.of([ids[:max_tokens] for ids in _ids(tokenizer, texts)])


def _ids(tokenizer: Any, texts: Sequence[str]) -> Iterator[list[int]]:
    for start in range(0, len(texts), TEXTS_A_STEP):
        yield from (encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts[start : start + TEXTS_A_STEP])))
