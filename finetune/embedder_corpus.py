"""What the embedder learns from, made ready once: pairs by group, plain texts and held-out questions as token ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from finetune.embedder_corpus_files import (
    FIGURES,
    TOKENIZER,
    HeldOutSet,
    PairGroup,
    save_group,
    save_held_out,
    save_texts,
)
from finetune.embedder_overlap import HeldApartTexts
from finetune.embedder_pairs import PairSource, TextPair, opened, read_pairs, rows_of, split_of
from finetune.embedder_tokens import TokenRows, tokenised, train_tokenizer
from knowledge.errors import TrainingFailed

Progress = Callable[[str], None]
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
    texts = texts_of(read, plain, data_dir)
    progress(", ".join(f"{name}: {sum(map(len, some)):,} characters" for name, some in texts.items()))
    tokenizer = train_tokenizer((text for some in texts.values() for text in up_to(some, TOKENIZER_CHARS)), vocabulary)
    progress(f"tokenizer: {tokenizer.get_vocab_size():,} tokens")
    streams = {name: tokenised(tokenizer, some, 100_000).ids for name, some in texts.items()}
    repeats = {source.name: source.text_repeat for source in sources} | {source.name: 1 for source in plain}
    save_texts(folder, streams, repeats)
    for group in groups_of(read, sources, tokenizer):
        save_group(folder, group)
    for held_out in held_out_sets(read, tokenizer):
        save_held_out(folder, held_out)
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


def texts_of(read: PairsRead, plain: Sequence[TextSource], data_dir: Path) -> dict[str, list[str]]:
    """The texts of the masked-language phase by data set: every text of a pair once, and the plain ones that are there."""
    texts = {
        name: list(dict.fromkeys(text for pair in pairs for text in (pair.anchor, pair.positive)))
        for name, pairs in read.train.items()
    }
    for source in plain:
        if (data_dir / source.file).is_file():
            texts[source.name] = paragraphs(data_dir / source.file, source.share)
        else:
            read.absent.append(source.file)
    return texts


def groups_of(read: PairsRead, sources: Sequence[PairSource], tokenizer: Any) -> Iterator[PairGroup]:
    """The groups of two pairs or more, by name."""
    members: dict[str, list[PairSource]] = {}
    for source in sources:
        if source.name in read.train:
            members.setdefault(source.group or source.name, []).append(source)
    for name, group in sorted(members.items()):
        pairs = [pair for source in group for pair in read.train[source.name]]
        draws = np.concatenate([np.full(len(read.train[source.name]), source.repeat, np.float32) for source in group])
        if len(pairs) > 1:
            yield PairGroup(name, *token_pairs(tokenizer, pairs), kinship(pairs), draws)


def held_out_sets(read: PairsRead, tokenizer: Any) -> Iterator[HeldOutSet]:
    """The held-out questions of each data set that has two or more."""
    for name, pairs in read.held_out.items():
        if len(pairs) > 1:
            distractors = [pair.positive for pair in read.train[name][:HELD_OUT_DISTRACTORS]]
            yield held_out_set(tokenizer, name, pairs, distractors)


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
    """The anchors and the positives of pairs as token ids, alike long."""
    return (
        tokenised(tokenizer, [pair.anchor for pair in pairs], LONGEST),
        tokenised(tokenizer, [pair.positive for pair in pairs], LONGEST),
    )


def held_out_set(tokenizer: Any, name: str, pairs: Sequence[TextPair], distractors: Sequence[str]) -> HeldOutSet:
    """Questions and the passages they are asked of: every positive once, and distractors that belong to none."""
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
