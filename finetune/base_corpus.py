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
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.base_tokenizer import ASSISTANT, END, SPECIAL, SYSTEM, USER, train_base_tokenizer
from finetune.copying_tasks import copying_tasks
from finetune.records import DialogueRecord, PlainTextRecord, from_row
from finetune.row_files import BadRow, opened, rows_of
from knowledge.errors import TrainingFailed

Progress = Callable[[str], None]
TOKENIZER, HELD_OUT, FIGURES = "tokenizer.json", "held_out", "figures.json"
TOKENIZER_CHARS = 2_500_000  # of each source: enough for its words, and no source outweighs the others
MOST_TOKENS = 65_536  # ids are kept in 16 bits
TEXTS_A_STEP = 4000


@dataclass(frozen=True)
class TextSource:
    """One row of the config's table of texts.

    file: records (.jsonl of `daozhen data convert`), or plain text, a paragraph a line; .xz too. share: the part of it that
    is read. copying: the text is not read as it is but as questions over its passages (finetune/copying_tasks.py), each
    passage so many times; 0 reads it as it is. weight, late_weight: how often its windows are drawn beside others', before and after the run's late part.
    licence, origin: for the model card.
    """

    name: str
    file: str
    licence: str
    origin: str
    share: float = 1.0
    copying: int = 0
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
        *({"name": one.name, "file": one.file, "share": one.share, "copying": one.copying} for one in sources),
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
    texts = {source.name: documents_of(source, data_dir) for source in there}
    tell("tokenizer …")
    tokenizer = train_base_tokenizer(
        (text for some in texts.values() for text in _up_to(some, TOKENIZER_CHARS)), vocabulary
    )
    (folder / HELD_OUT).mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER))
    tokens, characters = {}, {}
    for name, some in texts.items():
        kept = [not _is_held_out(text, held_out_share) for text in some]
        for path, wanted in ((folder / f"{name}.npy", True), (folder / HELD_OUT / f"{name}.npy", False)):
            ids = token_stream(tokenizer, [text for text, one in zip(some, kept, strict=True) if one is wanted])
            np.save(path, ids)
            if wanted:
                tokens[name] = len(ids)
        characters[name] = sum(len(text) for text, one in zip(some, kept, strict=True) if one)
        tell(f"{name}: {characters[name]:,} characters, {tokens[name]:,} tokens")
    return {"vocabulary": tokenizer.get_vocab_size(), "tokens": tokens, "characters": characters, "absent": absent}


def documents_of(source: TextSource, data_dir: Path) -> list[str]:
    """What the base reads of a source, one document a text."""
    read = list(_records_of(data_dir / source.file)) if source.copying else list(texts_of(data_dir / source.file))
    kept = _shared(read, source.share)
    return [as_chat(task) for task in copying_tasks(kept, 1, source.copying)] if source.copying else kept


def _records_of(path: Path) -> Iterator[str]:
    """The plain words of a file's documents: a dialogue's turns one after the other, without the marks of a chat."""
    marks = re.compile("|".join(re.escape(mark) for mark in SPECIAL))
    for text in texts_of(path):
        yield marks.sub("\n", text).strip()


def texts_of(path: Path) -> Iterator[str]:
    """The documents of a file as the base reads them. Raises TrainingFailed naming file and line."""
    if ".jsonl" not in path.name:
        with opened(path) as lines:
            yield from (text for line in lines if (text := line.strip()))
        return
    for row in rows_of(path):
        if isinstance(row, BadRow):
            raise TrainingFailed(f"{path.name}:{row.line}: {row.problem}")
        record = from_row(row.value)
        if isinstance(record, DialogueRecord):
            yield as_chat(record)
        elif isinstance(record, PlainTextRecord):
            yield record.text
        else:
            raise TrainingFailed(
                f"{path.name}:{row.line}: a base reads dialogues and texts, not {row.value['kind']} records"
            )


def as_chat(record: DialogueRecord) -> str:
    """A dialogue in the very form of the chat template."""
    marks = {"user": USER, "assistant": ASSISTANT}
    head = f"{SYSTEM}{record.system}{END}" if record.system else ""
    return head + "".join(f"{marks[turn.role]}{turn.content}{END}" for turn in record.messages)


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


def _shared(texts: list[str], share: float) -> list[str]:
    return texts if share >= 1 else texts[: max(1, round(share * len(texts)))]


def _up_to(texts: Sequence[str], characters: int) -> list[str]:
    total = sum(map(len, texts))
    return list(texts[:: max(1, round(total / characters))])
