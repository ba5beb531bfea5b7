"""What the commands of `daozhen data` share: their options, and files read as records with wrong rows told or listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from knowledge.errors import InvalidUsage

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
files_argument = click.argument("files", nargs=-1, required=True, type=FILE)
skip_bad = click.option(
    "--skip-bad",
    "skip_bad_to",
    type=FILE,
    default=None,
    help="Leave rows of no known shape out, and list them in this file by file and line.",
)
out_option = click.option("--out", type=FILE, required=True, help="The file to write: .jsonl, or .jsonl.gz, .jsonl.xz.")
config_argument = click.argument("config", type=FILE)
data_option = click.option(
    "--data",
    "data_dir",
    type=FILE,
    default=Path("data"),
    show_default=True,
    help="The folder the data sets lie in, and a config's files are relative to.",
)
COUNT = click.IntRange(min=1)


def rules_of(reader: str, registry: Path | None, dataset: str | None, source: str, licence: str) -> ReadingRules:
    """How rows are read: by the options, or as the registry says of a named data set."""
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


def records_of(
    files: Sequence[Path], rules: ReadingRules, bad_row: Callable[[str], None], step: Callable[[str, int, int], None]
) -> Iterator[LocatedRecord]:
    """The records of several files in order, with a progress bar's steps."""
    from finetune.record_readers import read_records

    read = 0
    for path in files:
        for located in read_records(path, rules, bad_row):
            read += 1
            if read % 1000 == 0:
                step(path.name, read, 0)
            yield located


class BadRows:
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
def bad_rows(path: Path | None) -> Iterator[BadRows]:
    """Where rows that cannot be read go: into a file, or, without one, nowhere, as the first stops the run."""
    from finetune.whole_files import opened_to_write

    if path is None:
        yield BadRows(None)
        return
    with opened_to_write(path) as out:
        yield BadRows(out)
