"""A training config: what it says is what is run, and what it cannot mean stops the run in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.stage_config import STAGE_SECTIONS, StageConfig
from finetune.training_pipeline import read_pipeline, step_config
from knowledge.errors import TrainingFailed

GOOD = 'stage = "sft"\nname = "a"\ndata = ["a.jsonl"]\n[base]\nmodel = "base"\n'
CONFIGS = Path(__file__).resolve().parents[1] / "finetune" / "configs"


def written(folder: Path, text: str) -> Path:
    path = folder / "sft.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_config_leaves_out_has_a_default(tmp_path: Path) -> None:
    config = StageConfig.read(written(tmp_path, GOOD))
    assert config.adapter.four_bit and config.adapter.targets == ("all-linear",)
    assert config.adapter.lora_alpha == 2 * config.adapter.rank


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("name", "nmae"), "nmae"),
        (GOOD + "[adapter]\nrnak = 3\n", "rnak"),
        (GOOD + '[adapter]\nrank = "3"\n', "rank"),
        (GOOD + "[adapter]\nrank = true\n", "rank"),
        (GOOD + '[adapter]\nmethod = "lorra"\n', "lorra"),
        (GOOD + "[training]\nepochs = []\n", "epochs"),
        (GOOD + "[dpo]\nbeta = 0.1\n", "dpo"),
        (GOOD.replace('"sft"', '"stf"'), "stf"),
        (GOOD.replace('stage = "sft"\n', ""), "stage"),
        (GOOD.replace('data = ["a.jsonl"]\n', ""), "data"),
        (GOOD.replace('["a.jsonl"]', "[]"), "data"),
        (GOOD.replace('model = "base"', ""), "model"),
        (GOOD + "[training]\npatience = 2\n", "evaluate_every"),
        (GOOD + "[training]\nevaluate_every = 2\n", "evaluation"),
        (GOOD.replace('"sft"', '"dpo"') + "[training]\npacking = true\n", "packing"),
        (GOOD.replace('"sft"', '"dpo"') + '[adapter]\nmethod = "prefix"\n', "prefix"),
        (GOOD.replace('"sft"', '"ppo"'), "reward"),
        ("[base", "TOML"),
        ("base = 3\n" + GOOD.split("[base]")[0], "base"),
    ],
)
def test_a_config_that_cannot_be_meant_stops_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed) as failure:
        StageConfig.read(written(tmp_path, text))
    assert said in str(failure.value) and "sft.toml" in str(failure.value) and "\n" not in str(failure.value)


def test_a_config_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="cannot be read"):
        StageConfig.read(tmp_path / "none.toml")


STAGES = [
    path for path in sorted(CONFIGS.glob("*.toml")) if path.stem != "embedder" and not path.stem.startswith("mix_")
]


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.name)
def test_every_config_that_ships_can_be_read(path: Path) -> None:
    if path.stem.startswith("pipeline"):
        pipeline = read_pipeline(path)
        assert [step_config(path, pipeline, step, Path("runs")) for step in pipeline.steps]
    else:
        assert StageConfig.read(path).name


def test_every_stage_has_a_config_that_ships() -> None:
    assert set(STAGE_SECTIONS) <= {path.stem for path in CONFIGS.glob("*.toml")}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("", "holds no"),
        ('[[steps]]\nname = "a"\n', "config"),
        ('[[steps]]\nname = "a"\nconfg = "sft.toml"\n', "confg"),
        ('[[steps]]\nname = "a"\nconfig = "sft.toml"\n' * 2, "two steps"),
        ('[[steps]]\nname = "a"\nconfig = "sft.toml"\ninit_adapter = "b"\n', "no earlier step"),
    ],
)
def test_a_chain_that_cannot_run_is_told_before_it_begins(steps: str, said: str, tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    path = tmp_path / "pipeline.toml"
    path.write_text('stage = "pipeline"\n' + steps, encoding="utf-8")
    with pytest.raises(TrainingFailed, match=said):
        pipeline = read_pipeline(path)
        [step_config(path, pipeline, step, tmp_path) for step in pipeline.steps]
