"""`daozhen data`: training data listed, checked, converted, cleaned, mixed, split and looked at."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from knowledge.errors import InvalidUsage
from rag.config import quiet_libraries
from ui.data_making import ground, synthesise
from ui.progress import progress_bar
from ui.tables import table

if TYPE_CHECKING:
    from finetune.record_readers import LocatedRecord, ReadingRules

FILE = click.Path(path_type=Path)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
registry_option = click.option(
    "--registry",
    type=FILE,
    default=None,
    help="A dataset_info.json of CareGPT or LLaMA-Factory, or a datasets.toml, in place of ours.",
)
reader_option = click.option(
    "--reader", default="auto", show_default=True, help="The shape of the rows; `daozhen data readers` lists them."
)
skip_bad = click.option(
    "--skip-bad",
    "skip_bad_to",
    type=FILE,
    default=None,
    help="Leave rows of no known shape out, and list them in this file by file and line.",
)
out_option = click.option("--out", type=FILE, required=True, help="The file to write: .jsonl, or .jsonl.gz, .jsonl.xz.")


@click.group(no_args_is_help=True)
def data() -> None:
    """Data to train on: registries, conversion into one form, cleaning, mixing.

    \b
    daozhen data list
    daozhen data doctor --data ~/datasets
    daozhen data convert raw.json --out records.jsonl
    daozhen data clean records.jsonl --out clean.jsonl --against exam.jsonl --report removed.txt
    daozhen data mix finetune/configs/mix_sft.toml --data ~/datasets --out train.jsonl
    daozhen data preview train.jsonl
    """
    quiet_libraries()


@data.command("list")
@registry_option
@click.option("--stage", default=None, help="Only pretraining, supervised, reward or exam sets.")
@as_json
def list_datasets(registry: Path | None, stage: str | None, as_json: bool) -> None:
    """Every data set the registry knows: where it is to be had, licence, language, rows, shape."""
    from finetune.registry import NOT_STATED, load_registry

    entries = [entry for entry in load_registry(registry).values() if stage in (None, entry.stage)]
    if as_json:
        click.echo(
            json.dumps(
                [{**vars(entry), "where": entry.where} for entry in entries], ensure_ascii=False, indent=2, default=dict
            )
        )
        return
    rows = [
        (
            entry.name,
            entry.stage,
            " ".join(entry.languages),
            f"{entry.rows:,}" if entry.rows else "",
            entry.licence or NOT_STATED,
            entry.reader,
            entry.where,
        )
        for entry in entries
    ]
    click.echo(table(("name", "stage", "language", "rows", "licence", "reader", "where"), rows))


@data.command()
@click.argument("names", nargs=-1)
@click.option(
    "--data", "data_dir", type=FILE, default=Path("data"), show_default=True, help="The folder the data sets lie in."
)
@registry_option
@click.option(
    "--download",
    "with_download",
    is_flag=True,
    help="Fetch the named sets that are on the Hugging Face hub. Nothing is fetched without it.",
)
@as_json
def doctor(names: tuple[str, ...], data_dir: Path, registry: Path | None, with_download: bool, as_json: bool) -> None:
    """Say which data sets are in the folder, which are not, and where to get those. Leaves with 1 if a NAMED one is missing.

    \b
    daozhen data doctor --data ~/datasets
    daozhen data doctor huatuogpt_sft --data ~/datasets --download
    """
    if with_download and not names:
        raise InvalidUsage("--download needs the names of the data sets to fetch; `daozhen data list` shows them")
    if with_download:
        os.environ["HF_HUB_OFFLINE"] = "0"
    from finetune.registry import download, load_registry, state_of

    entries = load_registry(registry)
    unknown = [name for name in names if name not in entries]
    if unknown:
        raise InvalidUsage(f"no data set {', '.join(unknown)} in the registry; `daozhen data list` shows them")
    chosen = [entries[name] for name in names] if names else list(entries.values())
    states = [state_of(entry, data_dir) for entry in chosen]
    for number, state in enumerate(states):
        if with_download and not state.is_ready:
            click.echo(f"daozhen: fetching {state.entry.name} from {state.entry.where}", err=True)
            download(state.entry, data_dir)
            states[number] = state_of(state.entry, data_dir)
    if as_json:
        shown = [
            {
                "name": state.entry.name,
                "ready": state.is_ready,
                "files": [str(path) for path in state.files],
                "problem": state.problem,
            }
            for state in states
        ]
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        rows = [
            (
                state.entry.name,
                "ready" if state.is_ready else "missing" if not state.files else "wrong",
                state.problem or ", ".join(path.name for path in state.files[:3]),
            )
            for state in states
        ]
        click.echo(table(("data set", "state", "what"), rows))
        click.echo(f"{sum(state.is_ready for state in states)} of {len(states)} ready")
    if names and not all(state.is_ready for state in states):
        raise SystemExit(1)


@data.command()
@as_json
def readers(as_json: bool) -> None:
    """The shapes of rows that can be read, each with an example."""
    from finetune.record_readers import FILE_READERS, READERS

    shapes = {name: reader.expected for name, reader in READERS.items()}
    shapes |= {name: (reader.read.__doc__ or "").strip().split("\n")[0] for name, reader in FILE_READERS.items()}
    click.echo(
        json.dumps(shapes, ensure_ascii=False, indent=2)
        if as_json
        else table(("reader", "a row"), list(shapes.items()))
    )


@data.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
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
    from finetune.records import record_writer

    rules = _rules(reader, registry, dataset, source, licence)
    with _bad_rows(skip_bad_to) as bad, progress_bar("convert") as step, record_writer(out) as writer:
        for located in _records(files, rules, bad.handler, step):
            writer.write(located.record)
    shown = {"out": str(out), "records": writer.written, "skipped": bad.count}
    skipped = f", {bad.count:,} rows left out: {skip_bad_to}" if bad.count else ""
    click.echo(json.dumps(shown) if as_json else f"{writer.written:,} records in {out}{skipped}")


@data.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@reader_option
@skip_bad
@as_json
def stats(files: tuple[Path, ...], reader: str, skip_bad_to: Path | None, as_json: bool) -> None:
    """Count what files hold: kinds, turns, lengths, sources, licences, tags."""
    from finetune.record_readers import ReadingRules
    from finetune.record_statistics import statistics_of

    with _bad_rows(skip_bad_to) as bad, progress_bar("stats") as step:
        gathered = statistics_of(
            located.record for located in _records(files, ReadingRules(reader), bad.handler, step)
        ).as_dict()
    if bad.count:
        gathered["skipped"] = bad.count
    if as_json:
        click.echo(json.dumps(gathered, ensure_ascii=False, indent=2))
        return
    click.echo(table(("what", "figure"), [(name, _flat(value)) for name, value in gathered.items()]))


@data.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
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
    default=0.8,
    show_default=True,
    help="Share of equal shingles from which records are near duplicates; 0 looks for exact ones alone.",
)
@click.option("--min-chars", default=2, show_default=True, help="Shortest question and answer.")
@click.option("--max-chars", default=20_000, show_default=True, help="Longest question or answer.")
@click.option("--workers", default=0, help="Processes; by default one for each processor.")
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
    workers: int,
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

    if not 0 <= near <= 1:
        raise InvalidUsage(f"--near {near}: a share between 0 and 1")
    rules = CleaningRules(min_chars=min_chars, max_chars=max_chars, name=name, author=author, near_duplicates=near)
    with _bad_rows(skip_bad_to) as bad, progress_bar("clean") as step:
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


@data.command()
@click.argument("config", type=FILE)
@click.option(
    "--data",
    "data_dir",
    type=FILE,
    default=Path("data"),
    show_default=True,
    help="Folder the config's files are relative to.",
)
@out_option
@as_json
def mix(config: Path, data_dir: Path, out: Path, as_json: bool) -> None:
    """Mix the sources a config names by weight, temperature, caps and epochs, and show what went in.

    \b
    daozhen data mix finetune/configs/mix_sft.toml --data ~/datasets --out train.jsonl
    """
    from finetune.mixing import load_mix
    from finetune.mixing import mix as mix_sources

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
    click.echo(f"{total:,} records in {out}")


@data.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
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

    with _bad_rows(skip_bad_to) as bad, progress_bar("split") as step:
        counts = split_records(
            (located.record for located in _records(files, ReadingRules(reader), bad.handler, step)),
            out_dir,
            validation,
            test_share,
        )
    click.echo(
        json.dumps({"out": str(out_dir), **counts})
        if as_json
        else ", ".join(f"{part} {count:,}" for part, count in counts.items()) + f" in {out_dir}"
    )


@data.command()
@click.argument("config", type=FILE)
@click.option(
    "--data",
    "data_dir",
    type=FILE,
    default=Path("data"),
    show_default=True,
    help="Folder a config's files are relative to.",
)
@click.option("-n", "number", default=3, show_default=True, help="Records of each source.")
@click.option(
    "--tokenizer",
    "tokenizer_dir",
    type=FILE,
    default=None,
    help="A model's folder: its template and tokens; without it ChatML and characters.",
)
@click.option("--max-tokens", type=int, default=None, help="Cut longer records, as training would.")
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


data.add_command(ground)
data.add_command(synthesise)


def _marked(text: str, trained: bool) -> str:
    if not trained:
        return text
    return click.style(text, fg="green") if sys.stdout.isatty() else f"⟦{text}⟧"


def _rules(reader: str, registry: Path | None, dataset: str | None, source: str, licence: str) -> ReadingRules:
    from dataclasses import replace

    from finetune.record_readers import ReadingRules
    from finetune.registry import load_registry

    if dataset is None:
        return ReadingRules(reader, source=source, licence=licence)
    entries = load_registry(registry)
    if dataset not in entries:
        raise InvalidUsage(f"no data set {dataset} in the registry; `daozhen data list` shows them")
    rules = entries[dataset].rules
    return replace(
        rules,
        source=source or rules.source,
        licence=licence or rules.licence,
        reader=rules.reader if reader == "auto" else reader,
    )


def _records(
    files: Sequence[Path], rules: ReadingRules, bad_row: Callable[[str], None], step: Callable[[str, int, int], None]
) -> Iterator[LocatedRecord]:
    from finetune.record_readers import read_records

    read = 0
    for path in files:
        for located in read_records(path, rules, bad_row):
            read += 1
            if read % 1000 == 0:
                step(path.name, read, 0)
            yield located


class _BadRows:
    """Rows of no known shape: the first one stops the work, or all are listed in a file."""

    def __init__(self, out: Any) -> None:
        self._out, self.count = out, 0

    def handler(self, problem: str) -> None:
        from finetune.record_readers import raise_bad_row

        if self._out is None:
            raise_bad_row(problem)
        self.count += 1
        self._out.write(f"{problem}\n".encode())


@contextmanager
def _bad_rows(path: Path | None) -> Iterator[_BadRows]:
    from finetune.row_files import opened_to_write

    if path is None:
        yield _BadRows(None)
        return
    with opened_to_write(path) as out:
        yield _BadRows(out)


def _flat(value: Any) -> str:
    return ", ".join(f"{key} {count:,}" for key, count in value.items()) if isinstance(value, dict) else f"{value:,}"
