"""Who writes answers, as `daozhen chat` and `daozhen serve` are told it, and what is told of a served model at the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import click

from rag.config import keep_settings, load_settings

if TYPE_CHECKING:
    from rag.writers import Writer

Command = TypeVar("Command", bound=Callable[..., object])


def writer_options(command: Command) -> Command:
    """--model, --adapter and --model-url, each kept in config.toml."""
    for option in (
        click.option("--model-url", help="Where a served model answers, kept in config.toml; else $OPENAI_BASE_URL."),
        click.option("--adapter", help="A LoRA folder for the model, kept in config.toml."),
        click.option(
            "--model",
            help="Who writes answers, kept in config.toml: a model's folder, provider:name, `embedded` (the small model "
            "that ships) or `extractive`.",
        ),
    ):
        command = option(command)
    return command


def keep_writer(model: str | None, adapter: str | None, model_url: str | None = None) -> None:
    """Keeps who writes answers in config.toml, if that can be had; a new model comes without the old one's adapter."""
    if model is None and adapter is None and model_url is None:
        return
    settings = load_settings()
    chosen = replace(
        settings,
        model=settings.model if model is None else "" if model == "extractive" else model,
        adapter=adapter if adapter is not None else "" if model is not None else settings.adapter,
        model_url=settings.model_url if model_url is None else model_url,
    )
    from rag.chat_models import load_writer

    load_writer(chosen)
    keep_settings(settings.home, {"model": chosen.model, "adapter": chosen.adapter, "model_url": chosen.model_url})


def warn_of(writer: Writer) -> None:
    """One line where a served model would not answer just now; the passages' own sentences are given until it does."""
    ask = getattr(writer, "reachable_fault", None)  # only a served writer has a server to ask
    if ask is not None and (fault := ask()):
        click.echo(f"daozhen: warning: {fault}; until then the documents' own sentences are given", err=True)
