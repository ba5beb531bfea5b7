"""Scoring retrieval on a BEIR folder: the figures are those computed by hand, and a broken folder is told by file and line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from knowledge.errors import InvalidEvaluationSet
from rag.embedder import load_embedder
from rag.evaluation_retrieval import best_rows, interval, question_scores, rank, read_beir, report
from ui.cli import main

CORPUS = [
    {"_id": "a", "title": "胸痛", "text": "胸口压榨样疼痛超过二十分钟，请拨打急救电话。"},
    {"_id": "b", "title": "", "text": "A sprained ankle needs rest, ice and a raised leg."},
    {"_id": "c", "text": "孩子发烧时多喝水，注意精神状态。"},
]
QUERIES = [{"_id": "1", "text": "胸口像压着石头一样疼"}, {"_id": "2", "text": "I sprained my ankle"}]
QRELS = "query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, CORPUS)), encoding="utf-8")
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, QUERIES)), encoding="utf-8")
    (tmp_path / "qrels" / "test.tsv").write_text(QRELS, encoding="utf-8")
    return tmp_path


def test_an_easy_set_is_scored_right_by_every_method(folder: Path) -> None:
    data = read_beir(folder)
    assert data.passages[0].startswith("胸痛\n") and data.right == [{0: 1.0}, {1: 2.0}]
    figures = report(data, rank(data, load_embedder()))
    for method in ("bm25", "dense", "hybrid"):
        assert figures[method]["ndcg@10"] == figures[method]["recall@10"] == figures[method]["mrr@10"] == 1.0
        assert figures[method]["intervals"]["ndcg@10"] == (1.0, 1.0)
    assert figures["over_bm25"]["dense"]["ndcg@10"] == 0 and figures["questions"] == 2


def test_scores_are_those_computed_by_hand() -> None:
    scores = question_scores([[3, 1], [0]], [{1: 2.0, 2: 1.0}, {5: 1.0}])
    ideal = 2 + 1 / np.log2(3)
    assert scores["ndcg@10"] == pytest.approx([2 / np.log2(3) / ideal, 0])
    assert scores["recall@10"] == pytest.approx([0.5, 0]) and scores["mrr@10"] == pytest.approx([0.5, 0])


def test_the_best_rows_come_in_order_and_equals_by_their_place() -> None:
    assert best_rows(np.array([0.0, 2.0, 1.0, 2.0])) == [1, 3, 2, 0]
    assert best_rows(np.array([0.0, 2.0, 0.0]), least=0.0) == [1]


def test_an_interval_holds_the_mean_and_shrinks_with_more_questions() -> None:
    rng = np.random.default_rng(3)
    few, many = rng.random(20), rng.random(2000)
    for values in (few, many):
        low, high = interval(values)
        assert low <= values.mean() <= high
    assert np.diff(interval(many)) < np.diff(interval(few)) / 4


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("corpus.jsonl", "", "corpus.jsonl:1"),
        ("corpus.jsonl", '{"_id": "a"}', r"corpus.jsonl:1.*'text'"),
        ("corpus.jsonl", '{"_id": "a", "text": "x"}\n{oops', "corpus.jsonl:2"),
        ("queries.jsonl", '\n{"text": "x"}', r"queries.jsonl:2.*'_id'"),
        ("queries.jsonl", "[1]", "queries.jsonl:1"),
        ("qrels/test.tsv", "", "test.tsv:1"),
        ("qrels/test.tsv", "query-id\tscore\n1\t1\n", r"test.tsv:1.*'corpus-id'"),
        ("qrels/test.tsv", QRELS + "1\tb\n", "test.tsv:4"),
        ("qrels/test.tsv", QRELS + "1\tb\tyes\n", "test.tsv:4"),
        ("qrels/test.tsv", QRELS + "9\tb\t1\n", "test.tsv:4.*'9'"),
        ("qrels/test.tsv", QRELS + "1\tz\t1\n", "test.tsv:4.*'z'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n1\ta\t0\n", r"queries.jsonl:1: query '1' has no right passage"),
    ],
)
def test_a_broken_folder_is_told_in_one_line_with_file_and_line(folder: Path, file: str, text: str, told: str) -> None:
    (folder / file).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidEvaluationSet, match=told) as fault:
        read_beir(folder)
    assert "\n" not in str(fault.value)


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvaluationSet, match=r"corpus.jsonl: cannot be read"):
        read_beir(tmp_path / "nowhere")


def test_the_command_prints_json_and_names_queries_without_judgements(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    with (folder / "queries.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"_id": "3", "text": "nobody judged this"}')
    assert main(["eval", "retrieval", str(folder), "--json"]) == 0
    printed = capsys.readouterr()
    assert set(json.loads(printed.out)) >= {"bm25", "dense", "hybrid", "over_bm25"}
    assert "queries.jsonl:3: query '3'" in printed.err
    assert main(["eval", "retrieval", str(folder)]) == 0
    assert "BM25" in capsys.readouterr().out
    assert main(["eval", "retrieval", str(folder / "qrels")]) == 2
