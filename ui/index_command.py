"""`daozhen index`: build and look at the passage index."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rag.config import load_settings, quiet_libraries


@click.group(no_args_is_help=True)
def index() -> None:
    """Build and look at the passage index.

    \b
    daozhen index rebuild
    daozhen index rebuild --source ~/guides --source ~/leaflets
    daozhen index status --json
    """


@index.command()
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of .md, .txt and .pdf documents to add; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def rebuild(sources: tuple[Path, ...], as_json: bool) -> None:
    """Read the shipped knowledge and every --source folder, and build a new index. The old one serves until it is done."""
    quiet_libraries()
    from ingest.pipeline import rebuild_index
    from rag.assistant import embedder_for
    from ui.progress import progress_bar

    settings = load_settings()
    with progress_bar("index") as step:
        report = rebuild_index(settings.index_dir, embedder_for(settings), sources, step)
    if as_json:
        rows = [vars(row) for row in report.quarantined]
        click.echo(json.dumps({**vars(report), "quarantined": rows}, ensure_ascii=False, indent=2))
        return
    for row in report.quarantined:
        click.echo(f"daozhen: {'warning' if row.taken else 'left out'}: {row.line}", err=True)
    click.echo(
        f"{report.documents} documents, {report.passages} passages, {report.seconds:.1f} s: generation {report.generation}"
    )


@index.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def status(as_json: bool) -> None:
    """Say which generation serves, what it holds, and whether its files are as they were written."""
    from rag.passage_index import Manifest, current_generation, verify

    folder = current_generation(load_settings().index_dir)
    manifest = Manifest.read(folder)
    verify(folder, manifest)
    shown = {
        "generation": manifest.generation,
        "passages": manifest.passages,
        "documents": len(manifest.sources),
        "embedder": manifest.embedder,
        "dimension": manifest.dimension,
        "source_dirs": list(manifest.source_dirs),
    }
    click.echo(
        json.dumps(shown, ensure_ascii=False, indent=2)
        if as_json
        else "\n".join(f"{key:12} {value}" for key, value in shown.items())
    )
