"""`daozhen eval answers`: questions with and without an answer in the documents, through the whole assistant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from rag.config import load_settings, quiet_libraries
from rag.figures import keep_figures
from ui.engine_options import engine_options
from ui.progress import progress_bar

LINES = {
    "answered": "answered, of the answerable",
    "abstained": "abstained, of the unanswerable",
    "right_guide": "right guide cited, of the answered",
    "support": "sentences that stand in their quote",
}


@click.command(no_args_is_help=True)
@click.argument("cases", type=click.Path(path_type=Path))
@click.option("--model", help="Who writes: a model's folder or provider:name; the settings' writer without it.")
@click.option("--adapter", help="A LoRA folder for the model.")
@click.option("--errors", is_flag=True, help="List every question that went wrong.")
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def answers(
    cases: Path, model: str | None, adapter: str | None, errors: bool, engine: str, address: str, as_json: bool
) -> None:
    """Score answers to CASES, JSON Lines of {"question", "answerable", "guides"}.

    \b
    daozhen eval answers tests/data/answers.jsonl
    daozhen eval answers ours.jsonl --model ~/models/tuned --json
    """
    quiet_libraries()
    from rag.assistant import load_assistant
    from rag.engines import engine_named
    from rag.evaluation_answers import answer_report, evaluate_answers, read_cases
    from ui.ready import ensure_index

    read = read_cases(cases)
    settings = load_settings()
    settings = replace(
        settings, model=model if model is not None else settings.model, adapter=adapter or settings.adapter
    )
    ensure_index(settings)
    assistant = load_assistant(settings)
    with progress_bar("answers") as step, engine_named(engine, address) as chosen:
        outcomes = evaluate_answers(read, assistant, step, chosen)
    report = {"writer": assistant.writer.name, **answer_report(outcomes)}
    keep_figures(settings.home, "answers", cases.name, report)
    if errors and not as_json:
        for one in outcomes:
            if one.answered != one.case.answerable or (one.answered and not one.right_guide) or one.unsupported:
                told = "answered" if one.answered else "abstained"
                click.echo(f"{told:<10}{'' if one.right_guide else 'other guide ':<12}{one.case.question}")
    click.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else _table(report))


def _table(report: dict[str, Any]) -> str:
    parts = {"all": report, **report["by_language"]}
    lines = [f"{report['n']} questions; writer: {report['writer']}", ""]
    lines.append(f"{'':<38}" + "".join(f"{name:<26}" for name in parts))
    for key, label in LINES.items():
        lines.append(f"{label:<38}" + "".join(f"{_cell(figures, key):<26}" for figures in parts.values()))
    latency = report["latency_ms"]
    lines += ["", f"a reply: {latency['p50']} ms (p50), {latency['p95']} ms (p95)"]
    return "\n".join(line.rstrip() for line in lines)


def _cell(figures: dict[str, Any], key: str) -> str:
    if figures[key] is None:
        return "-"
    low, high = figures["intervals"][key]
    return f"{figures[key]:.3f} ({low:.3f}-{high:.3f})"
