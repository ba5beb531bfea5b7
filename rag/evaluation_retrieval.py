"""How well questions find their passages: BM25, the embedder, and both fused as the assistant fuses them.

Reads folders in BEIR's form: corpus.jsonl (`_id`, `title`, `text`), queries.jsonl (`_id`, `text`) and qrels/test.tsv
(`query-id`, `corpus-id`, `score`, tab-separated under those headings; a score above 0 is a gain).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.errors import InvalidEvaluationSet
from rag.embedder import Embedder
from rag.lexical import LexicalIndex
from rag.retriever import CANDIDATES, fuse

CORPUS, QUERIES, JUDGEMENTS = "corpus.jsonl", "queries.jsonl", "qrels/test.tsv"
JUDGEMENT_COLUMNS = ("query-id", "corpus-id", "score")
DEPTH = 10
METRICS = (f"ndcg@{DEPTH}", f"recall@{DEPTH}", f"mrr@{DEPTH}")
RESAMPLES = 2000  # of the questions, for the intervals
PASSAGES_A_STEP = 256

Gains = Mapping[int, float]  # passage number → gain, for the right passages of one question
Scores = Mapping[str, np.ndarray]  # metric → one value per question


@dataclass(frozen=True)
class RetrievalSet:
    """Questions, passages, and per question its right passages' numbers with their gains.

    left_out: where a query without a judgement stands ("queries.jsonl:3: …"); such queries are not scored.
    """

    name: str
    questions: Sequence[str]
    passages: Sequence[str]
    right: Sequence[Gains]
    left_out: Sequence[str] = ()


def read_beir(folder: Path) -> RetrievalSet:
    """The test split of a BEIR folder. Raises InvalidEvaluationSet, in one line with file and line."""
    passages = {
        row["_id"]: "\n".join(part for part in (row.get("title") or "", row["text"]) if part)
        for _, row in _records(folder / CORPUS, ("_id", "text"))
    }
    if not passages:
        raise InvalidEvaluationSet(f"{folder / CORPUS}:1: holds no passage; give one JSON object a line")
    queries = {row["_id"]: (line, row["text"]) for line, row in _records(folder / QUERIES, ("_id", "text"))}
    places = {passage_id: place for place, passage_id in enumerate(passages)}
    gains: dict[str, dict[int, float]] = {}
    for line, (query_id, passage_id, score) in _judgements(folder / JUDGEMENTS):
        where = f"{folder / JUDGEMENTS}:{line}"
        if query_id not in queries:
            raise InvalidEvaluationSet(f"{where}: query {query_id!r} is not in {QUERIES}; add it there")
        if passage_id not in places:
            raise InvalidEvaluationSet(f"{where}: passage {passage_id!r} is not in {CORPUS}; add it there")
        if score > 0:
            gains.setdefault(query_id, {})[places[passage_id]] = score
    left_out = [
        f"{folder / QUERIES}:{line}: query {query_id!r} has no right passage in {JUDGEMENTS}; it is not scored"
        for query_id, (line, _) in queries.items()
        if query_id not in gains
    ]
    if not gains:
        raise InvalidEvaluationSet(left_out[0] if left_out else f"{folder / QUERIES}:1: holds no query")
    questions = [queries[query_id][1] for query_id in gains]
    return RetrievalSet(folder.name, questions, list(passages.values()), list(gains.values()), left_out)


def _records(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, record) of a JSON-lines file whose records hold those columns as texts."""
    for line, text in _lines(path):
        try:
            row = json.loads(text)
        except ValueError as fault:
            raise InvalidEvaluationSet(f"{path}:{line}: not JSON ({fault}); give one JSON object a line") from None
        for column in columns:
            if not isinstance(row, dict) or not isinstance(row.get(column), str):
                raise InvalidEvaluationSet(f"{path}:{line}: no text in {column!r}; it needs {', '.join(columns)}")
        yield line, row


