"""The folder of a corpus the embedder learns from.

corpus/
  tokenizer.json
  texts.npz            name → ids of the texts for the masked-language phase, end to end
  groups/<name>.npz    anchors, positives, kin numbers and draws of one group of pairs
  held_out/<name>.npz  questions, passages and which belongs to which
  figures.json         counts, absent files, what was left out and why
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.embedder_tokens import FIRST_WORD_ID, TokenRows
from knowledge.errors import TrainingFailed

TOKENIZER, TEXTS, GROUPS, HELD_OUT, FIGURES = "tokenizer.json", "texts.npz", "groups", "held_out", "figures.json"


@dataclass(frozen=True)
class PairGroup:
    """Pairs that are each other's negatives. kin: (n, 3) numbers, equal where two pairs share anchor, positive or topic;
    draws: (n,) how often each is drawn beside the others."""

    name: str
    anchors: TokenRows
    positives: TokenRows
    kin: np.ndarray
    draws: np.ndarray


@dataclass(frozen=True)
class HeldOutSet:
    """Questions for choosing between models. right: (m, 2) numbers of a question and a passage that belongs to it."""

    name: str
    questions: TokenRows
    passages: TokenRows
    right: np.ndarray


def save_group(folder: Path, group: PairGroup) -> None:
    """Writes a group as one .npz of the corpus folder."""
    (folder / GROUPS).mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / GROUPS / f"{group.name}.npz",
        **_arrays_of("anchor", group.anchors),
        **_arrays_of("positive", group.positives),
        kin=group.kin,
        draws=group.draws,
    )


def load_groups(folder: Path) -> list[PairGroup]:
    """Every group of a corpus folder, by name."""
    groups = []
    for path in sorted((folder / GROUPS).glob("*.npz")):
        with np.load(path, allow_pickle=False) as kept:
            anchors, positives = _rows_in(kept, "anchor"), _rows_in(kept, "positive")
            groups.append(PairGroup(path.stem, anchors, positives, kept["kin"], kept["draws"]))
    return groups


def save_held_out(folder: Path, held_out: HeldOutSet) -> None:
    """Writes held-out questions as one .npz of the corpus folder."""
    (folder / HELD_OUT).mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / HELD_OUT / f"{held_out.name}.npz",
        **_arrays_of("question", held_out.questions),
        **_arrays_of("passage", held_out.passages),
        right=held_out.right,
    )


def load_held_out(folder: Path) -> list[HeldOutSet]:
    """Every set of held-out questions of a corpus folder, by name."""
    sets = []
    for path in sorted((folder / HELD_OUT).glob("*.npz")):
        with np.load(path, allow_pickle=False) as kept:
            questions, passages = _rows_in(kept, "question"), _rows_in(kept, "passage")
            sets.append(HeldOutSet(path.stem, questions, passages, kept["right"]))
    return sets


def save_texts(folder: Path, streams: Mapping[str, np.ndarray], repeats: Mapping[str, int]) -> None:
    """streams: token ids by data set, end to end; repeats: how often each is read, once where nothing is said."""
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Any] = {f"{name}|{repeats.get(name, 1)}": ids for name, ids in streams.items()}
    np.savez(folder / TEXTS, **kept)


def load_text_stream(folder: Path) -> np.ndarray:
    """Every text's ids end to end, uint16, the data sets that repeat as often as they do."""
    with np.load(folder / TEXTS, allow_pickle=False) as kept:
        parts = [kept[name] for name in kept.files for _ in range(int(name.rpartition("|")[2]))]
    stream = np.concatenate(parts)
    if stream.max(initial=0) < FIRST_WORD_ID:
        raise TrainingFailed(f"{folder}: the texts hold no words; give more data")
    return stream


def _arrays_of(name: str, rows: TokenRows) -> dict[str, Any]:
    return {f"{name}_ids": rows.ids, f"{name}_ends": rows.ends}


def _rows_in(kept: Any, name: str) -> TokenRows:
    return TokenRows(kept[f"{name}_ids"], kept[f"{name}_ends"])
