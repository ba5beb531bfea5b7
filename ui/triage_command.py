"""`daozhen triage`: learn a hospital's own routing from its solved cases, look at it, forget it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag.config import Settings, load_settings, quiet_libraries
from ui.progress import progress_bar

if TYPE_CHECKING:
    from rag.case_features import Reader

NAMED_AT_MOST, FOLDS = 10, 5


@click.group(no_args_is_help=True)
def triage() -> None:
    """Learn a hospital's own routing from its solved cases.

    \b
    daozhen triage learn solved.jsonl
    daozhen triage status
    daozhen triage forget
    """


@triage.command(no_args_is_help=True)
@click.argument("cases", type=click.Path(path_type=Path))
@click.option("--skip-bad", is_flag=True, help="Leave bad rows out and name them, instead of stopping at the first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def learn(cases: Path, skip_bad: bool, as_json: bool) -> None:
    """Learn from CASES, rows {"dialogue", "departments": [...]}. What was learned before is replaced.

    Cases are kept masked (names, numbers, addresses) on this machine alone, and never shown to anybody. Learning
    changes the order of departments; it never lowers an urgency and never moves the emergency department.

    \b
    daozhen triage learn solved.jsonl
    daozhen triage learn export.jsonl --skip-bad --json
    """
    quiet_libraries()
    from knowledge.departments import load_departments
    from knowledge.hospital import load_hospital
    from rag import learned_routing, learned_store
    from rag.evaluation_triage import figures, learned_outcomes, spelled
    from rag.solved_cases import name_key, read_cases, usual_spellings
    from ui.eval_triage_command import triage_table

    settings = load_settings()
    solved, left_out = read_cases(cases, skip_bad)
    for line in left_out:
        click.echo(f"left out: {line}", err=True)
    departments = load_departments()
    names = usual_spellings(solved)
    ours = learned_routing.our_departments(
        list(names.values()), departments, load_hospital(settings.hospital_path, tuple(departments))
    )
    reader = reader_for(settings)
    with progress_bar("learn") as step:
        answers = learned_routing.cross_validated(solved, reader, FOLDS, step)
        values = spelled(figures(learned_outcomes(solved, answers)), solved)
        step("all cases", FOLDS, FOLDS)
        routing = learned_routing.fit(solved, reader, ours)
        told = {name: values[name] for name in values if name != "confusions"}
        learned_store.save(settings.home, routing, solved, told, datetime.now(UTC).isoformat(timespec="seconds"))
    unmapped = [name for name in names.values() if not ours[name_key(name)]]
    if as_json:
        report = {"cases": len(solved), "left_out": len(left_out), "departments": len(names), "unmapped": unmapped}
        click.echo(json.dumps({**report, "cross_validated": values}, ensure_ascii=False, indent=2))
        return
    click.echo(f"learned from {len(solved):,} cases of {len(names)} departments; {len(left_out)} rows left out")
    click.echo(f"each case answered by a routing that had not seen it ({FOLDS} folds):\n")
    click.echo(triage_table(values))
    _tell_effect(len(names), unmapped)


def _tell_effect(departments: int, unmapped: Sequence[str]) -> None:
    """What learning changes, and the hospital's departments it changes nothing for."""
    click.echo(
        f"\nFrom now on the order of {departments - len(unmapped)} departments is moved by these cases; "
        "urgency and the emergency department are not."
    )
    if unmapped:
        shown = ", ".join(unmapped[:NAMED_AT_MOST]) + (" …" if len(unmapped) > NAMED_AT_MOST else "")
        click.echo(
            f"Kept under the hospital's own name, without effect in the chat: {shown}. "
            "To give one effect, name it in departments.csv beside our id."
        )


@triage.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def status(as_json: bool) -> None:
    """Say what was learned, when, from how many cases, and whether it can serve."""
    quiet_libraries()
    from rag import learned_store

    settings = load_settings()
    found = learned_store.stored(settings.home)
    serves = found is not None and found.fingerprint == reader_for(settings).fingerprint
    if as_json:
        values = None if found is None else {**vars(found), "folder": str(found.folder), "serves": serves}
        click.echo(json.dumps(values or {"serves": False}, ensure_ascii=False, indent=2))
    elif found is None:
        click.echo("nothing was learned; the general routing serves")
    else:
        click.echo(f"learned {found.learned_at} from {found.cases:,} cases of {found.departments} departments")
        click.echo(
            "it serves" if serves else f"it does not serve: embedder or departments changed; {learned_store.REMEDY}"
        )


@triage.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def forget(as_json: bool) -> None:
    """Delete everything learned and every case kept; say what was deleted."""
    from rag import learned_store

    home = load_settings().home
    deleted = [str(path) for path in learned_store.forget(home)]
    if as_json:
        click.echo(json.dumps({"deleted": deleted}, ensure_ascii=False, indent=2))
    elif deleted:
        click.echo("\n".join(["deleted:", *deleted, "the general routing serves"]))
    else:
        click.echo("nothing was learned; nothing was deleted")


def reader_for(settings: Settings) -> Reader:
    """The general routing over the shipped departments, and the embedder the settings name."""
    from knowledge.departments import load_departments
    from rag.case_features import Reader
    from rag.from_settings import embedder_for
    from rag.routing import RoutingIndex

    embedder = embedder_for(settings)
    return Reader(RoutingIndex.build(load_departments(), embedder), embedder)
