"""`daozhen train`: run the stage a config file describes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rag.config import quiet_libraries


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
    default=Path("runs/embedder"),
    show_default=True,
    help="Folder the trained model is written to.",
)
def train(config: Path, data_dir: Path, out_dir: Path) -> None:
    """Run the training stage that CONFIG describes, and print its metrics as JSON.

    \b
    daozhen train finetune/configs/embedder.toml --data ~/datasets --out runs/embedder
    """
    quiet_libraries()
    from finetune.stages.embedder import train_embedder

    metrics = train_embedder(config, data_dir, out_dir, progress=lambda line: click.echo(line, err=True))
    click.echo(json.dumps(metrics, ensure_ascii=False, indent=2))
