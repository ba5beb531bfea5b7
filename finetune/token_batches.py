"""Rows of tokens → batches of a language model: padded, or packed end to end with every document alone.

A batch also says where the loss falls (`learnt`) and what stands there (`targets`), worked out before it reaches the device,
so that the head is asked about nothing else and the device is never waited for.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finetune.supervision import IGNORED, SupervisedTokens

Sequences = list[list["TokenRow"]]


@dataclass(frozen=True)
class TokenRow:
    """One document. input_ids, labels: (tokens,) int32; labels are IGNORED where nothing is learnt."""

    input_ids: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.input_ids)


def token_rows(tokens: Iterable[SupervisedTokens]) -> list[TokenRow]:
    """Tokens held in four bytes each. A document's first token follows nothing, so it is never learnt."""
    return list(_rows(tokens))


def _rows(tokens: Iterable[SupervisedTokens]) -> Iterator[TokenRow]:
    for one in tokens:
        labels = np.array(one.labels, dtype=np.int32)
        labels[:1] = IGNORED
        yield TokenRow(np.array(one.input_ids, dtype=np.int32), labels)


def in_sequences(rows: Sequence[TokenRow], max_tokens: int, packing: bool) -> Sequences:
    """What a batch counts as a row: a document each, or with packing as many as fit into max_tokens."""
    return packed(rows, max_tokens) if packing else [[row] for row in rows]


def packed(rows: Sequence[TokenRow], max_tokens: int) -> Sequences:
    """Documents, the longest first, each into the fullest sequence that still takes it (best-fit decreasing)."""
    sequences: Sequences = []
    free: list[tuple[int, int]] = []  # (tokens still free, sequence), the fullest first
    for row in sorted(rows, key=len, reverse=True):
        place = bisect_left(free, (len(row), 0))
        if place == len(free):
            sequences.append([row])
            left, number = max_tokens - len(row), len(sequences) - 1
        else:
            left, number = free.pop(place)
            sequences[number].append(row)
            left -= len(row)
        if left:
            insort(free, (left, number))
    return sequences


@dataclass(frozen=True)
class TokenCollator:
    """Batches for a causal model. packed: everything in one row whose positions start anew with each document."""

    pad_token_id: int
    packed: bool

    def __call__(self, sequences: Sequences) -> dict[str, Any]:
        rows = [row for sequence in sequences for row in sequence]
        return self._end_to_end(rows) if self.packed else self._padded(rows)

    def _end_to_end(self, rows: Sequence[TokenRow]) -> dict[str, Any]:
        import torch

        lengths = np.array([len(row) for row in rows])
        ends = torch.from_numpy(np.concatenate([[0], lengths.cumsum()]).astype(np.int32))
        positions = np.concatenate([np.arange(length) for length in lengths])
        longest = int(lengths.max())
        return {
            **_tensors(np.concatenate([row.input_ids for row in rows])[None], np.concatenate([r.labels for r in rows])[None]),
            "position_ids": torch.from_numpy(positions)[None],
            "cu_seq_lens_q": ends,
            "cu_seq_lens_k": ends,
            "max_length_q": longest,
            "max_length_k": longest,
        }  # fmt: skip

    def _padded(self, rows: Sequence[TokenRow]) -> dict[str, Any]:
        import torch

        shape = (len(rows), max(len(row) for row in rows))
        ids, labels = np.full(shape, self.pad_token_id), np.full(shape, IGNORED)
        mask = np.zeros(shape, dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)], labels[place, : len(row)], mask[place, : len(row)] = row.input_ids, row.labels, 1
        return {**_tensors(ids, labels), "attention_mask": torch.from_numpy(mask)}


def _tensors(ids: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """learnt: places, in the flattened batch, of the states that foretell a learnt token; targets: that token."""
    import torch

    ids, labels = ids.astype(np.int64), labels.astype(np.int64)
    following = np.full_like(labels, IGNORED)
    following[:, :-1] = labels[:, 1:]
    following = following.reshape(-1)
    learnt = np.flatnonzero(following != IGNORED)
    arrays = {"input_ids": ids, "labels": labels, "learnt": learnt, "targets": following[learnt]}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
