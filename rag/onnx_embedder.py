"""A model folder of daozhen's run by ONNX Runtime, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

GRAPH_FILE = "onnx/model.onnx"
TOKENS_PER_BATCH = 4_096  # padding included; what one run works on then stays in the processor's caches
FEW_TEXTS = 4  # so many short texts are not worth a second thread


@dataclass(frozen=True)
class OnnxEmbedder:
    """A daozhen model folder run by ONNX Runtime: a few queries on one thread, passages on all cores.

    The graph maps input_ids and attention_mask, both (n, tokens) int64, to sentence_embedding (n, dimension). Every
    text begins with one token that stands for no word.
    """

    folder: Path
    name: str
    dimension: int
    max_tokens: int  # what lies beyond is not read
    fingerprint: str
    query_prefix: str = ""
    passage_prefix: str = ""
    tokenizer: Any = field(repr=False, default=None)
    passage_threads: int = 0  # one per core

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        return self._encode([self.passage_prefix + text for text in texts], self._passage_session)

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        session = self._query_session if len(texts) <= FEW_TEXTS else self._passage_session
        return self._encode([self.query_prefix + text for text in texts], session)

    @cached_property
    def _query_session(self) -> Any:
        return open_graph(self.folder, threads=1)

    @cached_property
    def _passage_session(self) -> Any:
        return open_graph(self.folder, threads=self.passage_threads)

    def _encode(self, texts: list[str], session: Any) -> np.ndarray:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        token_ids = [encoding.ids[: self.max_tokens] for encoding in self.tokenizer.encode_batch_fast(texts)]
        for batch in batches_by_length([len(ids) for ids in token_ids]):
            width = max(len(token_ids[row]) for row in batch)
            if width <= 1:  # no words
                continue
            input_ids = np.zeros((len(batch), width), dtype=np.int64)
            attention_mask = np.zeros_like(input_ids)
            for line, row in enumerate(batch):
                input_ids[line, : len(token_ids[row])] = token_ids[row]
                attention_mask[line, : len(token_ids[row])] = 1
            feed = {"input_ids": input_ids, "attention_mask": attention_mask}
            rows[batch] = session.run(["sentence_embedding"], feed)[0]
        rows[[row for row, ids in enumerate(token_ids) if len(ids) <= 1]] = 0
        return rows


def open_graph(folder: Path, threads: int) -> Any:
    """An ONNX Runtime session on that many threads; 0 means one per core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(folder / GRAPH_FILE), options, providers=["CPUExecutionProvider"])


def batches_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Row numbers grouped so that neighbours in length share a batch of at most TOKENS_PER_BATCH padded tokens."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if batches and (len(batches[-1]) + 1) * lengths[row] <= TOKENS_PER_BATCH:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
