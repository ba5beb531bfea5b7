"""What `daozhen index` tells of its work: as text for people, as one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ingest.pipeline import RebuildReport
    from ingest.plan import RebuildPlan


def show_report(report: RebuildReport, as_json: bool) -> None:
    """What a rebuild did; what was left out goes to standard error."""
    if as_json:
        rows = [vars(row) for row in report.quarantined]
        click.echo(json.dumps({**vars(report), "quarantined": rows}, ensure_ascii=False, indent=2))
        return
    for line in report.warnings:
        click.echo(f"daozhen: warning: {line}", err=True)
    for row in report.quarantined:
        click.echo(f"daozhen: {'warning' if row.taken else 'left out'}: {row.line}", err=True)
    did = f"{report.read} files read, {report.moved} moved, {report.deleted} gone, {report.embedded} passages embedded"
    click.echo(
        f"{report.documents} documents, {report.passages} passages, {report.seconds:.1f} s: generation {report.generation}\n"
        + (did if report.changed else "nothing has changed; nothing was written")
    )


def show_plan(plan: RebuildPlan, as_json: bool) -> None:
    """What a rebuild would do."""
    shown = {
        "add": [file.source_id for file in plan.add],
        "move": [file.source_id for file, _ in plan.move],
        "delete": [source_id for _, source_id in plan.delete],
        "keep": len(plan.keep),
        "expected_seconds": plan.expected_seconds,
    }
    if as_json:
        show(shown, as_json)
        return
    for what in ("add", "move", "delete"):
        for source_id in shown[what]:  # type: ignore[attr-defined]
            click.echo(f"{what:7} {source_id}")
    click.echo(
        f"add {len(plan.add)}, move {len(plan.move)}, delete {len(plan.delete)}, keep {len(plan.keep)}; "
        f"about {plan.expected_seconds:.0f} s. Nothing was changed."
    )


def show(values: Mapping[str, Any], as_json: bool) -> None:
    """Names and values, one a line."""
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False, indent=2))
        return
    for key, value in values.items():
        shown = ", ".join(map(str, value)) or "none" if isinstance(value, list) else value
        click.echo(f"{key:17} {shown}")
