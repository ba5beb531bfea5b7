"""What the embedder learns from, made ready once: pairs by group, plain texts and held-out questions as token ids.

corpus/
  tokenizer.json
  texts.npz            name → ids of the texts for the masked-language phase, end to end
  groups/<name>.npz    anchors, positives, kin numbers and draws of one group of pairs
  held_out/<name>.npz  questions, passages and which belongs to which
  figures.json         counts, absent files, what was left out and why
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from finetune.embedder_overlap import HeldApartTexts
from finetune.embedder_pairs import PairSource, TextPair, opened, read_pairs, rows_of, split_of
from finetune.embedder_tokens import FIRST_WORD_ID, TokenRows, tokenised, train_tokenizer
from knowledge.errors import TrainingFailed

Progress = Callable[[str], None]
TOKENIZER, TEXTS, GROUPS, HELD_OUT, FIGURES = "tokenizer.json", "texts.npz", "groups", "held_out", "figures.json"
LONGEST = 512  # tokens of a text kept
TOKENIZER_CHARS = 1_500_000  # of each data set: enough for its words, and no language outweighs the other
HELD_OUT_DISTRACTORS = 4000  # training passages of the same group among which the held-out ones are looked for


@dataclass(frozen=True)
class TextSource:
    """Plain text for the masked-language phase, a paragraph a line. share: the part of the file that is read."""

    name: str
    file: str
    licence: str
    origin: str
    share: float = 1.0


@dataclass(frozen=True)
class HeldApart:
    """A test set no training text may repeat. fields: the texts of its rows; file: in the data or the working folder."""

    file: str
    fields: Sequence[str]


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


@dataclass
class PairsRead:
    """What the data sets gave. counts: pairs that train, by data set; repeating: pairs left out as near-duplicates of
    held-apart texts; absent: files that are not there."""

    train: dict[str, list[TextPair]] = field(default_factory=dict)
    held_out: dict[str, list[TextPair]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    repeating: dict[str, int] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)


def gather_pairs(
    sources: Sequence[PairSource], apart: Sequence[HeldApart], data_dir: Path, progress: Progress
) -> PairsRead:
    """Every data set that is there, split, without what repeats a test set or a held-out pair."""
    read = PairsRead()
    texts: list[str] = []
    for test_set in apart:
        path = next((p for p in (data_dir / test_set.file, Path(test_set.file)) if p.is_file()), None)
        if path is None:
            read.absent.append(test_set.file)
            continue
        texts += [str(row[name]) for row in rows_of(path) for name in test_set.fields if row.get(name)]
    training: dict[str, list[TextPair]] = {}
    for source in sources:
        if source.file and not (data_dir / source.file).is_file():
            read.absent.append(source.file)
            progress(f"{source.name}: {source.file} is not in {data_dir}; skipped")
            continue
        pairs = list(dict.fromkeys(read_pairs(source, data_dir)))
        splits = [split_of(pair.key, source.test_share) for pair in pairs]
        training[source.name] = [p for p, split in zip(pairs, splits, strict=True) if split not in source.held_out]
        kept_back = [p for p, split in zip(pairs, splits, strict=True) if split in source.held_out]
        texts += [text for pair in kept_back for text in (pair.anchor, pair.positive)]
        if "validation" in source.held_out:
            read.held_out[source.name] = [p for p, split in zip(pairs, splits, strict=True) if split == "validation"]
    held_apart = HeldApartTexts(texts)
    progress(f"{len(held_apart.plain)} held-apart texts")
    for name, pairs in training.items():
        fresh = [p for p in pairs if not (held_apart.repeats(p.anchor) or held_apart.repeats(p.positive))]
        read.train[name], read.counts[name], read.repeating[name] = fresh, len(fresh), len(pairs) - len(fresh)
    if not any(read.train.values()):
        raise TrainingFailed(f"{data_dir}: none of {', '.join(read.absent) or 'the data sets'} is there to train on")
    return read


def prepare(
    folder: Path,
    data_dir: Path,
    sources: Sequence[PairSource],
    plain: Sequence[TextSource],
    apart: Sequence[HeldApart],
    vocabulary: int,
    progress: Progress,
) -> dict[str, Any]:
    """Writes the corpus folder and returns its figures."""
    read = gather_pairs(sources, apart, data_dir, progress)
    by_name = {source.name: source for source in sources}
    texts = {
        name: list(dict.fromkeys(t for p in pairs for t in (p.anchor, p.positive)))
        for name, pairs in read.train.items()
    }
    repeats = {name: by_name[name].text_repeat for name in texts}
    for text in plain:
        if (data_dir / text.file).is_file():
            texts[text.name] = paragraphs(data_dir / text.file, text.share)
            repeats[text.name] = 1
        else:
            read.absent.append(text.file)
    progress(", ".join(f"{name}: {sum(map(len, some)):,} characters" for name, some in texts.items()))
    tokenizer = train_tokenizer((text for some in texts.values() for text in up_to(some, TOKENIZER_CHARS)), vocabulary)
    progress(f"tokenizer: {tokenizer.get_vocab_size():,} tokens")
    (folder / GROUPS).mkdir(parents=True, exist_ok=True)
    (folder / HELD_OUT).mkdir(exist_ok=True)
    streams = {name: tokenised(tokenizer, some, 100_000).ids for name, some in texts.items()}
    kept: dict[str, Any] = {f"{name}|{repeats[name]}": ids for name, ids in streams.items()}
    np.savez(folder / TEXTS, **kept)
    groups = {source.group or source.name for source in sources if source.name in read.train}
    for name in sorted(groups):
        members = [source for source in sources if (source.group or source.name) == name and source.name in read.train]
        pairs = [pair for source in members for pair in read.train[source.name]]
        draws = np.concatenate([np.full(len(read.train[source.name]), source.repeat, np.float32) for source in members])
        if len(pairs) > 1:
            save_group(folder, PairGroup(name, *token_pairs(tokenizer, pairs), kinship(pairs), draws))
    for source in sources:
        held_out = read.held_out.get(source.name, [])
        if len(held_out) > 1:
            distractors = [p.positive for p in read.train[source.name][:HELD_OUT_DISTRACTORS]]
            save_held_out(folder, held_out_set(tokenizer, source.name, held_out, distractors))
    tokenizer.save(str(folder / TOKENIZER), pretty=False)
    figures = {
        "pairs": sum(read.counts.values()),
        "pairs_by_dataset": read.counts,
        "left_out_as_repeating": read.repeating,
        "absent": read.absent,
        "tokens": {name: len(ids) for name, ids in streams.items()},
        "vocabulary": tokenizer.get_vocab_size(),
        "characters_a_token": characters_a_token(streams, texts),
    }
    (folder / FIGURES).write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return figures


def up_to(texts: Sequence[str], characters: int) -> list[str]:
    """Every so-manieth text, so that together they have about that many characters."""
    total = sum(map(len, texts))
    return list(texts[:: max(1, round(total / characters))])


def paragraphs(path: Path, share: float) -> list[str]:
    """The lines of a text file with something in them, the first of them up to that share."""
    with opened(path) as file:
        lines = [line.strip() for line in file if line.strip()]
    return lines[: round(share * len(lines))]


def characters_a_token(streams: dict[str, np.ndarray], texts: dict[str, list[str]]) -> dict[str, float]:
    """How many characters a token stands for, by data set: how well the vocabulary fits each language."""
    return {name: round(sum(map(len, texts[name])) / max(1, len(ids)), 2) for name, ids in streams.items()}


def token_pairs(tokenizer: Any, pairs: Sequence[TextPair]) -> tuple[TokenRows, TokenRows]:
    return (
        tokenised(tokenizer, [pair.anchor for pair in pairs], LONGEST),
        tokenised(tokenizer, [pair.positive for pair in pairs], LONGEST),
    )


def held_out_set(tokenizer: Any, name: str, pairs: Sequence[TextPair], distractors: Sequence[str]) -> HeldOutSet:
    questions = list(dict.fromkeys(pair.anchor for pair in pairs))
    passages = list(dict.fromkeys([*(pair.positive for pair in pairs), *distractors]))
    asked, held = ({text: number for number, text in enumerate(some)} for some in (questions, passages))
    right = np.array(sorted({(asked[pair.anchor], held[pair.positive]) for pair in pairs}), dtype=np.int64)
    return HeldOutSet(name, tokenised(tokenizer, questions, LONGEST), tokenised(tokenizer, passages, LONGEST), right)


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


def save_group(folder: Path, group: PairGroup) -> None:
    np.savez(
        folder / GROUPS / f"{group.name}.npz",
        anchor_ids=group.anchors.ids,
        anchor_ends=group.anchors.ends,
        positive_ids=group.positives.ids,
        positive_ends=group.positives.ends,
        kin=group.kin,
        draws=group.draws,
    )


def load_groups(folder: Path) -> list[PairGroup]:
    groups = []
    for path in sorted((folder / GROUPS).glob("*.npz")):
        with np.load(path, allow_pickle=False) as kept:
            anchors = TokenRows(kept["anchor_ids"], kept["anchor_ends"])
            positives = TokenRows(kept["positive_ids"], kept["positive_ends"])
            groups.append(PairGroup(path.stem, anchors, positives, kept["kin"], kept["draws"]))
    return groups


def save_held_out(folder: Path, held_out: HeldOutSet) -> None:
    np.savez(
        folder / HELD_OUT / f"{held_out.name}.npz",
        question_ids=held_out.questions.ids,
        question_ends=held_out.questions.ends,
        passage_ids=held_out.passages.ids,
        passage_ends=held_out.passages.ends,
        right=held_out.right,
    )


def load_held_out(folder: Path) -> list[HeldOutSet]:
    sets = []
    for path in sorted((folder / HELD_OUT).glob("*.npz")):
        with np.load(path, allow_pickle=False) as kept:
            questions = TokenRows(kept["question_ids"], kept["question_ends"])
            passages = TokenRows(kept["passage_ids"], kept["passage_ends"])
            sets.append(HeldOutSet(path.stem, questions, passages, kept["right"]))
    return sets


def load_text_stream(folder: Path) -> np.ndarray:
    """Every text's ids end to end, uint16, the data sets that repeat as often as they do."""
    with np.load(folder / TEXTS, allow_pickle=False) as kept:
        parts = [kept[name] for name in kept.files for _ in range(int(name.rpartition("|")[2]))]
    stream = np.concatenate(parts)
    if stream.max(initial=0) < FIRST_WORD_ID:
        raise TrainingFailed(f"{folder}: the texts hold no words; give more data")
    return stream