def _judgements(path: Path) -> Iterator[tuple[int, tuple[str, str, float]]]:
    lines = list(_lines(path))
    heading = next(csv.reader([lines[0][1]], delimiter="\t")) if lines else []
    if absent := [column for column in JUDGEMENT_COLUMNS if column not in heading]:
        raise InvalidEvaluationSet(
            f"{path}:1: no column {absent[0]!r}; it needs {', '.join(JUDGEMENT_COLUMNS)}, separated by tabs"
        )
    places = [heading.index(column) for column in JUDGEMENT_COLUMNS]
    for line, text in lines[1:]:
        cells = next(csv.reader([text], delimiter="\t"))
        try:
            query_id, passage_id, score = (cells[place] for place in places)
            yield line, (query_id, passage_id, float(score))
        except (IndexError, ValueError):
            raise InvalidEvaluationSet(
                f"{path}:{line}: {len(cells)} cells, or a score that is no number; it needs {', '.join(JUDGEMENT_COLUMNS)}"
            ) from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of every line that holds something."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((number, line.rstrip("\r\n")) for number, line in enumerate(file, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "not UTF-8"
        raise InvalidEvaluationSet(f"{path}: cannot be read ({reason}); a BEIR folder holds it") from None


@dataclass(frozen=True)
class Rankings:
    """Per method and question the numbers of the best passages, best first, at most CANDIDATES."""

    bm25: Sequence[Sequence[int]]
    dense: Sequence[Sequence[int]]

    @property
    def hybrid(self) -> list[list[int]]:
        return [fuse(dense, lexical) for dense, lexical in zip(self.dense, self.bm25, strict=True)]

    def by_method(self) -> dict[str, Sequence[Sequence[int]]]:
        return {"bm25": self.bm25, "dense": self.dense, "hybrid": self.hybrid}


def rank(data: RetrievalSet, embedder: Embedder, step: Callable[[str, int, int], object] = lambda *_: None) -> Rankings:
    """Every question against every passage. step: told what is done, how much of it, of how much."""
    rows = np.zeros((len(data.passages), embedder.dimension), dtype=np.float32)
    for start in range(0, len(data.passages), PASSAGES_A_STEP):
        some = data.passages[start : start + PASSAGES_A_STEP]
        rows[start : start + len(some)] = embedder.encode_passages(some)
        step("passages embedded", start + len(some), len(data.passages))
    queries = np.concatenate([embedder.encode_queries([question]) for question in data.questions])
    lexical = LexicalIndex.build(data.passages)
    return Rankings(
        bm25=[best_rows(lexical.scores(question), least=0.0) for question in data.questions],
        dense=[best_rows(rows @ query) for query in queries],
    )


def best_rows(scores: np.ndarray, least: float = -np.inf) -> list[int]:
    """The row numbers of the CANDIDATES highest scores above `least`, best first; of equal scores the first row."""
    some = np.argpartition(-scores, CANDIDATES - 1)[:CANDIDATES] if len(scores) > CANDIDATES else np.arange(len(scores))
    return [int(row) for row in sorted(some, key=lambda row: (-scores[row], row)) if scores[row] > least]


def question_scores(ranking: Sequence[Sequence[int]], right: Sequence[Gains]) -> dict[str, np.ndarray]:
    """nDCG, recall and MRR at DEPTH of every question, each in [0, 1]; gains are linear, as in BEIR."""
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    values: list[tuple[float, float, float]] = []
    for rows, gains in zip(ranking, right, strict=True):
        found = np.array([gains.get(row, 0.0) for row in rows[:DEPTH]])
        ideal = np.sort(np.array(list(gains.values())))[::-1][:DEPTH]
        hits = np.flatnonzero(found)
        values.append(
            (
                float(found @ discounts[: len(found)] / (ideal @ discounts[: len(ideal)])),
                len(hits) / len(gains),
                1 / (int(hits[0]) + 1) if len(hits) else 0.0,
            )
        )
    return dict(zip(METRICS, np.array(values).reshape(-1, len(METRICS)).T, strict=True))


def interval(values: np.ndarray, seed: int = 1) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean. Pass differences of two methods, question by question, for a paired one."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def report(data: RetrievalSet, rankings: Rankings) -> dict[str, Any]:
    """Means with intervals by method, and each method's gain over BM25 with a paired interval."""
    scores = {method: question_scores(ranking, data.right) for method, ranking in rankings.by_method().items()}
    figures: dict[str, Any] = {method: _means(values) for method, values in scores.items()}
    figures["over_bm25"] = {
        method: _means({name: scores[method][name] - scores["bm25"][name] for name in METRICS})
        for method in ("dense", "hybrid")
    }
    return {**figures, "questions": len(data.questions), "passages": len(data.passages), "left_out": len(data.left_out)}


def _means(values: Scores) -> dict[str, Any]:
    means: dict[str, Any] = {name: round(float(values[name].mean()), 4) for name in METRICS}
    return {**means, "intervals": {name: interval(values[name]) for name in METRICS}}
