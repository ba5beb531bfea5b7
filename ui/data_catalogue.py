"""`daozhen data list | doctor | readers`: which data sets there are, which of them are here, and what can be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from knowledge.errors import InvalidUsage
from ui.data_options import as_json, data_option, registry_option
from ui.tables import table


@click.command("list")
@registry_option
@click.option("--stage", type=click.Choice(["pretraining", "supervised", "reward", "exam"]), default=None)
@as_json
def list_datasets(registry: Path | None, stage: str | None, as_json: bool) -> None:
    """Every data set the registry knows: where it is to be had, licence, language, rows, shape."""
    from finetune.dataset_entry import NOT_STATED
    from finetune.registry import load_registry

    entries = [entry for entry in load_registry(registry).values() if stage in (None, entry.stage)]
    if as_json:
        click.echo(
            json.dumps(
                [{**vars(entry), "where": entry.where} for entry in entries], ensure_ascii=False, indent=2, default=dict
            )
        )
        return
    rows = [
        (
            entry.name,
            entry.stage,
            " ".join(entry.languages),
            f"{entry.rows:,}" if entry.rows else "",
            entry.licence or NOT_STATED,
            entry.reader,
            entry.where if entry.where != NOT_STATED or not entry.file else f"the file {entry.file}",
        )
        for entry in entries
    ]
    click.echo(table(("name", "stage", "language", "rows", "licence", "reader", "where"), rows))


@click.command()
@click.argument("names", nargs=-1)
@data_option
@registry_option
@click.option(
    "--download",
    "with_download",
    is_flag=True,
    help="Fetch the named sets that are on the Hugging Face hub. Nothing is fetched without it.",
)
@as_json
def doctor(names: tuple[str, ...], data_dir: Path, registry: Path | None, with_download: bool, as_json: bool) -> None:
    """Say which data sets are in the folder, which are not, and where to get those. Leaves with 1 if a NAMED one is missing.

    \b
    daozhen data doctor --data ~/datasets
    daozhen data doctor huatuogpt_sft --data ~/datasets --download
    """
    if with_download and not names:
        raise InvalidUsage("--download needs the names of the data sets to fetch; `daozhen data list` shows them")
    if with_download:
        os.environ["HF_HUB_OFFLINE"] = "0"
    from finetune.data_folder import download, state_of
    from finetune.registry import load_registry

    entries = load_registry(registry)
    unknown = [name for name in names if name not in entries]
    if unknown:
        raise InvalidUsage(f"no data set {', '.join(unknown)} in the registry; `daozhen data list` shows them")
    chosen = [entries[name] for name in names] if names else list(entries.values())
    states = [state_of(entry, data_dir) for entry in chosen]
    for number, state in enumerate(states):
        if with_download and not state.is_ready:
            click.echo(f"daozhen: fetching {state.entry.name} from {state.entry.where}", err=True)
            download(state.entry, data_dir)
            states[number] = state_of(state.entry, data_dir)
    if as_json:
        shown = [
            {
                "name": state.entry.name,
                "ready": state.is_ready,
                "files": [str(path) for path in state.files],
                "problem": state.problem,
            }
            for state in states
        ]
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        rows = [
            (
                state.entry.name,
                "ready" if state.is_ready else "missing" if not state.files else "wrong",
                state.problem or ", ".join(path.name for path in state.files[:3]),
            )
            for state in states
        ]
        click.echo(table(("data set", "state", "what"), rows))
        click.echo(f"{sum(state.is_ready for state in states)} of {len(states)} ready")
    if names and not all(state.is_ready for state in states):
        raise SystemExit(1)


@click.command()
@as_json
def readers(as_json: bool) -> None:
    """The shapes of rows that can be read, each with an example."""
    from finetune.record_readers import FILE_READERS, READERS

    shapes = {name: reader.expected for name, reader in READERS.items()}
    shapes |= {name: (reader.read.__doc__ or "").strip().split("\n")[0] for name, reader in FILE_READERS.items()}
    click.echo(
        json.dumps(shapes, ensure_ascii=False, indent=2)
        if as_json
        else table(("reader", "a row"), list(shapes.items()))
    )
