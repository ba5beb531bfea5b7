"""The model card of a trained embedder: what it is, from which data, how good, its limits, how to make it again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.stages.embedder import EmbedderConfig

CARD = """---
language: [zh, en]
library_name: sentence-transformers
pipeline_tag: sentence-similarity
---
# {name}

An embedder for Chinese and English medical text: {kind}, {width} numbers a text{prefixes}. It needs no
GPU and no torch. daozhen runs it through ONNX Runtime; sentence-transformers opens the same folder with
`SentenceTransformer(path, backend="onnx")`.

```python
from rag.embedder import load_embedder

rows = load_embedder().encode_queries(["胸口闷", "my chest feels tight"])
```

The weights stand once, eight bits a number, in `onnx/model.onnx`; the scales of what they are multiplied with were fixed
on sample texts, so a text has one vector whatever stands beside it. Nothing here is a pickle. Texts are read up to
512 tokens; a token stands for {characters_zh} Chinese or {characters_en} English characters.

## Data

Trained from scratch, no other model's weights: first guessing hidden words in {tokens} tokens of text, then on
{pairs} pairs of texts that belong together. The Huatuo instructions and the counselling dialogues were written by their
publishers with the help of language models.

| data set | origin | licence | pairs | left out as near-duplicates of test data |
|---|---|---|---|---|
{datasets}

Plain text, for guessing words alone: {texts}.

Test data that no training text may repeat, nearly or wholly (character five-grams, Jaccard 0.6): {held_apart}, and the
held-out parts of the sets above. {absent}

## Figures

The questions below were held out of the training by a fixed hash; they are looked for among held-out and training
passages of the same set.

| held out | questions | passages | nDCG@10 | recall@10 | MRR@10 |
|---|---|---|---|---|---|
{held_out}

Figures beside BM25, on test sets, are printed by `python -m tests.benchmarks.embedder_retrieval --data DIR`.

## Limits

- Negation and numbers are read only roughly: "no pain but fever" and "pain but no fever" lie near each other. Nothing
  urgent may rest on this model alone.
- Rare diseases and words outside the data above have poor vectors; exact words are what BM25 is for, beside it.
- Chinese and English meet almost only in the project's own records, so they agree best on common complaints.
- Traditional characters are not converted; convert them to simplified ones first.

## Reproduce

```
daozhen train finetune/configs/embedder.toml --data DIR
```

The phases took {phases} on one NVIDIA H200.
"""


def write_card(folder: Path, config: EmbedderConfig, figures: dict[str, Any]) -> None:
    """Writes README.md of a model folder: what it was trained on, under which licences, and its figures."""
    left_out = figures["left_out_as_repeating"]
    datasets = [
        (
            f"{source.name} (`{source.file or 'knowledge/'}`)",
            source.origin,
            source.licence,
            count,
            left_out[source.name],
        )
        for source in config.datasets
        if (count := figures["pairs_by_dataset"].get(source.name))
    ]
    phases = [name for name in ("masked", "wide", "sharp") if name in figures]
    scores: dict[str, dict[str, float]] = next(
        (figures[name]["held_out"] for name in reversed(phases) if "held_out" in figures[name]), {}
    )
    shape = config.encoder
    kind = f"a transformer encoder of {shape.layers} layers" if shape.layers else "the mean of its tokens' rows"
    absent = figures["absent"]
    card = CARD.format(
        name=config.name,
        kind=kind,
        width=shape.width,
        prefixes=f" (the first {' or '.join(map(str, config.dimensions))} can be used alone)"
        if config.dimensions
        else "",
        characters_zh=characters(figures, chinese=True),
        characters_en=characters(figures, chinese=False),
        tokens=f"{sum(figures['tokens'].values()):,}",
        pairs=f"{figures['pairs']:,}",
        datasets=table_rows(datasets),
        texts="; ".join(f"{text.name} (`{text.file}`, {text.licence}, {text.origin})" for text in config.texts)
        or "none",
        held_apart=", ".join(f"`{apart.file}`" for apart in config.held_apart) or "none",
        absent=f"Not there when this model was made: {', '.join(absent)}." if absent else "",
        held_out=table_rows((name, *values.values()) for name, values in scores.items()),
        phases=", ".join(f"{figures[name]['seconds']} s ({name})" for name in phases),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def characters(figures: dict[str, Any], chinese: bool) -> str:
    """The fewest and most characters a token stands for, over the sets of that language; only MedQuAD is English."""
    some = [
        value for name, value in figures["characters_a_token"].items() if value and ("MedQuAD" not in name) is chinese
    ]
    return f"{min(some):.1f}-{max(some):.1f}" if some else "no"


def table_rows(rows: Iterable[Iterable[Any]]) -> str:
    """The rows of a Markdown table."""
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
