"""What a base learns from, made ready once: a tokenizer, and every text as token ids, one stream a source.

corpus/
  tokenizer.json
  <source>.npy         uint16 ids, documents end to end, each closed by the end token
  held_out/<source>.npy  the same of the share that is kept back
  figures.json         counts, absent files, the fingerprint of what it was made from
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import numpy as np

from finetune.altered_words import altered
from finetune.base_tokenizer import ASSISTANT, END, SYSTEM, USER, train_base_tokenizer
from finetune.copying_tasks import Told, copying_tasks
from finetune.records import DialogueRecord, PlainTextRecord, from_row
from finetune.row_files import BadRow, opened, rows_of
from knowledge.errors import TrainingFailed

Progress = Callable[[str], None]
T = TypeVar("T")
TOKENIZER, HELD_OUT, FIGURES = "tokenizer.json", "held_out", "figures.json"
TOKENIZER_CHARS = 2_500_000  # of each source: enough for its words, and no source outweighs the others
MOST_TOKENS = 65_536  # ids are kept in 16 bits
TEXTS_A_STEP = 4000
MUCH_BYTES = 4_000_000  # of files, from which starting processes pays


@dataclass(frozen=True)
class TextSource:
    """One row of the config's table of texts.

    file: records (.jsonl of `daozhen data convert`), or plain text, a paragraph a line; .xz too. share: the part of it that
    is read. copying: the text is not read as it is but as questions over its passages (finetune/copying_tasks.py), each
    passage so many times; 0 reads it as it is. altered: of cited dialogues, the share in which words are exchanged, for
    nobody to know them by heart (finetune/altered_words.py). weight, late_weight: how often its windows are drawn beside
    others', before and after the run's late part. licence, origin: for the model card.
    """

    name: str
    file: str
    licence: str
    origin: str
    share: float = 1.0
    copying: int = 0
    altered: float = 0.0
    weight: float = 1.0
    late_weight: float = 1.0


@dataclass(frozen=True)
class Corpus:
    """streams, held_out: uint16 ids by source."""

    streams: dict[str, np.ndarray]
    held_out: dict[str, np.ndarray]
    figures: dict[str, Any]


def ready_corpus(
    folder: Path, data_dir: Path, sources: Sequence[TextSource], vocabulary: int, held_out_share: float, tell: Progress
) -> Corpus:
    """The corpus, made unless it is there, made from the same settings.

    Raises TrainingFailed where no file is there, or a row is not a record.
    """
    made_from = [
        vocabulary,
        held_out_share,
        *({key: getattr(one, key) for key in ("name", "file", "share", "copying", "altered")} for one in sources),
    ]
    fingerprint = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    figures_file = folder / FIGURES
    if not figures_file.is_file() or json.loads(figures_file.read_text())["fingerprint"] != fingerprint:
        figures = _prepare(folder, data_dir, sources, vocabulary, held_out_share, tell)
        figures_file.write_text(json.dumps({**figures, "fingerprint": fingerprint}, ensure_ascii=False, indent=1))
    figures = json.loads(figures_file.read_text())
    tell(f"corpus: {sum(figures['tokens'].values()):,} tokens of {len(figures['tokens'])} sources")
    names = list(figures["tokens"])
    return Corpus(
        {name: np.load(folder / f"{name}.npy") for name in names},
        {name: np.load(folder / HELD_OUT / f"{name}.npy") for name in names},
        figures,
    )


def _prepare(
    folder: Path, data_dir: Path, sources: Sequence[TextSource], vocabulary: int, held_out_share: float, tell: Progress
) -> dict[str, Any]:
    if vocabulary > MOST_TOKENS:
        raise TrainingFailed(f"vocabulary = {vocabulary}: at most {MOST_TOKENS}")
    there = [source for source in sources if (data_dir / source.file).is_file()]
    absent = [source.file for source in sources if source not in there]
    if not there:
        raise TrainingFailed(f"{data_dir}: none of {', '.join(absent)} is there; give the folder with --data")
    for file in absent:
        tell(f"{file} is not in {data_dir}; left out")
    tell("texts …")
    texts = dict(zip((one.name for one in there), _read_together(there, data_dir, held_out_share), strict=True))
    tell("tokenizer …")
    tokenizer = train_base_tokenizer(
        (text for kept, _ in texts.values() for text in _up_to(kept, TOKENIZER_CHARS)), vocabulary
    )
    (folder / HELD_OUT).mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER))
    tokens, characters = {}, {}
    for name, (kept, held_out) in texts.items():
        ids = token_stream(tokenizer, kept)
        np.save(folder / f"{name}.npy", ids)
        np.save(folder / HELD_OUT / f"{name}.npy", token_stream(tokenizer, held_out))
        tokens[name], characters[name] = len(ids), sum(map(len, kept))
        tell(f"{name}: {characters[name]:,} characters, {tokens[name]:,} tokens")
    return {"vocabulary": tokenizer.get_vocab_size(), "tokens": tokens, "characters": characters, "absent": absent}


def _read_together(sources: list[TextSource], data_dir: Path, share: float) -> list[tuple[list[str], list[str]]]:
    """documents_of each source, in processes of their own where there is much to read."""
    if sum((data_dir / one.file).stat().st_size for one in sources) < MUCH_BYTES:
        return [documents_of(one, data_dir, share) for one in sources]
    with ProcessPoolExecutor(min(len(sources), os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(documents_of, one, data_dir, share) for one in sources]
        return [one.result() for one in waiting]


def documents_of(source: TextSource, data_dir: Path, held_out_share: float) -> tuple[list[str], list[str]]:
    """What the base reads of a source, one document a text, and what is kept back: whole texts, before tasks are made, and
    the same ones whether a file is read as it is or in tasks."""
    path = data_dir / source.file
    if source.copying:
        stories = _shared(list(stories_of(path)), source.share)
        return _parted(
            stories,
            held_out_share,
            lambda some: [as_chat(task) for task in copying_tasks(some, 1, source.copying)],
            _words,
        )
    rng = random.Random(source.file)

    def read(some: list[DialogueRecord | PlainTextRecord]) -> list[str]:
        return [as_text(altered(one, rng) if _drawn(one, source.altered, rng) else one) for one in some]

    return _parted(_shared(list(records_of(path)), source.share), held_out_share, read, lambda one: _words(_story(one)))


def _drawn(record: DialogueRecord | PlainTextRecord, share: float, rng: random.Random) -> TypeGuard[DialogueRecord]:
    return isinstance(record, DialogueRecord) and rng.random() < share


def _parted(
    texts: list[T], held_out_share: float, read: Callable[[list[T]], list[str]], words: Callable[[T], str]
) -> tuple[list[str], list[str]]:
    held = [_is_held_out(words(text), held_out_share) for text in texts]
    return (
        read([text for text, one in zip(texts, held, strict=True) if not one]),
        read([text for text, one in zip(texts, held, strict=True) if one]),
    )


def stories_of(path: Path) -> Iterator[Told]:
    """The plain words of a file's documents; of a dialogue what was answered, with the question of its first turn."""
    return map(_story, records_of(path))


