"""The embedder stage on a toy set: it learns, writes a small readable folder, and says plainly what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from finetune.embedder_pairs import PAIR_READERS, PairSource, TextPair, read_pairs, split_of
from finetune.embedder_scores import ranking_scores
from finetune.embedder_table import kin_mask, kinship, neighbouring_sentences, require_learning
from knowledge.errors import TrainingFailed

DATA = Path(__file__).parent / "data" / "embedder"
TABLE = (
    "[table]\nvocabulary = 700\ndimension = 48\n[sentences]\nepochs = 0\nbatch_size = 8\nlearning_rate = 0.02\n"
    "[pairs]\nepochs = 30\nbatch_size = 16\nlearning_rate = 0.02\n"
)
QUESTIONS = (
    '[[datasets]]\nname = "toy"\nfile = "questions.jsonl"\nreader = "instructions"\n'
    'licence = "own"\norigin = "tests"\nheld_out = []\n'
)


def config(folder: Path, text: str) -> Path:
    path = folder / "embedder.toml"
    path.write_text('name = "toy"\n' + text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from finetune.stages.embedder import train_embedder

    folder = tmp_path_factory.mktemp("embedder")
    figures = train_embedder(config(folder, TABLE + QUESTIONS), DATA, folder / "out")
    return folder / "out", figures


def test_a_toy_training_learns_which_answer_belongs_to_which_question(trained: tuple[Path, dict]) -> None:
    from rag.embedder import load_embedder

    folder, figures = trained
    assert figures["loss_last"] < figures["loss_first"] / 2
    rows = [json.loads(line) for line in (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    embedder = load_embedder(folder)
    similarity = (
        embedder.encode_queries([row["instruction"] for row in rows])
        @ embedder.encode_passages([row["output"] for row in rows]).T
    )
    assert (similarity.argmax(axis=1) == np.arange(len(rows))).mean() > 0.9


def test_the_written_folder_is_small_has_a_card_and_no_pickle(trained: tuple[Path, dict]) -> None:
    folder, figures = trained
    assert figures["megabytes"] < 1
    assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pkl", ".pt")]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "questions.jsonl" in card and "daozhen train" in card


def test_sentence_transformers_opens_the_written_folder_to_the_same_vectors(trained: tuple[Path, dict]) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from rag.embedder import load_embedder

    texts = ["膝盖疼", "my knee hurts", "", "眼睛 red 123"]
    theirs = sentence_transformers.SentenceTransformer(str(trained[0]), device="cpu").encode(texts)
    assert np.abs(theirs - load_embedder(trained[0]).encode_passages(texts)).max() < 1e-3


def test_the_same_seed_gives_the_same_weights(trained: tuple[Path, dict], tmp_path: Path) -> None:
    from finetune.stages.embedder import train_embedder

    train_embedder(config(tmp_path, TABLE + QUESTIONS), DATA, tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (trained[0] / "tokenizer.json").read_bytes()
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (trained[0] / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        TABLE + "epoch = 3\n" + QUESTIONS,
        TABLE.replace("dimension", "dimensions") + QUESTIONS,
        TABLE + QUESTIONS + 'fil = "a.json"\n',
        "sed = 3\n" + TABLE + QUESTIONS,
        "[table\n",
    ],
)
def test_a_misspelt_key_stops_the_training_in_one_line(text: str, tmp_path: Path) -> None:
    from finetune.stages.embedder import StageConfig

    with pytest.raises(TrainingFailed) as failure:
        StageConfig.read(config(tmp_path, text))
    assert "embedder.toml" in str(failure.value) and "\n" not in str(failure.value)


def test_absent_data_is_named_and_none_at_all_stops_the_training(tmp_path: Path) -> None:
    from finetune.stages.embedder import StageConfig, gather_pairs

    absent = QUESTIONS.replace("questions.jsonl", "elsewhere.jsonl")
    read = gather_pairs(StageConfig.read(config(tmp_path, TABLE + QUESTIONS + absent)), DATA, print)
    assert read.absent == ["elsewhere.jsonl"] and len(read.train) == 40
    with pytest.raises(TrainingFailed, match=r"elsewhere\.jsonl"):
        gather_pairs(StageConfig.read(config(tmp_path, TABLE + absent)), DATA, print)


def test_a_file_of_another_shape_is_named_with_the_shape_it_should_have(tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text('{"frage": "a"}\n', encoding="utf-8")
    with pytest.raises(TrainingFailed, match=r"odd\.jsonl.*\{instruction, output\}"):
        read_pairs(PairSource("odd", "instructions", "own", "tests", "odd.jsonl"), tmp_path)
    with pytest.raises(TrainingFailed, match="known: instructions"):
        read_pairs(PairSource("odd", "nothing", "own", "tests", "odd.jsonl"), tmp_path)


def test_a_question_of_the_test_set_never_trains(tmp_path: Path) -> None:
    from finetune.stages.embedder import StageConfig, gather_pairs

    text = '{"label": 0, "question": "牙疼得，睡不着？", "answer": "…"}\n'
    (tmp_path / "test.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "questions.jsonl").write_bytes((DATA / "questions.jsonl").read_bytes())
    stage = StageConfig.read(config(tmp_path, 'excluded_questions = "test.jsonl"\n' + TABLE + QUESTIONS))
    read = gather_pairs(stage, tmp_path, print)
    assert read.dropped == 1 and len(read.train) == 39
    assert not [pair for pair in read.train if pair.anchor.startswith("牙疼得睡")]


def test_a_loss_that_does_not_fall_stops_the_training() -> None:
    require_learning([3.0, 2.0, 1.0], 0.1)
    for losses in ([3.0, 3.0, 3.0], [3.0, float("nan")]):
        with pytest.raises(TrainingFailed, match="did not fall"):
            require_learning(losses, 0.1)


def test_pairs_of_one_topic_are_no_negatives_of_each_other() -> None:
    pairs = [
        TextPair("a", "x", "a", "heart"),
        TextPair("b", "y", "b", "heart"),
        TextPair("c", "x", "c"),
        TextPair("d", "z", "d"),
    ]
    expected = np.array([[0, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    assert (kin_mask(kinship(pairs)) == expected).all()


def test_sentences_pair_with_the_one_that_follows_in_the_same_text() -> None:
    pairs = neighbouring_sentences(
        ["咳嗽三天没有好。夜里咳得厉害！好。", "Rest is enough. It passes in a week.", "一句话没有邻居。"]
    )
    assert [(pair.anchor, pair.positive) for pair in pairs] == [
        ("咳嗽三天没有好。", "夜里咳得厉害！"),
        ("Rest is enough.", "It passes in a week."),
    ]


def test_a_key_keeps_its_split_for_ever() -> None:
    assert [split_of(key) for key in ("asthma", "gout", "glaucoma")] == [
        split_of(k) for k in ("asthma", "gout", "glaucoma")
    ]
    shares = [split_of(f"key {number}") for number in range(2000)]
    assert 0.08 < shares.count("test") / 2000 < 0.12 and 0.03 < shares.count("validation") / 2000 < 0.07


def test_the_projects_own_records_pair_chinese_with_english() -> None:
    pairs = [pair for name in ("departments", "red_flags", "guidelines") for pair in PAIR_READERS[name](Path())]
    assert any("\u4e00" <= pair.anchor[0] <= "\u9fff" and pair.positive.isascii() for pair in pairs)


def test_ranking_scores_are_those_computed_by_hand() -> None:
    similarity = np.array([[0.9, 0.5, 0.1], [0.2, 0.9, 0.5]])
    scores = ranking_scores(similarity, [{1}, {1, 2}], depth=2)
    assert scores == {"ndcg@2": round((1 / np.log2(3) + 1) / 2, 4), "recall@2": 1.0, "mrr@2": 0.75}
