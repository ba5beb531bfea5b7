"""Every training command the README shows, run as it is shown on a tiny base with tiny data, and the configs it names."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ui.cli import main

ROOT = Path(__file__).resolve().parents[1]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("## Training a language model")[1].split("\n## ")[0]
COMMANDS = [line for block in re.findall(r"^```\n(.*?)^```", SECTION, re.M | re.S) for line in block.splitlines()]
SMALL = {
    "epochs = [\\d.]+\n(?=batch_size)": "max_steps = 3\n",
    "batch_size = \\d+": "batch_size = 4",
    "accumulate = \\d+": "accumulate = 1",
    "iterations = \\d+": "iterations = 1",
    "prompts_per_iteration = \\d+": "prompts_per_iteration = 2",
    "max_new_tokens = \\d+": "max_new_tokens = 4",
    "rank = \\d+": "rank = 4",
    "answers = \\d+": "answers = 2",
    "evaluate_every = \\d+": "evaluate_every = 1",
    "evaluation_share = [\\d.]+": "evaluation_share = 0.25",
    "max_tokens = \\d+": "max_tokens = 256",
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "texts": [{"text": "发烧要多休息。" * 4}] * 4,
    "dialogues": [
        {"messages": [{"role": "user", "content": f"发烧{n}"}, {"role": "assistant", "content": "多休息。"}]}
        for n in range(4)
    ],
    "pairs": [{"prompt": f"发烧{n}", "chosen": "多休息。", "rejected": "不用管。"} for n in range(8)],
    "thumbs": [{"prompt": f"发烧{n}", "completion": "多休息。", "label": n % 2 == 0} for n in range(4)],
    "exams": [{"question": "见于", "options": {"A": "喉炎", "B": "百日咳"}, "answer": "A", "answers": ["A"]}] * 4,
}


def small(text: str) -> str:
    for pattern, value in SMALL.items():
        text = re.sub(pattern, value, text)
    return text


@pytest.fixture(scope="module")
def place(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's files: configs made small, data sets, the base."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "finetune" / "configs").mkdir(parents=True)
    (folder / "datasets").mkdir()
    (folder / "models").mkdir()
    (folder / "models" / "base").symlink_to(tiny_base)
    for path in (ROOT / "finetune" / "configs").glob("*.toml"):
        if path.stem != "embedder":
            (folder / "finetune" / "configs" / path.name).write_text(
                small(path.read_text(encoding="utf-8")), encoding="utf-8"
            )
    for name, rows in {**ROWS, "best_dialogues": ROWS["dialogues"]}.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "datasets" / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_every_documented_training_command_runs(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """One after the other, as a reader would type them: later ones use what earlier ones left."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place))
    assert len(COMMANDS) >= 10
    for command in COMMANDS:
        if "ppo.toml" in command:
            assert (place / "runs" / "rm" / "adapter").is_dir()
        words = [word.replace("~", str(place)) for word in shlex.split(command)[1:]]
        if words[0] in ("predict", "eval"):
            words += ["--max-new-tokens", "4"]
        code = main(words)
        captured = capsys.readouterr()
        assert code == 0 and captured.out.strip(), (command, captured.err[-500:])


@pytest.mark.parametrize("stage", ["pt", "kto", "grpo", "sft_second"])
def test_a_config_that_ships_trains(stage: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    config = place / "finetune" / "configs" / f"{stage}.toml"
    arguments = ["train", str(config), "--data", "datasets", "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    assert (tmp_path / "run" / "adapter" / "recipe.json").is_file()


@pytest.mark.parametrize("name", ["ddp.yaml", "fsdp2.yaml"])
def test_the_settings_for_several_gpus_are_ones_accelerate_knows(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    loaded = load_config_from_file(str(ROOT / "finetune" / "configs" / name))
    assert loaded.num_processes == 2 and loaded.distributed_type.value in ("MULTI_GPU", "FSDP")


@pytest.mark.slow
def test_two_processes_train_what_one_does(place: Path, tmp_path: Path) -> None:
    """The same rows a step, on one process and on two: the same weights, but for the order of additions."""
    from safetensors.torch import load_file

    text = (place / "finetune" / "configs" / "sft.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    assert values["training"]["batch_size"] == 4
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    weights = []
    for processes, batch in ((1, 4), (2, 2)):
        config = tmp_path / f"{processes}.toml"
        config.write_text(text.replace("batch_size = 4", f"batch_size = {batch}"))
        out = tmp_path / str(processes)
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        launch += ["--master-port", "29517"]
        arguments = [
            "-m",
            "ui.cli",
            "train",
            str(config),
            "--data",
            str(place / "datasets"),
            "--out",
            str(out),
            "--base",
            str(place / "models" / "base"),
        ]
        done = subprocess.run(
            [*launch, *arguments], env=environment, capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        weights.append(load_file(str(out / "adapter" / "adapter_model.safetensors")))
    assert max(float((weights[0][name] - weights[1][name]).abs().max()) for name in weights[0]) < 2e-3
