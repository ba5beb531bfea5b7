"""`daozhen data convert | stats | clean | split`: files of records in, counted, mended and parted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from knowledge.errors import InvalidUsage
from ui.data_options import (
    COUNT,
    FILE,
    as_json,
    bad_rows,
    files_argument,
    out_option,
    reader_option,
    records_of,
    registry_option,
    rules_of,
    skip_bad,
)
from ui.progress import progress_bar
from ui.tables import table


@click.command()
@files_argument
@out_option
@reader_option
@registry_option
@click.option(
    "--dataset", default=None, help="Read the file as this entry of the registry says: reader, columns, licence."
)
@click.option("--source", default="", help="Written into records that name none.")
@click.option("--licence", default="", help="Written into records that name none.")
@skip_bad
@as_json
def convert(
    files: tuple[Path, ...],
    out: Path,
    reader: str,
    registry: Path | None,
    dataset: str | None,
    source: str,
    licence: str,
    skip_bad_to: Path | None,
    as_json: bool,
) -> None:
    """Read files of any known shape and write records, one JSON object a line.

    \b
    daozhen data convert huatuo.json --out huatuo.jsonl --source huatuo --licence Apache-2.0
    daozhen data convert multi-med.json --registry dataset_info.json --dataset mm --out mm.jsonl
    """
    from finetune.record_writer import record_writer

    rules = rules_of(reader, registry, dataset, source, licence)
    with bad_rows(skip_bad_to) as bad, progress_bar("convert") as step, record_writer(out) as writer:
        for located in records_of(files, rules, bad.handler, step):
            writer.write(located.record)
    shown = {"out": str(out), "records": writer.written, "skipped": bad.count}
    skipped = f", {bad.count:,} rows left out: {skip_bad_to}" if bad.count else ""
    click.echo(json.dumps(shown) if as_json else f"{writer.written:,} records in {out}{skipped}")


@click.command()
@files_argument
@reader_option
@skip_bad
@as_json
def stats(files: tuple[Path, ...], reader: str, skip_bad_to: Path | None, as_json: bool) -> None:
    """Count what files hold: kinds, turns, lengths, sources, licences, tags."""
    from finetune.record_readers import ReadingRules
    from finetune.record_statistics import statistics_of

    with bad_rows(skip_bad_to) as bad, progress_bar("stats") as step:
        gathered = statistics_of(
            located.record for located in records_of(files, ReadingRules(reader), bad.handler, step)
        ).as_dict()
    if bad.count:
        gathered["skipped"] = bad.count
    if as_json:
        click.echo(json.dumps(gathered, ensure_ascii=False, indent=2))
        return
    click.echo(table(("what", "figure"), [(name, _flat(value)) for name, value in gathered.items()]))


@click.command()
@files_argument
@out_option
@click.option(
    "--against",
    multiple=True,
    type=FILE,
    help="An evaluation set whose questions may not be trained on; may be repeated.",
)
@click.option(
    "--report", "report_to", type=FILE, default=None, help="List every removed row here as `file:line: reason`."
)
@click.option("--name", default="", help="Put in the place of <NAME> in persona rows; without it they are removed.")
@click.option("--author", default="", help="Put in the place of <AUTHOR>.")
@click.option(
    "--near",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="Share of equal shingles from which records are near duplicates; 0 looks for exact ones alone.",
)
@click.option("--min-chars", type=COUNT, default=2, show_default=True, help="Shortest question and answer.")
@click.option("--max-chars", type=COUNT, default=20_000, show_default=True, help="Longest question or answer.")
@click.option("--workers", type=COUNT, default=None, help="Processes; by default one for each processor.")
@reader_option
@skip_bad
@as_json
def clean(
    files: tuple[Path, ...],
    out: Path,
    against: tuple[Path, ...],
    report_to: Path | None,
    name: str,
    author: str,
    near: float,
    min_chars: int,
    max_chars: int,
    workers: int | None,
    reader: str,
    skip_bad_to: Path | None,
    as_json: bool,
) -> None:
    """Mend and remove records, and say how many for which reason.

    Removed: garbled, repeating and empty texts, answers that give a dose or tell to start, stop or change a medicine,
    unfilled persona rows, exact and near duplicates, what an evaluation set asks. Mended: encodings, HTML, set phrases;
    personal data is masked. Memory does not grow with the files.

    \b
    daozhen data clean records.jsonl --out clean.jsonl --report removed.txt
    """
    from finetune.cleaning import CleaningRules
    from finetune.cleaning_run import clean_files
    from finetune.record_readers import ReadingRules

    if max_chars < min_chars:
        raise InvalidUsage(f"--max-chars {max_chars} is below --min-chars {min_chars}")
    rules = CleaningRules(min_chars=min_chars, max_chars=max_chars, name=name, author=author, near_duplicates=near)
    with bad_rows(skip_bad_to) as bad, progress_bar("clean") as step:
        report = clean_files(
            files,
            out,
            rules,
            against,
            ReadingRules(reader),
            bad.handler,
            report_to,
            workers or os.cpu_count() or 1,
            step,
        )
    if as_json:
        click.echo(json.dumps({"out": str(out), **report.as_dict()}, ensure_ascii=False, indent=2))
        return
    rows = [("removed", reason, f"{count:,}") for reason, count in report.removed.most_common()]
    rows += [("changed", what, f"{count:,}") for what, count in report.changed.most_common()]
    click.echo(table(("rows", "why", "number"), rows) if rows else "nothing removed, nothing changed")
    click.echo(
        f"{report.kept:,} of {report.read:,} records kept in {out}, {report.unreadable:,} rows unreadable; {report.seconds:.1f} s, {report.rows_per_second:,.0f} a second"
    )


@click.command()
@files_argument
@click.option(
    "--out", "out_dir", type=FILE, required=True, help="The folder for train.jsonl, validation.jsonl and test.jsonl."
)
@click.option("--validation", default=0.05, show_default=True, help="Share of the questions.")
@click.option("--test", "test_share", default=0.05, show_default=True, help="Share of the questions.")
@reader_option
@skip_bad
@as_json
def split(
    files: tuple[Path, ...],
    out_dir: Path,
    validation: float,
    test_share: float,
    reader: str,
    skip_bad_to: Path | None,
    as_json: bool,
) -> None:
    """Part records into train, validation and test by a hash of the question: the same question is always in the same part."""
    from finetune.record_readers import ReadingRules
    from finetune.splitting import split_records

    with bad_rows(skip_bad_to) as bad, progress_bar("split") as step:
        counts = split_records(
            (located.record for located in records_of(files, ReadingRules(reader), bad.handler, step)),
            out_dir,
            validation,
            test_share,
        )
    click.echo(
        json.dumps({"out": str(out_dir), **counts})
        if as_json
        else ", ".join(f"{part} {count:,}" for part, count in counts.items()) + f" in {out_dir}"
    )


def _flat(value: Any) -> str:
    return ", ".join(f"{key} {count:,}" for key, count in value.items()) if isinstance(value, dict) else f"{value:,}"
