"""--engine and --address: where a command's work is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from rag.engines import ENGINES


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the arguments `engine` and `address`, for rag.engines.engine_named."""
    for option in (
        click.option(
            "--address",
            default="",
            help="HOST:PORT of a Ray cluster that this machine is part of; without it Ray is started here for the while.",
        ),
        click.option(
            "--engine",
            type=click.Choice(list(ENGINES)),
            default="local",
            show_default=True,
            help="Who does the work: this process, or a Ray cluster (pip install 'daozhen[ray]').",
        ),
    ):
        command = option(command)
    return command
