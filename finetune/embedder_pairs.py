"""Data sets → pairs of texts that mean the same, for the embedder to pull together."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from finetune.embedder_overlap import normalised
from knowledge.errors import TrainingFailed

Split = Literal["train", "validation", "test"]
TEST_SHARE = 2  # of 20 parts


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
    group: pairs of one group are each other's negatives, so they should be of one language and kind.
    share: the part of its keys that is read at all.
    repeat: how often its pairs are drawn, beside others'.
    text_repeat: how often its texts are read in the masked-language phase.
    held_out: the splits whose pairs do not train; test_share: how large "test" is, of 20 parts.
    """

    name: str
    reader: str
    licence: str
    origin: str
    file: str = ""
    group: str = ""
    share: float = 1.0
    repeat: float = 1.0
    text_repeat: int = 1
    held_out: Sequence[Split] = ("validation",)
    test_share: int = TEST_SHARE


def split_of(key: str, test_share: int = TEST_SHARE) -> Split:
    """Where everything about that key belongs, for ever, by SHA-256: so many of 20 parts test, the next validation."""
    part = hash_of(key) % 20
    return "test" if part < test_share else "validation" if part == test_share else "train"


def hash_of(key: str) -> int:
    """The same number for the same key, everywhere."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16)


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
    return [
        pair
        for pair in pairs
        if hash_of(pair.key) // 20 % 1000 < 1000 * source.share
        and min(len(normalised(pair.anchor)), len(normalised(pair.positive))) > 1
    ]


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
    """A question and its answer. key: what is split by; by default the question, normalised."""
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


def turns(path: Path) -> Iterator[TextPair]:
    """rows {conversations: [{from, value}, …]}: each human turn and the reply to it"""
    for row in rows_of(path):
        said = [turn["value"] for turn in row["conversations"]]
        for asked, answered in zip(said[::2], said[1::2], strict=False):
            yield question_answer(asked, answered, key=normalised(said[0]))


def counselling(path: Path) -> Iterator[TextPair]:
    """rows [{role, content}, …]: each of the client's turns and the counsellor's reply, kin within a dialogue"""
    for row in rows_of(path):
        said = [turn["content"] for turn in row]
        key = normalised(said[0])
        for asked, answered in zip(said[::2], said[1::2], strict=False):
            yield TextPair(one_text(asked), one_text(answered), key, topic=key)


def consultations(path: Path) -> Iterator[TextPair]:
    """rows {department, title, ask, answer}: title and question each lead to the answer, the title to the question"""
    for row in rows_of(path):
        title, asked, answer = (one_text(row[field]) for field in ("title", "ask", "answer"))
        for one, other in ((title, answer), (asked, answer), (title, asked)):
            yield TextPair(one, other, key=consultation_key(row), topic=normalised(title))


def consultation_key(row: dict[str, Any]) -> str:
    """What decides the split of a row {title, ask}."""
    return normalised(f"{row['title']} {row['ask']}")


def long_consultations(path: Path) -> Iterator[TextPair]:
    """rows {id, instruction, output, history: [[question, answer], …]}: what was asked so far leads to the next answer"""
    for row in rows_of(path):
        if "instruction" not in row:  # a safety probe among the consultations
            continue
        asked = ""
        for question, answer in [*(row.get("history") or []), [row["instruction"], row["output"]]]:
            asked = f"{asked} {one_text(question)}".strip()
            yield TextPair(asked, one_text(answer), key=row["id"], topic=row["id"])


def medquad(path: Path) -> Iterator[TextPair]:
    """rows {focus, question, answer}: split by focus, so that a held-out condition is wholly unseen"""
    for row in rows_of(path):
        yield question_answer(row["question"], row["answer"], key=row["focus"].strip().lower())


def medquad_unnamed(path: Path) -> Iterator[TextPair]:
    """rows {focus, question, answer}: the answer without the name of what is asked about"""
    for row in rows_of(path):
        asked, answer, focus = one_text(row["question"]), one_text(row["answer"]), row["focus"].strip()
        unnamed = without_term(answer, focus)
        if unnamed != answer:
            yield TextPair(asked, unnamed, key=focus.lower(), topic=asked)


def without_term(text: str, term: str) -> str:
    """A text in which a term is replaced by "it", whatever its case."""
    return re.sub(re.escape(term), "it", text, flags=re.IGNORECASE)


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
        turns,
        counselling,
        consultations,
        long_consultations,
        medquad,
        medquad_unnamed,
        passages,
        graded_titles,
        departments,
        guidelines,
        red_flags,
    )
}
