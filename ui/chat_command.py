"""`daozhen chat`: the triage chat in the browser."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from rag.config import keep_settings, load_settings, quiet_libraries

PATIENT_APP = Path(__file__).resolve().parent / "patient_app.py"


def keep_writer(model: str | None, adapter: str | None) -> None:
    """Keeps who writes answers in config.toml, if that can be had; a new model comes without the old one's adapter."""
    if model is None and adapter is None:
        return
    settings = load_settings()
    chosen = replace(
        settings,
        model=settings.model if model is None else "" if model == "extractive" else model,
        adapter=adapter if adapter is not None else "" if model is not None else settings.adapter,
    )
    from rag.chat_models import load_writer

    load_writer(chosen)
    keep_settings(settings.home, {"model": chosen.model, "adapter": chosen.adapter})


@click.command()
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="Port on this machine.")
@click.option("--model", help="Who writes answers, kept in config.toml: a model's folder, provider:name, or `extractive`.")
@click.option("--adapter", help="A LoRA folder for the model, kept in config.toml.")
def chat(port: int, model: str | None, adapter: str | None) -> None:
    """Serve the triage chat at http://127.0.0.1:PORT; builds the index first if there is none. Ctrl-C ends it.

    \b
    daozhen chat
    daozhen chat --port 8600
    daozhen chat --model ~/models/tuned --adapter ~/runs/sft/adapter
    daozhen chat --model extractive
    """
    quiet_libraries()
    from ui.ready import ready_assistant

    keep_writer(model, adapter)
    ready_assistant()  # a broken red flag or index stops here, in one line, before anybody is served
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(PATIENT_APP.parents[1]), os.environ.get("PYTHONPATH")) if part
    )
    options = {
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(PATIENT_APP), *arguments])
