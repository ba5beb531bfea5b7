"""`daozhen knowledge`: check and export what the assistant knows."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import click

from knowledge.errors import InvalidKnowledge
from rag.config import load_settings, quiet_libraries


@click.group(no_args_is_help=True)
def knowledge() -> None:
    """Check and export departments, red flags and guides.

    \b
    daozhen knowledge check
    daozhen knowledge export --format csv > departments.csv
    """


@knowledge.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def check(as_json: bool) -> None:
    """Validate every record, the hospital's own included; print faults with file and line, and a coverage table.

    Exit code 1 when anything is wrong.
    """
    quiet_libraries()
    from knowledge.hospital import load_hospital
    from rag.from_settings import embedder_for
    from rag.knowledge_check import find_faults
    from rag.knowledge_coverage import coverage_rows, flag_rows, source_rows, unreached_departments

    settings = load_settings()
    records = _loaded()
    load_hospital(settings.hospital_path, tuple(records.departments))
    problems = [str(fault) for fault in find_faults(records)]
    problems += [
        f"{name}: none of its own complaints reaches it"
        for name in unreached_departments(records, embedder_for(settings))
    ]
    tables = [coverage_rows(records), flag_rows(records), source_rows(records)]
    if as_json:
        click.echo(json.dumps({"faults": problems, "coverage": tables}, ensure_ascii=False, indent=2))
    else:
        for table in tables:
            click.echo(_as_table(table) + "\n")
        for line in problems:
            click.echo(line, err=True)
    if problems:
        raise InvalidKnowledge(f"{len(problems)} faults in the knowledge; mend the lines named above")


@knowledge.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "csv"]),
    default="json",
    show_default=True,
    help="json: every record whole; csv: a line per phrase.",
)
def export(form: str) -> None:
    """Print all knowledge in a form other programs use."""
    records = _loaded()
    click.echo(_as_csv(records) if form == "csv" else _as_json(records), nl=form == "json")


def _loaded() -> Any:
    from knowledge.departments import load_departments
    from knowledge.guidelines import load_guides
    from knowledge.hospital import with_hospital_flags
    from knowledge.self_care import load_self_care
    from rag.knowledge_check import Knowledge

    flags, signs = with_hospital_flags(load_settings().hospital_path)
    return Knowledge(load_departments(), signs, flags, load_guides(), load_self_care())


def _as_json(records: Any) -> str:
    whole = {
        "departments": [record.model_dump(mode="json") for record in records.departments.values()],
        "red_flags": [_flag_row(flag) for flag in records.flags.values()],
        "guides": [guide.model_dump(mode="json") for guide in records.guides.values()],
        "self_care": [record.model_dump(mode="json") for record in records.self_care],
    }
    return json.dumps(whole, ensure_ascii=False, indent=2)


def _flag_row(flag: Any) -> dict[str, Any]:
    row: dict[str, Any] = flag.model_dump(mode="json", exclude={"when", "unless"})
    combinations = {key: [[term.written for term in line] for line in getattr(flag, key)] for key in ("when", "unless")}
    return {**row, "level": flag.level.label, **combinations}


def _as_csv(records: Any) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("record", "id", "level", "language", "role", "text"))
    for department in records.departments.values():
        for role in ("treats", "complaints"):
            for language in ("zh", "en"):
                for text in getattr(department, role).in_language(language):
                    writer.writerow(("department", department.id, "", language, role, text))
    for flag in records.flags.values():
        for role in ("triggers", "near_misses"):
            for language in ("zh", "en"):
                for text in getattr(flag, role).in_language(language):
                    writer.writerow(("red_flag", flag.id, flag.level.label, language, role, text))
    return out.getvalue()


def _as_table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
