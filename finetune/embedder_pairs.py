"""Data sets → pairs of texts that mean the same, for the embedder to pull together."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from knowledge.errors import TrainingFailed

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class TextPair:
    """Two texts whose vectors shall be near.

    key: what decides the split; pairs that would give each other away share one.
    topic: pairs of one topic are never held against each other; "" for a topic of its own.
    """

    anchor: str
    positive: str
    key: str
    topic: str = ""


@dataclass(frozen=True)
class PairSource:
    """One row of the config's table of data sets.

    file: relative to the data directory; "" where the reader reads the project's own records.
    repeat: how often an epoch sees each pair; a fraction keeps that share of them.
    held_out: the splits whose pairs do not train.
    """

    name: str
    reader: str
    licence: str
    origin: str
    file: str = ""
    repeat: float = 1.0
    held_out: Sequence[Split] = ("validation",)


def split_of(key: str) -> Split:
    """Where everything about that key belongs, for ever: 10 % test, 5 % validation, by SHA-256."""
    bucket = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 20
    return "test" if bucket < 2 else "validation" if bucket == 2 else "train"


def normalised(text: str) -> str:
    """Letters and digits only, NFKC, lower case: how two spellings of one question are found equal."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).lower())


def read_pairs(source: PairSource, data_dir: Path) -> list[TextPair]:
    """Every usable pair of a data set. Raises TrainingFailed naming the file and the shape it should have."""
    reader = PAIR_READERS.get(source.reader)
    if reader is None:
        raise TrainingFailed(f"{source.name}: no reader {source.reader!r}; known: {', '.join(PAIR_READERS)}")
    try:
        pairs = list(reader(data_dir / source.file))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, lzma.LZMAError) as fault:
        expected = (reader.__doc__ or "").strip()
        raise TrainingFailed(f"{source.file}: not as {source.reader!r} expects ({fault!r}); {expected}") from None
    return [pair for pair in pairs if min(len(normalised(pair.anchor)), len(normalised(pair.positive))) > 1]


def questions_of(path: Path) -> set[str]:
    """The normalised questions of a test set whose rows hold `question`."""
    return {normalised(row["question"]) for row in rows_of(path)}


def opened(path: Path) -> TextIO:
    """A text file, or the text inside an .xz."""
    return lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8")


def rows_of(path: Path) -> Iterator[Any]:
    """The records of a .json list, a .jsonl or a .jsonl.xz; a .json may also hold one record a line."""
    with opened(path) as lines:
        if path.suffix == ".json" and lines.read(1) == "[":
            lines.seek(0)
            yield from json.load(lines)
            return
        lines.seek(0)
        yield from (json.loads(line) for line in lines if line.strip())


def one_text(value: Any) -> str:
    """A text, or the texts of a list joined, on one line."""
    return re.sub(r"\s+", " ", " ".join(value) if isinstance(value, list) else value).strip()


def question_answer(question: Any, answer: Any, key: str = "") -> TextPair:
    asked = one_text(question)
    return TextPair(asked, one_text(answer), key or normalised(asked))


def instructions(path: Path) -> Iterator[TextPair]:
    """rows {instruction, output}: texts or lists of texts; of several `<user>:` turns the last is the question"""
    for row in rows_of(path):
        yield question_answer(one_text(row["instruction"]).rpartition("<user>:")[2], row["output"])


def conversations(path: Path) -> Iterator[TextPair]:
    """rows {conversations: [{from, value}, …]}: the first turn is the question, the second its answer"""
    for row in rows_of(path):
        first, second, *_ = row["conversations"]
        yield question_answer(first["value"], second["value"])


def counselling(path: Path) -> Iterator[TextPair]:
    """rows [{role, content}, …]: the client's first words and the counsellor's reply, once a question"""
    seen: set[str] = set()
    for row in rows_of(path):
        if len(row) > 1 and row[0]["content"] not in seen:
            seen.add(row[0]["content"])
            yield question_answer(row[0]["content"], row[1]["content"])


def medquad(path: Path) -> Iterator[TextPair]:
    """rows {focus, question, answer}: split by focus, so that a held-out condition is wholly unseen"""
    for row in rows_of(path):
        yield question_answer(row["question"], row["answer"], key=row["focus"].strip().lower())


def passages(path: Path) -> Iterator[TextPair]:
    """rows {disease_name, abstract, information}: name and abstract each lead to the information"""
    for row in rows_of(path):
        disease = row["disease_name"]
        for side in (row["abstract"], disease):
            yield TextPair(one_text(side), one_text(row["information"]), key=disease, topic=disease)


def graded_titles(path: Path) -> Iterator[TextPair]:
    """rows {query, documents: [{title, label}, …]}: titles graded 2 and above belong to the query"""
    seen: set[tuple[str, str]] = set()
    for row in rows_of(path):
        for document in row["documents"]:
            pair = (row["query"], document["title"].lstrip(":"))
            if int(document["label"]) >= 2 and not pair[1].startswith("http") and pair not in seen:
                seen.add(pair)
                yield question_answer(*pair)


def departments(_: Path) -> Iterator[TextPair]:
    """the project's own departments: complaint → department, and every Chinese text ↔ its English"""
    from finetune.own_pairs import department_pairs

    yield from department_pairs()


def guidelines(_: Path) -> Iterator[TextPair]:
    """the project's own guides: heading → section, question → answer, Chinese section ↔ English"""
    from finetune.own_pairs import guide_pairs

    yield from guide_pairs()


def red_flags(_: Path) -> Iterator[TextPair]:
    """the project's own signs and red flags: phrase → name in both languages, advice ↔ advice"""
    from finetune.own_pairs import red_flag_pairs

    yield from red_flag_pairs()


PAIR_READERS: dict[str, Callable[[Path], Iterable[TextPair]]] = {
    reader.__name__: reader
    for reader in (
        instructions,
        conversations,
        counselling,
        medquad,
        passages,
        graded_titles,
        departments,
        guidelines,
        red_flags,
    )
}
