"""`daozhen eval model`: a base and what training made of it, side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from knowledge.errors import InvalidUsage
from rag.config import load_settings, quiet_libraries
from ui.engine_options import engine_options
from ui.progress import progress_bar

FILE = click.Path(path_type=Path)


@click.command(no_args_is_help=True)
@click.option("--model", required=True, help="The base: a model's folder.")
@click.option("--adapter", default="", help="The adapter that training made of it.")
@click.option("--tuned", default="", help="Or the tuned model's own folder.")
@click.option("--dialogues", type=FILE, help="Dialogues: perplexity, BLEU-4, ROUGE.")
@click.option("--exams", type=FILE, help="Questions with options, in any of the field's formats.")
@click.option("--departments", type=FILE, help="Questions with candidate departments.")
@click.option("--grounded", type=FILE, help='{"question", "passages"}: answers through the gates of serving.')
@click.option(
    "--judge", default="", help="A chat model that compares the dialogues' answers: a folder, or provider:name."
)
@click.option("--judge-url", default="", help="Where a served judge answers.")
@click.option("--limit", type=click.IntRange(0), default=0, help="Rows of each file at most.")
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True)
@click.option("--max-new-tokens", type=click.IntRange(1), default=256, show_default=True)
@click.option("--whole", is_flag=True, help="Load weights whole, not in 4 bit.")
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def model(
    model: str,
    adapter: str,
    tuned: str,
    dialogues: Path | None,
    exams: Path | None,
    departments: Path | None,
    grounded: Path | None,
    judge: str,
    judge_url: str,
    limit: int,
    batch_size: int,
    max_new_tokens: int,
    whole: bool,
    engine: str,
    address: str,
    as_json: bool,
) -> None:
    """Compare a tuned model with its base; every gain has its paired 95 % interval.

    \b
    daozhen eval model --model ~/models/base --adapter runs/sft/adapter --exams exams.jsonl --dialogues held-out.jsonl
    daozhen eval model --model ~/models/base --tuned models/tuned --grounded cases.jsonl --json
    """
    quiet_libraries()
    if bool(adapter) == bool(tuned):
        raise InvalidUsage("name what the base is compared with: --adapter, or --tuned")
    from finetune.chat_generation import ChatGenerator
    from finetune.model_evaluation import comparison, measure, read_evaluation_set
    from finetune.training import quiet_training_libraries
    from rag.engines import engine_named

    data = read_evaluation_set(dialogues, exams, departments, grounded, limit)
    quiet_training_libraries()
    measured = []
    with progress_bar("eval") as step, engine_named(engine, address) as chosen:
        for name, part in ((model, ""), (tuned or model, adapter)):
            generator = ChatGenerator(name, part, four_bit=not whole, max_new_tokens=max_new_tokens)
            measured.append(measure(generator, data, step, batch_size, chosen))
            del generator  # one model at a time
        report = comparison(*measured)
        if judge:
            report["judge"] = _judged(data, measured, judge, judge_url, step)
    click.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else _table(report))


def _judged(data: Any, measured: list[Any], judge: str, judge_url: str, step: Any) -> dict[str, Any]:
    from finetune.pairwise_judge import Contest, judged
    from rag.chat_models import load_chat_model

    settings = replace(load_settings(), model=judge, adapter="", model_url=judge_url)
    contests = [
        Contest(record.messages[-2].content, record.targets[-1], ours.text, theirs.text)
        for record, ours, theirs in zip(data.dialogues, *(one.answers["dialogues"] for one in measured), strict=True)
    ]
    return judged(contests, load_chat_model(settings), step)


def _table(report: dict[str, Any]) -> str:
    lines = [f"base: {report['base']}", f"tuned: {report['tuned']}", ""]
    lines.append(f"{'':<16}{'rows':>6}{'base':>10}{'tuned':>10}{'gain':>10}   95 % interval")
    for name, row in report["measures"].items():
        gain = f"×{row['ratio']:.3f}" if "ratio" in row else f"{row['gain']:+.3f}"
        low, high = row["interval"]
        lines.append(
            f"{name:<16}{row['rows']:>6}{row['base']:>10.3f}{row['tuned']:>10.3f}{gain:>10}   {low:.3f} to {high:.3f}"
        )
    for name, row in report.get("judge", {}).get("criteria", {}).items():
        low, high = row["interval"]
        lines.append(f"judge {name:<20}{row['rows']:>6}{row['tuned_won_less_lost']:>+22.3f}   {low:.3f} to {high:.3f}")
    return "\n".join(lines)
