"""`daozhen data mix | preview`: sources into one training file, and how a model reads what is in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ui.data_options import COUNT, FILE, as_json, config_argument, data_option, out_option
from ui.progress import progress_bar
from ui.tables import table


@click.command()
@config_argument
@data_option
@out_option
@as_json
def mix(config: Path, data_dir: Path, out: Path, as_json: bool) -> None:
    """Mix the sources a config names by weight, temperature, caps and epochs, and show what went in.

    \b
    daozhen data mix finetune/configs/mix_sft.toml --data ~/datasets --out train.jsonl
    """
    from finetune.mixing import mix as mix_sources
    from finetune.mixture_config import load_mix

    mixture = load_mix(config)
    with progress_bar("mix") as step:
        parts = mix_sources(mixture, data_dir, out, progress=step)
    total = sum(part.taken for part in parts)
    if as_json:
        rows = [
            {
                "name": part.source.name,
                "available": part.available,
                "taken": part.taken,
                "share": round(part.share, 4),
                "epochs": round(part.epochs, 3),
                "licences": dict(part.licences),
                "skipped": part.skipped,
            }
            for part in parts
        ]
        click.echo(json.dumps({"out": str(out), "records": total, "sources": rows}, ensure_ascii=False, indent=2))
        return
    shown = [
        (
            part.source.name,
            "general" if part.source.general else "domain",
            ", ".join(licence or "not stated" for licence in part.licences),
            f"{part.available:,}",
            f"{part.taken:,}",
            f"{part.share:.1%}",
            f"{part.epochs:.2f}",
        )
        for part in parts
    ]
    click.echo(table(("source", "kind", "licence", "available", "taken", "share", "epochs"), shown))
    skipped = sum(part.skipped for part in parts)
    click.echo(f"{total:,} records in {out}" + (f"; {skipped:,} rows of no known shape left out" if skipped else ""))


@click.command()
@config_argument
@data_option
@click.option("-n", "number", type=COUNT, default=3, show_default=True, help="Records of each source.")
@click.option(
    "--tokenizer",
    "tokenizer_dir",
    type=FILE,
    default=None,
    help="A model's folder: its template and tokens; without it ChatML and characters.",
)
@click.option("--max-tokens", type=COUNT, default=None, help="Cut longer records, as training would.")
@as_json
def preview(
    config: Path, data_dir: Path, number: int, tokenizer_dir: Path | None, max_tokens: int | None, as_json: bool
) -> None:
    """Show records as a model reads them, with what it is trained on marked: ⟦like this⟧, or green in a terminal.

    CONFIG is a mixture's TOML, or a file of records or of any shape that can be read.

    \b
    daozhen data preview finetune/configs/mix_sft.toml --data ~/datasets
    daozhen data preview train.jsonl -n 1 --tokenizer ~/models/Qwen3-0.6B
    """
    from finetune.preview import load_tokenizer, previewed

    tokenizer = load_tokenizer(tokenizer_dir) if tokenizer_dir else None
    shown = previewed(config, data_dir, number, tokenizer, max_tokens)
    if as_json:
        rows = [
            {
                **{name: value for name, value in vars(one).items() if name != "pieces"},
                "pieces": [{"text": text, "trained": trained} for text, trained in one.pieces],
            }
            for one in shown
        ]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for one in shown:
        click.echo(click.style(f"── {one.place} · {one.kind} · {one.summary}", bold=True))
        click.echo("".join(_marked(text, trained) for text, trained in one.pieces).rstrip())
        click.echo()


def _marked(text: str, trained: bool) -> str:
    if not trained:
        return text
    return click.style(text, fg="green") if sys.stdout.isatty() else f"⟦{text}⟧"
