"""The embedder stage on a toy set: it learns, writes a small readable folder, and says plainly what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from finetune.embedder_corpus import HeldApart, gather_pairs, kinship
from finetune.embedder_overlap import HeldApartTexts
from finetune.embedder_pairs import PAIR_READERS, PairSource, TextPair, read_pairs, split_of
from knowledge.errors import TrainingFailed

DATA = Path(__file__).parent / "data" / "embedder"
PHASES = (
    "vocabulary = 700\ndimensions = [16]\n[encoder]\nlayers = 2\nwidth = 32\nheads = 2\ninner = 32\n"
    "[masked]\nsteps = 20\nrows = 8\nwindow = 16\nlearning_rate = 3e-3\nleast_fall = 0.0\n"
    "[wide]\nsteps = 60\nbatch = 40\nlearning_rate = 5e-3\ncrops_share = 0.2\ndropout = 0.0\n"
    "[sharp]\nsteps = 5\nbatch = 16\nnegatives = 2\nlearning_rate = 5e-4\nleast_fall = -9.0\n"
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
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    torch.set_num_threads(1)
    from finetune.stages.embedder import train_embedder

    folder = tmp_path_factory.mktemp("embedder")
    figures = train_embedder(config(folder, PHASES + QUESTIONS), DATA, folder / "out")
    return folder / "out", figures


def test_a_toy_training_learns_which_answer_belongs_to_which_question(trained: tuple[Path, dict]) -> None:
    from rag.embedder import load_embedder

    folder, figures = trained
    assert figures["wide"]["loss_last"] < figures["wide"]["loss_first"] / 2
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


def test_the_graph_gives_the_vectors_the_encoder_was_trained_to(trained: tuple[Path, dict]) -> None:
    import torch
    from safetensors.torch import load_file

    from finetune.embedder_encoder import Encoder, encoded
    from finetune.embedder_graph import EncoderShape
    from rag.embedder import load_embedder

    folder, figures = trained
    encoder = Encoder(EncoderShape(2, 32, 2, 32), figures["vocabulary"])
    weights = load_file(folder.with_name("out.work") / "sharp.safetensors")
    encoder.load_state_dict({name: weight.float() for name, weight in weights.items()})
    embedder = load_embedder(folder)
    texts = ["膝盖疼", "my knee hurts when I climb the stairs", "眼睛 red 123"]
    rows = [np.array(embedder.tokenizer.encode(text).ids) for text in texts]
    with torch.no_grad():
        theirs = encoded(encoder, rows, 512).numpy()
    assert (theirs * embedder.encode_passages(texts)).sum(axis=1).min() > 0.99  # eight bits a number


def test_a_second_run_takes_up_every_phase_that_is_there(trained: tuple[Path, dict], tmp_path: Path) -> None:
    from finetune.stages.embedder import train_embedder

    folder, _ = trained
    lines: list[str] = []
    again = train_embedder(folder.parent / "embedder.toml", DATA, folder, progress=lines.append)
    assert again["sharp"]["loss_last"] == trained[1]["sharp"]["loss_last"]
    assert not [line for line in lines if line.startswith("step")]


def test_a_stopped_loop_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from finetune import guarded_loop
    from finetune.guarded_loop import LoopSettings, train_loop

    def model() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Linear(4, 1)

    def loss_of(some: torch.nn.Module, stop_at: int = 99):
        def loss(step: int) -> torch.Tensor:
            if step == stop_at:
                raise KeyboardInterrupt
            return (some(torch.randn(8, 4)) - 3).pow(2).mean()

        return loss

    settings = LoopSettings(steps=40, learning_rate=0.1, guard_share=1.0)
    whole, parts = model(), model()
    train_loop(whole, loss_of(whole), settings, tmp_path / "whole", "a", print)
    monkeypatch.setattr(guarded_loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train_loop(parts, loss_of(parts, stop_at=25), settings, tmp_path / "parts", "a", print)
    resumed = model()
    train_loop(resumed, loss_of(resumed), settings, tmp_path / "parts", "a", print)
    assert torch.equal(whole.weight, resumed.weight) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        PHASES + "epoch = 3\n" + QUESTIONS,
        PHASES.replace("layers", "layer") + QUESTIONS,
        PHASES + QUESTIONS + 'fil = "a.json"\n',
        "sed = 3\n" + PHASES + QUESTIONS,
        "[table\n",
    ],
)
def test_a_misspelt_key_stops_the_training_in_one_line(text: str, tmp_path: Path) -> None:
    from finetune.stages.embedder import EmbedderConfig

    with pytest.raises(TrainingFailed) as failure:
        EmbedderConfig.read(config(tmp_path, text))
    assert "embedder.toml" in str(failure.value) and "\n" not in str(failure.value)


def toy(file: str = "questions.jsonl") -> PairSource:
    return PairSource("toy", "instructions", "own", "tests", file, held_out=())


def test_absent_data_is_named_and_none_at_all_stops_the_training() -> None:
    absent = PairSource("gone", "instructions", "own", "tests", "elsewhere.jsonl")
    read = gather_pairs([toy(), absent], [], DATA, print)
    assert read.absent == ["elsewhere.jsonl"] and len(read.train["toy"]) == 40
    with pytest.raises(TrainingFailed, match=r"elsewhere\.jsonl"):
        gather_pairs([absent], [], DATA, print)


def test_a_file_of_another_shape_is_named_with_the_shape_it_should_have(tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text('{"frage": "a"}\n', encoding="utf-8")
    with pytest.raises(TrainingFailed, match=r"odd\.jsonl.*\{instruction, output\}"):
        read_pairs(PairSource("odd", "instructions", "own", "tests", "odd.jsonl"), tmp_path)
    with pytest.raises(TrainingFailed, match="known: instructions"):
        read_pairs(PairSource("odd", "nothing", "own", "tests", "odd.jsonl"), tmp_path)


def test_what_repeats_a_test_set_never_trains(tmp_path: Path) -> None:
    text = '{"label": 0, "question": "牙疼得，睡不着？", "answer": "…"}\n'
    (tmp_path / "test.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "questions.jsonl").write_bytes((DATA / "questions.jsonl").read_bytes())
    read = gather_pairs([toy()], [HeldApart("test.jsonl", ["question", "answer"])], tmp_path, print)
    assert read.repeating["toy"] == 1 and len(read.train["toy"]) == 39
    assert not [pair for pair in read.train["toy"] if pair.anchor.startswith("牙疼得睡")]


def test_near_duplicates_are_found_and_other_texts_are_not() -> None:
    apart = HeldApartTexts(["孩子发烧三十九度已经两天了，吃了退烧药又烧起来，需要去医院吗？", "胸口疼"])
    assert apart.repeats("孩子发烧三十九度已经两天了 吃了退烧药又烧起来,需要去医院吗") and apart.repeats("胸口疼。")
    assert apart.repeats("我孩子发烧三十九度已经两天了，吃了退烧药又烧起来，需要去医院吗？谢谢")
    assert not apart.repeats("孩子咳嗽三天了，夜里厉害，需要去医院吗？") and not apart.repeats("胸口闷")


def test_a_loss_that_does_not_fall_stops_the_training() -> None:
    pytest.importorskip("torch")
    from finetune.guarded_loop import require_learning

    require_learning([3.0, 2.0, 1.0], 0.1)
    for losses in ([3.0, 3.0, 3.0], [3.0, float("nan")]):
        with pytest.raises(TrainingFailed, match="did not fall"):
            require_learning(losses, 0.1)


def test_pairs_of_one_topic_are_no_negatives_of_each_other() -> None:
    pytest.importorskip("torch")
    from finetune.embedder_contrast import kin_mask

    pairs = [
        TextPair("a", "x", "a", "heart"),
        TextPair("b", "y", "b", "heart"),
        TextPair("c", "x", "c"),
        TextPair("d", "z", "d"),
    ]
    expected = np.array([[0, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    assert (kin_mask(kinship(pairs), kinship(pairs)[:0]) == expected).all()


def test_a_key_keeps_its_split_for_ever() -> None:
    assert [split_of(key) for key in ("asthma", "gout", "glaucoma")] == [
        split_of(k) for k in ("asthma", "gout", "glaucoma")
    ]
    shares = [split_of(f"key {number}") for number in range(2000)]
    assert 0.08 < shares.count("test") / 2000 < 0.12 and 0.03 < shares.count("validation") / 2000 < 0.07


def test_the_projects_own_records_pair_chinese_with_english() -> None:
    pairs = [pair for name in ("departments", "red_flags", "guidelines") for pair in PAIR_READERS[name](Path())]
    assert any("\u4e00" <= pair.anchor[0] <= "\u9fff" and pair.positive.isascii() for pair in pairs)
