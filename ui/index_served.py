"""`daozhen index copy`, and what the other commands of the index say and do where a served store is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from knowledge.errors import AssistantError, StoreUnavailable
from rag.config import Settings, load_settings, quiet_libraries

if TYPE_CHECKING:
    from rag.served_copy import CopyReport


@click.command()
@click.option("--to", type=click.Choice(["milvus"]), required=True, help="Where to; its address stands in config.toml.")
@click.option("--keep", default=2, show_default=True, type=click.IntRange(1), help="Generations that stay there.")
@click.option("--replace", is_flag=True, help="Take the alias over though a copy of another index serves under it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def copy(to: str, keep: int, replace: bool, as_json: bool) -> None:
    """Copy the generation that serves into a served store, where it takes over in one step.

    A copy that was stopped goes on where it stood; a generation that is there already only takes over. config.toml
    names the store (milvus_uri) and, with store = "milvus", lets it serve.

    \b
    daozhen index copy --to milvus
    DAOZHEN_MILVUS_TOKEN=… daozhen index copy --to milvus --json
    """
    quiet_libraries()
    settings = load_settings()
    report = _copied(settings, keep, replace)
    if as_json:
        click.echo(json.dumps(vars(report), ensure_ascii=False, indent=2))
        return
    click.echo(_told(report))
    if settings.store != to:
        click.echo(f'the local index still answers; set store = "{to}" in config.toml to answer from there')


def take_over(settings: Settings, keep: int = 2) -> None:
    """After the index has changed: where the settings name a store, it serves the same generation."""
    if settings.store == "local":
        return
    try:
        click.echo(_told(_copied(settings, keep)), err=True)
    except StoreUnavailable as fault:
        raise StoreUnavailable(
            f"{fault}. This machine's index has changed, the store's has not; then run `daozhen index copy --to milvus`"
        ) from None


def store_lines(settings: Settings) -> dict[str, object]:
    """What `status` says of the store."""
    if settings.store == "local":
        return {"store": settings.store}
    from rag.from_settings import embedder_for
    from rag.served_or_local import state_of

    try:
        return state_of(settings, embedder_for(settings))
    except AssistantError as fault:
        return {"store": settings.store, "serves": "nothing", "why": str(fault)}


def _copied(settings: Settings, keep: int, replace: bool = False) -> CopyReport:
    from rag.served_or_local import serve_newest
    from ui.progress import progress_bar

    with progress_bar("milvus") as step:
        return serve_newest(settings, step, keep, replace)


def _told(report: CopyReport) -> str:
    lines = [
        f"{report.passages} passages in Milvus collection {report.collection}, {report.copied} copied now, "
        f"{report.seconds:.1f} s; it serves under its alias"
    ]
    if report.dropped:
        lines.append(f"dropped: {', '.join(report.dropped)}")
    if report.shortened:
        lines.append(
            f"{report.shortened} passages are in 4,096 sources or more; a filter by source finds the first 4,096"
        )
    return "\n".join(lines)
