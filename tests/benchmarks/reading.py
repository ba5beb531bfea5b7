"""Reading documents: what the garble score tells apart, memory over a long PDF, a large collection whole, damaged files.

python -m tests.benchmarks.reading --garble
python -m tests.benchmarks.reading --pdf-pages 200 1000 2000
python -m tests.benchmarks.reading --collection DISEASES.jsonl
python -m tests.benchmarks.reading --fuzz 5000
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ingest.documents import SourceDocument
from ingest.duplicates import keep_once
from ingest.garble import GARBLED, SUSPECT, garble_score
from ingest.limits import ReadingLimits
from ingest.reading import read_sources
from ingest.splitting import passages_of
from tests import garbled, paper

_PEAK = """
import json, resource, sys, time
from pathlib import Path
from ingest.documents import SourceFile
from ingest.limits import ReadingLimits
from ingest.pdf_reader import read_pdf
begun, chars, sections = time.perf_counter(), 0, 0
path = Path(sys.argv[1])
for part in read_pdf(SourceFile(path, path.name, ReadingLimits())):
    chars, sections = chars + len(getattr(part, "text", "")), sections + 1
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([round(time.perf_counter() - begun, 1), round(peak), chars, sections]))
"""


def garble() -> None:
    """How many examples of each kind score as garbled or suspect."""
    print("| as written or broken | n | garbled | suspect only |\n|---|---|---|---|")
    for name, examples in (("as written: ", garbled.as_written()), ("", garbled.broken())):
        found: Counter[tuple[str, str]] = Counter()
        for kind, text in examples:
            score = garble_score(text)
            found[kind, "n"] += 1
            found[kind, "garbled" if score >= GARBLED else "suspect" if score >= SUSPECT else "fine"] += 1
        for kind in sorted({kind for kind, _ in found}):
            print(f"| {name}{kind} | {found[kind, 'n']} | {found[kind, 'garbled']} | {found[kind, 'suspect']} |")


def pdf_memory(counts: list[int]) -> None:
    """Time and peak memory of the process that reads a PDF of so many pages and keeps nothing of it."""
    print("| pages | seconds | peak MiB | characters | sections |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            path = long_pdf(Path(folder) / f"{count}.pdf", count)
            run = subprocess.run([sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True)
            print(f"| {count:,} |", run.stdout.strip()[1:-1].replace(",", " |"), "|")


def long_pdf(path: Path, count: int) -> Path:
    """Pages of 30 full lines with a header and a page number."""
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pageCompression=1)
    for page in range(count):
        canvas.setFont(paper.FONT, 9)
        canvas.drawString(60, 810, "某某医院临床手册")
        canvas.drawCentredString(297, 30, str(page + 1))
        canvas.setFont(paper.FONT, 11)
        for line, text in enumerate(_lines(page)):
            canvas.drawString(60, 770 - 22 * line, text)
        canvas.showPage()
    canvas.save()
    return path


def _lines(page: int) -> Iterator[str]:
    text = paper.leaflet(f"第{page}页", 30)
    return (text[start : start + 42] for start in range(0, 42 * 30, 42))


def collection(path: Path) -> None:
    """A large file whole: read in a worker, split, duplicates kept once."""
    import resource

    begun = time.perf_counter()
    (document,) = read_sources([path], path.parent, ReadingLimits())
    read = time.perf_counter()
    if not isinstance(document, SourceDocument):
        raise SystemExit(document.line)
    passages = list(passages_of(document))
    split = time.perf_counter()
    kept = keep_once(passages)
    done = time.perf_counter()
    worker = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{path.stat().st_size:,} bytes, {sum(len(section.text) for section in document.sections):,} characters of text"
    )
    print(f"{len(document.sections):,} sections, {len(passages):,} passages, {len(kept):,} kept")
    print(
        f"reading {read - begun:.1f} s (CPU of the worker {worker.ru_utime + worker.ru_stime:.1f} s), splitting {split - read:.1f} s, keeping once {done - split:.1f} s"
    )
    print(
        f"peak: worker {worker.ru_maxrss / 1024:.0f} MiB, this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )
    for row in document.quarantined[:3]:
        print(row.line)


def fuzz(count: int) -> None:
    from tests.test_ingest_fuzz import fuzz as run

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        print(run(Path(folder), count, seed=2), f"{time.perf_counter() - begun:.0f} s")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--garble", action="store_true")
    options.add_argument("--pdf-pages", type=int, nargs="+", default=[])
    options.add_argument("--collection", type=Path)
    options.add_argument("--fuzz", type=int)
    chosen = options.parse_args()
    if chosen.garble:
        garble()
    if chosen.pdf_pages:
        pdf_memory(chosen.pdf_pages)
    if chosen.collection:
        collection(chosen.collection)
    if chosen.fuzz:
        fuzz(chosen.fuzz)


if __name__ == "__main__":
    main()
