"""The model card of a trained embedder: what it is, from which data, how good, its limits, how to make it again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.stages.embedder import StageConfig

CARD = """---
language: [zh, en]
library_name: sentence-transformers
pipeline_tag: sentence-similarity
---
# {name}

A static embedder for Chinese and English medical text: a text's vector is the mean of its tokens' rows
({tokens} tokens, {dimension} numbers each), brought to unit length. It needs no GPU and no torch, and reads
thousands of passages a second on one core. daozhen runs it through ONNX Runtime; sentence-transformers
(6.0 or later) opens the same folder.

```python
from rag.embedder import load_embedder

rows = load_embedder().encode_queries(["胸口闷", "my chest feels tight"])
```

The weights are stored once, as one signed byte per number and one float32 scale per token, in `model.safetensors`.
`model.onnx` is the graph alone and points into that file, so the two must stay together. Nothing here is a pickle.

## Data

Trained from scratch: first on {neighbouring_sentences} pairs of neighbouring sentences of the passages below, then on
{pairs} pairs of texts that belong together. No other model's weights were used. The Huatuo instructions and the
counselling dialogues were written by their publishers with the help of language models.

| data set | origin | licence | pairs |
|---|---|---|---|
{datasets}

{exclusion}

## Figures

The questions below were held out of the training; the passages are their data set's held-out ones.

| held out | questions | passages | nDCG@10 | recall@10 | MRR@10 |
|---|---|---|---|---|---|
{held_out}

The loss on the pairs fell from {loss_first} to {loss_last}. Figures beside BM25, on questions that took no part in training
or in choosing settings, are printed by `python -m tests.benchmarks.embedder_retrieval --data DIR`.

## Limits

- Word order is not read: "no pain but fever" and "pain but no fever" are one text to it. Negation, numbers and time
  are for other parts of daozhen; nothing urgent may rest on this model alone.
- Rare diseases and words outside the data above have poor vectors; exact words are what BM25 is for, beside it.
- Chinese and English meet almost only in the project's own records, so they agree best on common complaints.
- Traditional characters are not converted; convert them to simplified ones first.

## Reproduce

```
daozhen train finetune/configs/embedder.toml --data DIR
```

It takes minutes on two CPU cores. On one machine the same data, records, seed and library versions give the same bytes.
"""


def write_card(folder: Path, config: StageConfig, figures: dict[str, Any]) -> None:
    used = [source for source in config.datasets if source.name in figures["pairs_by_dataset"]]
    datasets = [
        (f"{source.name} (`{source.file or 'knowledge/'}`)", source.origin, source.licence, count)
        for source in used
        if (count := figures["pairs_by_dataset"][source.name])
    ]
    held_out = [(name, *scores.values()) for name, scores in figures["held_out"].items()]
    card = CARD.format(
        name=config.name,
        datasets=table_rows(datasets),
        held_out=table_rows(held_out),
        exclusion=exclusion(config.excluded_questions, figures),
        **{
            key: figures[key]
            for key in ("tokens", "dimension", "pairs", "neighbouring_sentences", "loss_first", "loss_last")
        },
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def exclusion(test_set: str, figures: dict[str, Any]) -> str:
    if not test_set:
        return "No test set was named whose questions had to be left out."
    if test_set in figures["absent"]:
        return f"`{test_set}`, whose questions may not train, was not there to compare with."
    dropped = figures["dropped_test_questions"]
    return f"{dropped} pairs were left out because their question is also asked in the test set `{test_set}`."


def table_rows(rows: Iterable[Iterable[Any]]) -> str:
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
