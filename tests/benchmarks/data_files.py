"""Reads, counts and cleans every file of folders as the commands do, and prints one row a file.

python -m tests.benchmarks.data_files FOLDER... [--workers 2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from finetune.cleaning import CleaningRules
from finetune.cleaning_run import clean_files
from finetune.record_readers import read_records
from finetune.records import kind_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    print(
        "| file | records | rows of no known shape | kept | removed | changed | read, rows/s | cleaned, rows/s |\n|---|---|---|---|---|---|---|---|"
    )
    for path in sorted(
        path
        for folder in given.folders
        for path in folder.iterdir()
        if path.is_file() and path.name != "dataset_info.json"
    ):
        kinds: Counter[str] = Counter()
        bad: list[str] = []
        began = time.monotonic()
        for located in read_records(path, bad_row=bad.append):
            kinds[kind_of(located.record)] += 1
        read_in = time.monotonic() - began
        with tempfile.TemporaryDirectory() as folder:
            report = clean_files(
                [path], Path(folder) / "out.jsonl", CleaningRules(), bad_row=lambda _: None, workers=given.workers
            )
        cells = (
            f"{path.parent.name}/{path.name}",
            ", ".join(f"{count:,} {kind}" for kind, count in kinds.items()),
            f"{len(bad):,}",
            f"{report.kept:,}",
            ", ".join(f"{count:,} {reason}" for reason, count in report.removed.most_common()),
            ", ".join(f"{count:,} {what}" for what, count in report.changed.most_common()),
            f"{sum(kinds.values()) / read_in:,.0f}",
            f"{report.rows_per_second:,.0f}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