def _story(record: DialogueRecord | PlainTextRecord) -> Told:
    if isinstance(record, PlainTextRecord):
        return Told(record.text)
    replies = "\n".join(turn.content for turn in record.messages if turn.role == "assistant")
    return Told(replies, record.messages[0].content)


def records_of(path: Path) -> Iterator[DialogueRecord | PlainTextRecord]:
    """The documents of a file. Raises TrainingFailed naming file and line."""
    if ".jsonl" not in path.name:
        with opened(path) as lines:
            yield from (PlainTextRecord(text) for line in lines if (text := line.strip()))
        return
    for row in rows_of(path):
        if isinstance(row, BadRow):
            raise TrainingFailed(f"{path.name}:{row.line}: {row.problem}")
        record = from_row(row.value)
        if not isinstance(record, (DialogueRecord, PlainTextRecord)):
            raise TrainingFailed(
                f"{path.name}:{row.line}: a base reads dialogues and texts, not {row.value['kind']} records"
            )
        yield record


def as_text(record: DialogueRecord | PlainTextRecord) -> str:
    """A document as the base reads it."""
    return as_chat(record) if isinstance(record, DialogueRecord) else record.text


def as_chat(record: DialogueRecord) -> str:
    """A dialogue in the very form of the chat template."""
    marks = {"user": USER, "assistant": ASSISTANT}
    head = f"{SYSTEM}{record.system}{END}" if record.system else ""
    return head + "".join(f"{marks[turn.role]}{turn.content}{END}" for turn in record.messages)


def _words(story: Told) -> str:
    return f"{story.question}\n{story.text}"


def token_stream(tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    """(tokens,) uint16: every text, each closed by the end token."""
    end = tokenizer.token_to_id(END)
    parts = []
    for start in range(0, len(texts), TEXTS_A_STEP):
        for encoding in tokenizer.encode_batch_fast(list(texts[start : start + TEXTS_A_STEP])):
            ids = encoding.ids
            parts.append(np.array(ids if ids and ids[-1] == end else [*ids, end], dtype=np.uint16))
    return np.concatenate(parts) if parts else np.zeros(0, np.uint16)


def _is_held_out(text: str, share: float) -> bool:
    """By the text alone, so that the same text is never on both sides."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF < share


def _shared(some: list[T], share: float) -> list[T]:
    return some if share >= 1 else some[: max(1, round(share * len(some)))]


def _up_to(texts: Sequence[str], characters: int) -> list[str]:
    total = sum(map(len, texts))
    return list(texts[:: max(1, round(total / characters))])
