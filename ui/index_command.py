"""`daozhen index`: build, look at and mend the passage index."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag.config import load_settings, quiet_libraries
from ui.engine_options import engine_options
from ui.index_reports import show, show_plan, show_report
from ui.index_served import copy, store_lines, take_over

if TYPE_CHECKING:
    from ingest.pipeline import RebuildOptions, RebuildReport
    from ingest.plan import RebuildPlan

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
keep_option = click.option(
    "--keep", default=2, show_default=True, type=click.IntRange(1), help="Generations that stay on the disk."
)


@click.group(no_args_is_help=True)
def index() -> None:
    """Build, look at and mend the passage index.

    \b
    daozhen index rebuild --source ~/guides     add a folder; folders added before stay
    daozhen index rebuild                       bring everything up to date
    daozhen index rebuild --dry-run --json      what that would do, and how long it would take
    daozhen index rebuild --engine ray          read and embed on a Ray cluster; the same index
    daozhen index status --json                 what the index holds
    daozhen index quarantine                    what was left out, why, and the remedy
    daozhen index verify                        every byte against what was written
    daozhen index rollback                      the generation before takes over
    daozhen index remove ~/guides               a folder or one of its sources goes
    daozhen index copy --to milvus              a served store takes over what serves here
    """


index.add_command(copy)


@index.command()
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of documents to add; may be repeated. Folders added before stay.",
)
@click.option("--restore", multiple=True, help="A source taken out with `remove` that comes back; may be repeated.")
@click.option("--fresh", is_flag=True, help="Read every file again, unchanged ones too.")
@click.option(
    "--dry-run", is_flag=True, help="Only say what would be added, kept and deleted, and how long it would take."
)
@keep_option
@engine_options
@as_json_option
def rebuild(
    sources: tuple[Path, ...],
    restore: tuple[str, ...],
    fresh: bool,
    dry_run: bool,
    keep: int,
    engine: str,
    address: str,
    as_json: bool,
) -> None:
    """Bring the index up to date with the shipped knowledge and every folder added so far.

    Only new or changed files are read, only new text is embedded. The index in use serves until the new one is complete.
    With --engine ray files are read and texts embedded by the machines of a Ray cluster, each of which sees the folders
    under the same path and has the same daozhen installed; what a machine that dies had in hand another does again.
    """
    from ingest.pipeline import RebuildOptions
    from rag.engines import engine_named

    with engine_named(engine, address) as chosen:
        options = RebuildOptions(keep=keep, fresh=fresh, restore=restore, engine=chosen)
        if dry_run:
            show_plan(_planned(sources, options), as_json)
        else:
            show_report(_rebuilt(sources, options), as_json)
            take_over(load_settings(), keep)


@index.command()
@click.argument("source")
@keep_option
@as_json_option
def remove(source: str, keep: int, as_json: bool) -> None:
    """Take SOURCE out of the index: a folder added before, or one file in it, by path or as `status` names it.

    The file itself is not touched; `daozhen index rebuild --restore SOURCE` brings it back, `--source` a folder.
    """
    from ingest.pipeline import RebuildOptions

    show_report(_rebuilt((), RebuildOptions(keep=keep, remove=source)), as_json)
    take_over(load_settings(), keep)


@index.command()
@as_json_option
def status(as_json: bool) -> None:
    """Say which generation serves and what it holds."""
    from ingest.remembered import remembered_sources
    from rag.generations import finished_generations
    from rag.passage_index import PassageIndex

    settings = load_settings()
    index_dir = settings.index_dir
    if not finished_generations(index_dir) and settings.store != "local":  # a replica that only searches
        show(store_lines(settings), as_json)
        return
    serving = PassageIndex.open(index_dir)
    manifest = serving.manifest
    show(
        {
            "generation": manifest.generation,
            "passages": manifest.passages,
            "documents": manifest.documents,
            "quarantined": manifest.quarantined,
            "embedder": manifest.embedder,
            "dimension": manifest.dimension,
            "search": manifest.search,
            "source_dirs": list(manifest.source_dirs),
            "removed": list(manifest.removed),
            "kept": [folder.name for folder in finished_generations(index_dir)],
            "megabytes": round(sum(seal.size for seal in manifest.files.values()) / 1e6, 1),
            "warnings": list(remembered_sources(index_dir).warnings()),
            **store_lines(settings),
        },
        as_json,
    )


@index.command()
@as_json_option
def verify(as_json: bool) -> None:
    """Compare every byte of every generation with what was written; exit code 1 where anything differs."""
    from knowledge.errors import IndexDamaged
    from rag.generations import faults_of_all
    from rag.manifest import REBUILD

    found = faults_of_all(load_settings().index_dir)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for name, faults in found.items():
            click.echo(f"{name}  {'; '.join(faults) or 'whole'}")
    if any(found.values()):
        first = next(faults[0] for faults in found.values() if faults)
        raise IndexDamaged(f"{sum(map(len, found.values()))} not as written, {first}; {REBUILD}")


@index.command()
@as_json_option
def rollback(as_json: bool) -> None:
    """Let the newest intact generation before the one that serves take over; running assistants follow at once."""
    from rag.generations import roll_back
    from rag.manifest import Manifest
    from rag.writer_lock import writing

    index_dir = load_settings().index_dir
    with writing(index_dir):
        folder = roll_back(index_dir)
    manifest = Manifest.read(folder)
    show({"generation": manifest.generation, "passages": manifest.passages, "documents": manifest.documents}, as_json)
    take_over(load_settings())


@index.command()
@as_json_option
def quarantine(as_json: bool) -> None:
    """List what was left out of the index, or taken with a warning: where, why, and the remedy."""
    from ingest.pipeline import quarantine_of
    from rag.passage_index import PassageIndex

    rows = quarantine_of(PassageIndex.open(load_settings().index_dir))
    if as_json:
        click.echo(json.dumps([vars(row) for row in rows], ensure_ascii=False, indent=2))
        return
    for row in rows:
        click.echo(f"{'warning ' if row.taken else 'left out'}  {row.line}")
    if not rows:
        click.echo("nothing was left out")


def _rebuilt(sources: tuple[Path, ...], options: RebuildOptions) -> RebuildReport:
    quiet_libraries()
    from ingest.pipeline import rebuild_index
    from rag.from_settings import embedder_for
    from ui.progress import progress_bar

    settings = load_settings()
    open_embedder = partial(embedder_for, settings)
    with progress_bar("index") as step:
        options = replace(options, open_embedder=open_embedder)
        return rebuild_index(settings.index_dir, open_embedder(), sources, step, options)


def _planned(sources: tuple[Path, ...], options: RebuildOptions) -> RebuildPlan:
    quiet_libraries()
    from ingest.pipeline import plan_rebuild
    from rag.from_settings import embedder_for

    settings = load_settings()
    return plan_rebuild(settings.index_dir, embedder_for(settings), sources, options)
