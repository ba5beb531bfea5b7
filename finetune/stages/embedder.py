"""The embedder stage: pairs → bilingual tokenizer → token table → model folder, with its figures.

A text's vector is the mean of its tokens' rows. Training pulls the two texts of a pair together and pushes the other
texts of the batch away (multiple negatives ranking), so a table of rows learns which words matter and which are kin.
It is warmed up on neighbouring sentences of the passages, which teach it words that no question holds.
"""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from finetune.embedder_card import write_card
from finetune.embedder_export import write_model_folder
from finetune.embedder_pairs import PairSource, TextPair, normalised, questions_of, read_pairs, split_of
from finetune.embedder_scores import ranking_scores
from finetune.embedder_table import Phase, TableSettings, TokenTable, neighbouring_sentences, train_tokenizer
from knowledge.errors import TrainingFailed
from rag.embedder import load_embedder

Progress = Callable[[str], None]
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class StageConfig:
    """What finetune/configs/embedder.toml says.

    excluded_questions: a test set, relative to the data directory, whose questions may not train; or "".
    """

    name: str
    table: TableSettings
    sentences: Phase  # first: neighbouring sentences of the passages
    pairs: Phase  # then: the pairs themselves
    datasets: tuple[PairSource, ...]
    excluded_questions: str = ""
    seed: int = 1

    @classmethod
    def read(cls, path: Path) -> StageConfig:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls(
                table=TableSettings(**values.pop("table", {})),
                sentences=Phase(**values.pop("sentences", {})),
                pairs=Phase(**values.pop("pairs", {})),
                datasets=tuple(PairSource(**row) for row in values.pop("datasets", [])),
                **values,
            )
        except OSError as fault:
            raise TrainingFailed(f"{path}: cannot be read ({fault.strerror}); give an embedder config") from None
        except (tomllib.TOMLDecodeError, TypeError) as fault:
            problem = str(fault).replace("__init__() got an ", "")
            raise TrainingFailed(f"{path.name}: {problem}; see finetune/configs/embedder.toml") from None


@dataclass
class PairsRead:
    """What the data sets gave. counts: pairs used, by data set; absent: files not there; dropped: excluded pairs."""

    train: list[TextPair] = field(default_factory=list)
    held_out: dict[str, list[TextPair]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    dropped: int = 0


def train_embedder(
    config_path: Path, data_dir: Path, out_dir: Path, *, progress: Progress = lambda _line: None
) -> dict[str, Any]:
    """Trains the embedder of that config and writes its model folder; returns its figures.

    Data sets that are not in data_dir are skipped and named in the figures; with none at all TrainingFailed is raised.
    """
    started = time.perf_counter()
    config = StageConfig.read(config_path)
    pairs = gather_pairs(config, data_dir, progress)
    progress(
        f"{len(pairs.train)} pairs to train on; {pairs.dropped} left out because their question is a test question"
    )
    tokenizer = train_tokenizer(pairs.train, config.table)
    progress(f"tokenizer: {tokenizer.get_vocab_size()} tokens")
    table = TokenTable(tokenizer, config.table, config.seed)
    neighbours = neighbouring_sentences(pair.positive for pair in pairs.train)
    if config.sentences.epochs and len(neighbours) > 1:
        progress(f"{len(neighbours)} pairs of neighbouring sentences")
        table.fit(neighbours, config.sentences, progress)
    losses = table.fit(pairs.train, config.pairs, progress)
    write_model_folder(out_dir, config.name, table.rows(), tokenizer)
    figures: dict[str, Any] = {
        "pairs": len(pairs.train),
        "neighbouring_sentences": len(neighbours),
        "pairs_by_dataset": pairs.counts,
        "absent": pairs.absent,
        "dropped_test_questions": pairs.dropped,
        "tokens": tokenizer.get_vocab_size(),
        "dimension": config.table.dimension,
        "loss_first": round(losses[0], 3),
        "loss_last": round(losses[-1], 3),
        "held_out": held_out_scores(out_dir, pairs.held_out),
        "seconds": round(time.perf_counter() - started),
    }
    write_card(out_dir, config, figures)
    figures["megabytes"] = round(sum(path.stat().st_size for path in out_dir.rglob("*") if path.is_file()) / 1e6, 2)
    return figures


def gather_pairs(config: StageConfig, data_dir: Path, progress: Progress) -> PairsRead:
    """Every data set that is there, split, without the questions that test sets ask."""
    gathered = PairsRead()
    excluded: set[str] = set()
    if config.excluded_questions:
        if (data_dir / config.excluded_questions).is_file():
            excluded = questions_of(data_dir / config.excluded_questions)
        else:
            gathered.absent.append(config.excluded_questions)
    rng = np.random.default_rng(config.seed)
    for source in config.datasets:
        if source.file and not (data_dir / source.file).is_file():
            gathered.absent.append(source.file)
            progress(f"{source.name}: {source.file} is not in {data_dir}; skipped")
            continue
        read = read_pairs(source, data_dir)
        usable = [pair for pair in read if normalised(pair.anchor) not in excluded]
        gathered.dropped += len(read) - len(usable)
        training = [pair for pair in usable if split_of(pair.key) not in source.held_out]
        if "validation" in source.held_out:
            gathered.held_out[source.name] = [pair for pair in usable if split_of(pair.key) == "validation"]
        training = repeated(training, source.repeat, rng)
        gathered.counts[source.name] = len(training)
        gathered.train += training
    if across := [pair for pairs in gathered.held_out.values() for pair in pairs if crosses_languages(pair)]:
        gathered.held_out["Chinese to English, of the above"] = across
    if not gathered.train:
        raise TrainingFailed(
            f"{data_dir}: none of {', '.join(gathered.absent) or 'the data sets'} is there to train on"
        )
    return gathered


def crosses_languages(pair: TextPair) -> bool:
    """Whether a Chinese text is paired with one that holds no Chinese."""
    return bool(_CHINESE.search(pair.anchor)) and not _CHINESE.search(pair.positive)


def repeated(pairs: list[TextPair], times: float, rng: np.random.Generator) -> list[TextPair]:
    """The pairs so many times over; the fraction is a random share of them."""
    whole, rest = divmod(times, 1)
    chosen = rng.permutation(len(pairs))[: round(rest * len(pairs))]
    return pairs * int(whole) + [pairs[number] for number in sorted(chosen)]


def held_out_scores(folder: Path, held_out: dict[str, list[TextPair]]) -> dict[str, dict[str, float]]:
    """nDCG@10, recall@10 and MRR@10 of the written folder, by data set; the passages are that set's own."""
    embedder = load_embedder(folder)
    scores = {}
    for name, pairs in held_out.items():
        if len(pairs) < 2:
            continue
        passages = list(dict.fromkeys(pair.positive for pair in pairs))
        place = {passage: row for row, passage in enumerate(passages)}
        right: dict[str, set[int]] = {}
        for pair in pairs:
            right.setdefault(pair.anchor, set()).add(place[pair.positive])
        similarity = embedder.encode_queries(list(right)) @ embedder.encode_passages(passages).T
        scores[name] = {
            "questions": len(right),
            "passages": len(passages),
            **ranking_scores(similarity, right.values()),
        }
    return scores
