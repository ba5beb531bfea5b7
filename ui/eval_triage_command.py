"""`daozhen eval triage` and `daozhen eval urgency`: departments and levels given against the right ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from knowledge.errors import InvalidUsage
from rag.config import load_settings, quiet_libraries
from rag.figures import keep_figures
from ui.engine_options import engine_options
from ui.progress import progress_bar

NAMED_AT_MOST = 5


@click.command(no_args_is_help=True)
@click.argument("cases", type=click.Path(path_type=Path))
@click.option("--learn", type=click.Path(path_type=Path), help="Learn from these solved cases first; nothing is kept.")
@click.option("--folds", type=click.IntRange(2, 20), help="Learn from CASES themselves, by cross-validation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def triage(cases: Path, learn: Path | None, folds: int | None, as_json: bool) -> None:
    """Score the choice of departments on CASES, rows {"dialogue", "departments": [...]} with optional "candidates".

    Without --learn and --folds the general routing is scored. What is scored is the routing head, before the
    emergency override. Names are compared without endings that say only "department": 妇科专业 is 妇科.

    \b
    daozhen eval triage cases.jsonl --json
    daozhen eval triage cases.jsonl --learn solved.jsonl
    daozhen eval triage solved.jsonl --folds 5
    """
    quiet_libraries()
    if learn is not None and folds is not None:
        raise InvalidUsage("--learn and --folds exclude each other; give one of them")
    from knowledge.departments import load_departments
    from knowledge.hospital import load_hospital
    from rag import evaluation_triage as evaluation
    from rag import learned_routing
    from rag.solved_cases import read_cases
    from ui.triage_command import reader_for

    settings = load_settings()
    rows, _ = read_cases(cases)
    solved = read_cases(learn)[0] if learn is not None else []
    reader = reader_for(settings)
    unknown: list[str] = []
    with progress_bar("eval triage") as step:
        if folds is not None:
            answers = learned_routing.cross_validated(rows, reader, folds, step)
            outcomes = evaluation.learned_outcomes(rows, answers)
        elif solved:
            routing = learned_routing.fit(solved, reader)
            known = frozenset(routing.features.labels)
            answers = [(answer, known) for answer in routing.answers([row.dialogue for row in rows])]
            outcomes = evaluation.learned_outcomes(rows, answers)
        else:
            departments = load_departments()
            hospital = load_hospital(settings.hospital_path, tuple(departments))
            outcomes, unknown = evaluation.general_outcomes(rows, reader, departments, hospital)
    values = evaluation.spelled(evaluation.figures(outcomes), [*solved, *rows])
    keep_figures(settings.home, "triage", cases.name, values)
    if unknown:
        names = ", ".join(unknown[:NAMED_AT_MOST]) + (" …" if len(unknown) > NAMED_AT_MOST else "")
        click.echo(f"{len(unknown)} names mean no department of ours and cannot be given: {names}", err=True)
    click.echo(json.dumps(values, ensure_ascii=False, indent=2) if as_json else triage_table(values))


def triage_table(values: dict[str, Any]) -> str:
    """The figures as a person reads them."""
    lines = [f"{values['n']:,} cases; scored: {values['scored']}", ""]
    for name, (low, high) in values["intervals"].items():
        lines.append(f"{name:<12} {values[name]:.3f}  (95 %: {low:.3f}-{high:.3f})")
    if values["confusions"]:
        lines += ["", "most often confused: right department, first one given, cases"]
        lines += [f"{row['cases']:>5}  {row['right']}  →  {row['given']}" for row in values["confusions"]]
    return "\n".join(lines)


@click.command(no_args_is_help=True)
@click.argument("cases", type=click.Path(path_type=Path))
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def urgency(cases: Path, engine: str, address: str, as_json: bool) -> None:
    """Score the level given to CASES, rows {"text", "level": "emergency|urgent|routine|home"}.

    emergency is level I or II, urgent III, routine IV. Shares come with exact (Clopper-Pearson) 95 % bounds.

    \b
    daozhen eval urgency vignettes.jsonl
    daozhen eval urgency vignettes.jsonl --json
    """
    quiet_libraries()
    from rag.engines import engine_named
    from rag.evaluation_urgency import figures, levels_given, read_vignettes

    vignettes = read_vignettes(cases)
    with progress_bar("eval urgency") as step, engine_named(engine, address) as chosen:
        given = levels_given(vignettes, load_settings().hospital_path, step, chosen)
    values = figures(vignettes, given)
    keep_figures(load_settings().home, "urgency", cases.name, values)
    click.echo(json.dumps(values, ensure_ascii=False, indent=2) if as_json else _urgency_table(values))


def _urgency_table(values: dict[str, Any]) -> str:
    levels = list(values["table"])
    lines = [f"{values['n']:,} vignettes; rows: right level, columns: given", ""]
    lines.append(f"{'':<12}" + "".join(f"{level:>11}" for level in levels))
    lines += [
        f"{right:<12}" + "".join(f"{row[level]:>11}" for level in levels) for right, row in values["table"].items()
    ]
    lines.append("")
    for name in ("under_triaged", "over_triaged", "emergencies_below_urgent", "raised_to_emergency"):
        share = values[name]
        part = (
            "none" if share["share"] is None else f"{share['share']:.1%} (95 %: {share['low']:.1%}-{share['high']:.1%})"
        )
        lines.append(f"{name.replace('_', ' '):<26}{share['cases']}/{share['of']}  {part}")
    return "\n".join(lines)
