"""`daozhen export`: a trained model for a server, or dialogues for a provider's fine-tuning."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rag.config import quiet_libraries

FORMS = ("safetensors", "nf4", "gguf", "openai-messages")


@click.command(no_args_is_help=True)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMS), default="safetensors", show_default=True)
@click.option("--base", default="", help="Where the base is, if not where it was when the adapter was trained.")
@click.option("--converter", type=click.Path(path_type=Path), help="llama.cpp's convert_hf_to_gguf.py, for gguf.")
def export(source: Path, out: Path, form: str, base: str, converter: Path | None) -> None:
    """Write SOURCE, a run's folder or a file of dialogues, to OUT in another form; print what was written as JSON.

    An adapter is merged into the base it was trained on (dequantized, where it was trained in 4 bit), and the merged model
    is written only where it says what base and adapter say.

    \b
    daozhen export runs/sft models/tuned
    daozhen export runs/sft models/tuned-nf4 --format nf4
    daozhen export dialogues.jsonl upload.jsonl --format openai-messages
    """
    quiet_libraries()
    from finetune.exporting import export_model, export_openai_messages
    from finetune.training import quiet_training_libraries

    if form == "openai-messages":
        figures = export_openai_messages(source, out)
    else:
        quiet_training_libraries()
        figures = export_model(
            source, out, form, base=base, converter=converter, tell=lambda line: click.echo(line, err=True)
        )
    click.echo(json.dumps(figures, ensure_ascii=False, indent=2))
