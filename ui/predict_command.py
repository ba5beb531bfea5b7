"""`daozhen predict`: a model's answers to a file of prompts."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rag.config import quiet_libraries
from ui.engine_options import engine_options
from ui.progress import progress_bar


@click.command(no_args_is_help=True)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="A model's folder.")
@click.option("--adapter", default="", help="An adapter folder that a training run wrote.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Where answers go; a stopped run goes on with it."
)
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True)
@click.option("--max-new-tokens", type=click.IntRange(1), default=256, show_default=True)
@click.option("--whole", is_flag=True, help="Load the model's weights whole, not in 4 bit.")
@engine_options
def predict(
    data: Path,
    model: str,
    adapter: str,
    out: Path,
    batch_size: int,
    max_new_tokens: int,
    whole: bool,
    engine: str,
    address: str,
) -> None:
    """Answer every prompt of DATA, JSON Lines of {"prompt"} or {"messages"} or {"question", "options", "answers"}.

    \b
    daozhen predict questions.jsonl --model ~/models/base --out base.jsonl
    daozhen predict questions.jsonl --model ~/models/base --adapter runs/sft/adapter --out tuned.jsonl
    daozhen predict questions.jsonl --model ~/models/base --out base.jsonl --engine ray --address head:6379
    """
    quiet_libraries()
    from finetune.chat_generation import ChatGenerator
    from finetune.predicting import predict as write_predictions
    from finetune.training import quiet_training_libraries
    from rag.engines import engine_named

    quiet_training_libraries()

    def generator() -> ChatGenerator:
        return ChatGenerator(model, adapter, four_bit=not whole, max_new_tokens=max_new_tokens)

    with progress_bar("predict") as step, engine_named(engine, address) as chosen:
        figures = write_predictions(generator, data, out, batch_size=batch_size, step=step, engine=chosen)
    click.echo(json.dumps(figures, ensure_ascii=False, indent=2))
