"""`daozhen train`: run the stage, or the chain of stages, a config file describes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from knowledge.errors import TrainingFailed
from rag.config import quiet_libraries
from ui.progress import progress_bar


@click.command(no_args_is_help=True)
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Folder the config's data files are relative to.",
)
@click.option(
    "--out",
    "out_dir",
    type=click.Path(path_type=Path),
    help="Folder the result is written to. [default: runs/ and the config's name]",
)
@click.option("--base", help="The model to train on, in place of the config's.")
@click.option("--init-adapter", help="Begin a new run from the adapter of an earlier one.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, from its last whole checkpoint.")
@click.option("--dry-run", is_flag=True, help="Print tokens, steps, memory and time; train nothing.")
def train(
    config: Path,
    data_dir: Path,
    out_dir: Path | None,
    base: str | None,
    init_adapter: str | None,
    resume: bool,
    dry_run: bool,
) -> None:
    """Run the training stage that CONFIG describes, and print its metrics as JSON.

    \b
    daozhen train finetune/configs/sft.toml --base ~/models/base --data ~/datasets --dry-run
    daozhen train finetune/configs/sft.toml --base ~/models/base --data ~/datasets --out runs/sft
    daozhen train finetune/configs/sft.toml --base ~/models/base --data ~/datasets --out runs/sft --resume
    daozhen train finetune/configs/embedder.toml --data ~/datasets --out runs/embedder
    daozhen train finetune/configs/embedded/base.toml --data ~/datasets --out models/base
    """
    quiet_libraries()
    from finetune.toml_records import read_toml

    values = read_toml(config)
    figures: dict[str, Any] | None
    out_dir = out_dir or Path("runs") / config.stem
    if "stage" not in values:
        _refuse({"--base": base, "--init-adapter": init_adapter, "--resume": resume, "--dry-run": dry_run}, config)
        figures = _embedder(config, data_dir, out_dir)
    elif values["stage"] == "base":
        _refuse({"--base": base, "--init-adapter": init_adapter, "--resume": resume, "--dry-run": dry_run}, config)
        figures = _base(values, config, data_dir, out_dir)
    elif values["stage"] == "pipeline":
        _refuse({"--base": base, "--init-adapter": init_adapter, "--dry-run": dry_run}, config)
        figures = _pipeline(config, data_dir, out_dir, resume)
    else:
        figures = _stage(config, data_dir, out_dir, base, init_adapter, resume, dry_run)
    if figures is not None:
        click.echo(json.dumps(figures, ensure_ascii=False, indent=2))


def _embedder(config: Path, data_dir: Path, out_dir: Path) -> dict[str, Any]:
    from finetune.stages.embedder import train_embedder

    return train_embedder(config, data_dir, out_dir, progress=_tell)


def _base(values: dict[str, Any], config: Path, data_dir: Path, out_dir: Path) -> dict[str, Any]:
    from finetune.stages.base import BaseConfig, train_base

    return train_base(BaseConfig.from_values(values, config.name), data_dir, out_dir, tell=_tell)


def _pipeline(config: Path, data_dir: Path, out_dir: Path, resume: bool) -> dict[str, Any]:
    from finetune.training_pipeline import train_pipeline

    with progress_bar("train") as step:
        return train_pipeline(config, data_dir, out_dir, resume=resume, step=step, tell=_tell)


def _stage(
    config: Path,
    data_dir: Path,
    out_dir: Path,
    base: str | None,
    init_adapter: str | None,
    resume: bool,
    dry_run: bool,
) -> dict[str, Any] | None:
    from finetune.stage_config import StageConfig
    from finetune.toml_records import read_toml

    values = read_toml(config)
    if base:
        values["base"] = {**values.get("base", {}), "model": base}
    stage = StageConfig.from_values(values, config.name)
    if init_adapter:
        stage = replace(stage, init_adapter=init_adapter)
        stage.check(config.name)
    if dry_run:
        from finetune.plan import plan

        return plan(stage, data_dir)
    from finetune.training import is_main_process, train_stage

    with progress_bar(stage.name) as step:
        figures = train_stage(stage, data_dir, out_dir, resume=resume, step=step, tell=_tell)
    return figures if is_main_process() else None


def _refuse(options: dict[str, Any], config: Path) -> None:
    for name, value in options.items():
        if value:
            raise TrainingFailed(f"{config.name}: {name} is for a single stage of a language model; leave it out")


def _tell(line: str) -> None:
    click.echo(line, err=True)
