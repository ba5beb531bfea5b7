"""The benchmarks of training's speed run, small, on a CPU: what needs a GPU is then the size alone."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import two_gpus
from tests.benchmarks.random_base import TOY, write_base_folder
from tests.benchmarks.training_speed import draw
from tests.benchmarks.training_speed_measured import measured
from tests.benchmarks.training_speed_rows import ROWS, toy, write_pairs


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("speed")
    talks = [
        [{"role": "user", "content": f"发烧{day}天，咳嗽"}, {"role": "assistant", "content": f"第{day}天：多喝水，测体温。"}]
        for day in range(64)
    ]  # fmt: skip
    lines = (json.dumps({"messages": talk}, ensure_ascii=False) + "\n" for talk in talks)
    (folder / "dialogues.jsonl").write_text("".join(lines), encoding="utf-8")
    write_base_folder(folder / "base", folder / "dialogues.jsonl", TOY)
    write_pairs(folder)
    return folder


@pytest.fixture(autouse=True)
def base_of_disk_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks put a base with random weights in its place."""
    from finetune import training

    monkeypatch.setattr(training, "load_base", training.load_base)


@pytest.mark.parametrize("name", ["qlora varlen", "dpo, one base"])
def test_a_row_is_measured_and_drawn(name: str, work: Path, tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.name == name)
    figures = measured(toy(row), work, True)
    assert figures["steps"] == (10 if row.stage == "sft" else 4) and figures["tokens_per_second"] > 0
    (tmp_path / "rows.jsonl").write_text(json.dumps({"row": name, "peak_memory_gib": 1.0, **figures}) + "\n")
    draw(tmp_path / "rows.jsonl", tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 1000


def test_the_one_process_of_two_gpus_trains_and_is_compared(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = argparse.Namespace(work=work, toy=True)
    config, out = work / "one.toml", work / "one"
    config.write_text(two_gpus.config_text(two_gpus.RUNS[0], arguments), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        two_gpus.worker(["train", str(config), "--data", str(work), "--out", str(out)])
    assert not ended.value.code
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [row["loss"] for row in metrics if "loss" in row]
    assert len(losses) == two_gpus.STEPS
    done = {
        "lora, one": {"losses": losses, "tokens_per_second": 100},
        "lora, two, ddp": {"losses": losses, "tokens_per_second": 190},
        "lora, two, fsdp2": {"losses": [loss + 1 for loss in losses], "tokens_per_second": 150},
    }
    same, other = two_gpus.compared(done, "cpu")
    assert "1.90 times one" in same and "the same curve" in same and "ANOTHER CURVE" in other


@pytest.mark.slow
def test_two_processes_have_the_curve_of_one(work: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.two_gpus", "--data", str(work / "dialogues.jsonl"), "--toy"]
    command += ["--out", str(tmp_path / "rows.jsonl"), "--work", str(tmp_path / "work"), "--runs", "lora"]
    said = subprocess.run([*command, "--seconds", "300"], capture_output=True, text=True, check=True).stdout
    assert said.count("the same curve") == 2
