"""`daozhen models`: the catalogue of bases and open medical models."""

from __future__ import annotations

import json

import click

from ui.tables import table


@click.group(no_args_is_help=True)
def models() -> None:
    """Models that can be tuned, and the field's medical ones.

    \b
    daozhen models list
    daozhen models list --kind base --json
    """


@models.command("list")
@click.option(
    "--kind", type=click.Choice(["base", "medical"]), default=None, help="base: to tune. medical: tuned by others."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def list_models(kind: str | None, as_json: bool) -> None:
    """Size, licence, chat template, data and stages of each model of the catalogue."""
    from finetune.dataset_entry import NOT_STATED
    from finetune.model_catalogue import load_models

    entries = [entry for entry in load_models() if kind in (None, entry.kind)]
    if as_json:
        click.echo(json.dumps([vars(entry) for entry in entries], ensure_ascii=False, indent=2))
        return
    rows = [
        (
            entry.name,
            entry.kind,
            entry.parameters,
            entry.licence or NOT_STATED,
            entry.base,
            entry.chat_template,
            " ".join(entry.stages),
            entry.data,
            entry.hub or entry.url,
        )
        for entry in entries
    ]
    click.echo(table(("name", "kind", "size", "licence", "base", "template", "stages", "data", "where"), rows))
