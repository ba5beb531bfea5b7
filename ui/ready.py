"""An assistant ready to be asked: a missing or outdated index is built first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from knowledge.errors import IndexBusy
from rag.config import Settings, load_settings, quiet_libraries

if TYPE_CHECKING:
    from rag.assistant import Assistant

WAIT_SECONDS = 600.0  # for the index that another process is building


def ready_assistant() -> Assistant:
    """The assistant over the index; builds the index when there is none, or when the shipped knowledge has changed."""
    quiet_libraries()
    from rag.assistant import load_assistant

    settings = load_settings()
    ensure_index(settings)
    return load_assistant(settings)


def ensure_index(settings: Settings) -> None:
    """Builds the index if there is none, or if it was built from other knowledge. An index of another embedder is left alone.

    Where another process is just building it, as when replicas start together, its index is waited for.
    """
    from ingest.pipeline import rebuild_index
    from ingest.remembered import index_state
    from rag.from_settings import embedder_for
    from ui.progress import progress_bar

    state = index_state(settings.index_dir)
    if state == "current":
        return
    click.echo(
        f"daozhen: {'building the index' if state == 'missing' else 'the knowledge has changed; building the index again'} …",
        err=True,
    )
    deadline, told = time.monotonic() + WAIT_SECONDS, False
    while index_state(settings.index_dir) != "current":
        try:
            with progress_bar("index") as step:
                rebuild_index(settings.index_dir, embedder_for(settings), progress=step)
            return
        except IndexBusy as fault:
            if time.monotonic() > deadline:
                raise
            if not told:
                click.echo(f"daozhen: {fault} …", err=True)
            told = True
            time.sleep(0.2)
