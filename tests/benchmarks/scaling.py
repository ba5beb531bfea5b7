"""How the index's cost grows with the passages: build, update, open, queries, memory, disk, and recall beside them.

python -m tests.benchmarks.index --texts DIR --work REAL          (its texts and vectors are what is grown from)
python -m tests.benchmarks.scaling --real REAL --work FOLDER [--sizes 10000 100000 1000000] [--chart PNG]

A size is made of the real passages first. Beyond them a text is put together from clauses of real passages, in runs of
three, so that words are as frequent as they are there (no new words come, as they would in more real text), and a
vector is a real one with noise, as near to it as real passages are to their nearest. Embedding is left out: it costs
the same for every passage. Each size is measured in processes of its own and kept in FOLDER, so a run that was stopped
goes on, and sizes may be added. `_cpu` is the processor's time, which other work on the machine hardly lengthens.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np

from tests.benchmarks.index import PASSAGES, VECTORS, K, recall, seconds, texts_of, timed_queries, with_noise

PASSAGES_PER_DOCUMENT = 20
CHANGED_PASSAGES = 1000  # in the update, whatever the size
CLAUSES_PER_RUN = 3
ROWS_AT_ONCE = 8192
_CLAUSE = re.compile(r"[^。！？；，.!?;,]+[。！？；，.!?;,]*")
SLOPES = {  # what is drawn and whose growth is told: figure -> what it is
    "build_cpu_s": "build, s of one core",
    "build_peak_mb": "build, peak MB with pages of files",
    "build_own_peak_mb": "build, peak MB of its own",
    "update_cpu_s": f"update of {CHANGED_PASSAGES:,} passages, s of one core",
    "open_cpu_s": "open, s of one core",
    "hybrid_p50_cpu_ms": "hybrid query p50, ms of one core",
    "dense_p50_cpu_ms": "dense query p50, ms of one core",
    "words_p50_cpu_ms": "words query p50, ms of one core",
    "private_mb": "memory of a reader's own, MB",
    "disk_mb": "disk, MB",
}


class Grown:
    """As many passages as are wanted, alike in their statistics to the real ones they begin with."""

    def __init__(self, real: Path) -> None:
        self.texts: list[str] = json.loads((real / PASSAGES).read_text())
        vectors = np.load(real / VECTORS, mmap_mode="r")
        places = {text: place for place, text in enumerate(texts_of(real))}
        self.vectors = vectors[[places[text] for text in self.texts]]

    def passages(self, size: int) -> Iterator[str]:
        """The first `size` texts."""
        yield from self.texts[:size]
        rng = random.Random(3)
        clauses = [clause for text in self.texts for clause in _CLAUSE.findall(text)]
        for _ in range(size - len(self.texts)):
            wanted = len(rng.choice(self.texts))
            text = ""
            while len(text) < wanted:
                start = rng.randrange(len(clauses) - CLAUSES_PER_RUN)
                text += "".join(clauses[start : start + CLAUSES_PER_RUN])
            yield text

    def rows(self, size: int) -> Iterator[np.ndarray]:
        """Their vectors, some thousands at a time."""
        real = self.vectors[:size]
        for start in range(0, len(real), ROWS_AT_ONCE):
            yield real[start : start + ROWS_AT_ONCE]
        rng = np.random.default_rng(4)
        for start in range(len(real), size, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, size - start)
            yield with_noise(self.vectors[rng.integers(len(self.vectors), size=count)], rng)


def build(real: Path, work: Path, size: int) -> dict[str, float]:
    """One generation of `size` passages, as a first rebuild writes it."""
    from rag.generation_writer import Change, write_generation

    grown, folder = Grown(real), work / f"index-{size}"
    arriving = _documents(grown.passages(size), size)
    change = Change(None, (), arriving, lambda texts: grown.rows(size), list, lambda passage: ())
    own = _Highest("RssAnon")
    with own:
        taken, _ = seconds("build", lambda: write_generation(folder, _manifest(), change))
    generation = next((folder / "generations").iterdir())
    disk = sum(path.stat().st_size for path in generation.rglob("*") if path.is_file()) / 1e6
    return {**taken, "build_peak_mb": _memory("VmHWM"), "build_own_peak_mb": own.megabytes, "disk_mb": disk}


def update(real: Path, work: Path, size: int) -> dict[str, float]:
    """A thousand passages take the place of as many others."""
    from rag.generation_writer import Change, write_generation
    from rag.passage_index import PassageIndex

    folder, count = work / f"index-{size}", CHANGED_PASSAGES // PASSAGES_PER_DOCUMENT
    base = PassageIndex.open(folder)
    grown = Grown(real)
    texts = (f"{text[1:]}{number}" for number, text in enumerate(grown.texts[:CHANGED_PASSAGES]))
    arriving = _documents(texts, CHANGED_PASSAGES, "new")
    vectors = with_noise(grown.vectors[:CHANGED_PASSAGES], np.random.default_rng(6))
    gone = np.random.default_rng(7).choice(size // PASSAGES_PER_DOCUMENT, count, replace=False).tolist()
    change = Change(base, gone, arriving, lambda texts: [vectors], list, lambda passage: ())
    own = _Highest("RssAnon")
    with own:
        taken, _ = seconds("update", lambda: write_generation(folder, _manifest(), change, keep=1))
    return {**taken, "update_peak_mb": _memory("VmHWM"), "update_own_peak_mb": own.megabytes}


def read(real: Path, work: Path, size: int) -> dict[str, Any]:
    """Opening, and questions cut out of real passages, asked of one reader, and then all of them a second time."""
    from rag.embedder import load_embedder
    from rag.passage_index import PassageIndex
    from rag.retriever import HybridSearch

    queries: list[str] = json.loads((real / "queries.json").read_text())[:100]
    embedder = load_embedder()
    vectors = dict(zip(queries, embedder.encode_queries(queries), strict=True))
    before = _memory("RssAnon")
    opening, index = seconds("open", lambda: PassageIndex.open(work / f"index-{size}"))
    search = HybridSearch(index, embedder)
    timed: dict[str, Callable[[str], Any]] = {
        "dense": lambda query: index.nearest(vectors[query], K),
        "words": lambda query: index.lexical.scores(query),
        "hybrid": lambda query: search.search(query, K),
    }
    times = {
        f"{kind}_{turn}{name}": value
        for turn in ("first_", "")  # a file's pages come into a process's sight when it first looks at them
        for kind, ask in timed.items()
        for name, value in timed_queries(ask, queries).items()
    }
    exact = index.vectors.flat.search(np.array(list(vectors.values())), K)[1].tolist()
    found = [[row for row, _ in index.nearest(vector, K)] for vector in vectors.values()]
    return {
        **opening,
        **times,
        "recall_at_10": recall(found, exact),
        "private_mb": _memory("RssAnon") - before,
        "shared_mb": _memory("RssFile"),
        "search": index.manifest.search,
    }


STEPS = {"build": build, "read": read, "update": update}


def _documents(texts: Iterator[str], size: int, name: str = "s") -> Iterator[tuple[Any, list[Any]]]:
    from rag.passage_store import StoredDocument
    from rag.passages import Passage

    for start in range(0, size, PASSAGES_PER_DOCUMENT):
        source_id = f"{name}{start}"
        passages = [
            Passage(f"{source_id}:{place}", source_id, "", "", None, 0, text, "zh", "document")
            for place, (_, text) in enumerate(zip(range(min(PASSAGES_PER_DOCUMENT, size - start)), texts, strict=False))
        ]
        sections = tuple({"text": passage.text, "heading": "", "page": None} for passage in passages)
        yield StoredDocument(source_id, "generated", "", {"quarantined": []}, sections), passages


def _manifest() -> Any:
    from rag.generations import new_generation_name
    from rag.manifest import FORMAT_VERSION, Manifest

    return Manifest(FORMAT_VERSION, new_generation_name(), "grown", "grown", 384, "", "", "", ())


class _Highest:
    """The most of a kind of this process's memory that was seen while it ran, looked at ten times a second."""

    def __init__(self, name: str) -> None:
        self.megabytes, self._name, self._over = 0.0, name, threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._looking.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.megabytes = max(self.megabytes, _memory(self._name))


def _memory(name: str) -> float:
    """Megabytes, of this process."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    return int(found[1]) / 1024 if found else math.nan


def _disk_for_update(work: Path, size: int) -> float:
    """Bytes: a second generation, and as much again left for others."""
    return 2e6 * float(json.loads((work / f"{size}-build.json").read_text())["disk_mb"])


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """By which power of the passages a figure grows: the line through the points, both scales logarithmic."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def draw(path: Path, found: dict[int, dict[str, Any]]) -> None:
    import matplotlib.pyplot as plt

    sizes = sorted(found)
    panels = {
        "seconds of one core": ("build_cpu_s", "update_cpu_s", "open_cpu_s"),
        "query p50, ms of one core": ("hybrid_p50_cpu_ms", "dense_p50_cpu_ms", "words_p50_cpu_ms"),
        "MB": ("disk_mb", "build_own_peak_mb", "private_mb"),
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6))
    for panel, (title, names) in zip(axes, panels.items(), strict=True):
        for name in names:
            measured = {size: found[size][name] for size in sizes if name in found[size]}
            values = list(measured.values())
            label = f"{SLOPES[name].split(', ')[0]} (n^{slope(list(measured), values):.2f})"
            panel.loglog(list(measured), values, marker="o", label=label)
        panel.set(title=title, xlabel="passages")
        panel.legend(fontsize=7)
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, help="The --work folder of tests.benchmarks.index.")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    if asked.step:
        print(json.dumps(STEPS[asked.step](asked.real, asked.work, asked.sizes[0])))
        return
    for size in asked.sizes:
        for step in STEPS:
            kept = asked.work / f"{size}-{step}.json"
            if kept.is_file():
                continue
            if step == "update" and shutil.disk_usage(asked.work).free < _disk_for_update(asked.work, size):
                print(f"{size} {step}: left out, there is no room for a second generation", file=sys.stderr, flush=True)
                continue
            command = [sys.executable, "-m", "tests.benchmarks.scaling", "--real", str(asked.real)]
            command += ["--work", str(asked.work), "--sizes", str(size), "--step", step]
            out = subprocess.run(command, capture_output=True, text=True)
            if out.returncode:
                raise SystemExit(f"{size} {step}: {out.stderr[-2000:]}")
            kept.write_text(out.stdout.splitlines()[-1])
            print(f"{size} {step}: {kept.read_text()}", file=sys.stderr, flush=True)
    sizes = sorted({int(path.name.split("-")[0]) for path in asked.work.glob("*-read.json")})
    found = {
        size: {
            name: value
            for step in STEPS
            if (kept := asked.work / f"{size}-{step}.json").is_file()
            for name, value in json.loads(kept.read_text()).items()
        }
        for size in sizes
    }
    print(f"{'what':44} {' '.join(f'{size:>12,}' for size in sizes)}  grows with")
    for name in dict.fromkeys(name for row in found.values() for name in row):
        measured = {size: found[size][name] for size in sizes if name in found[size]}
        values = list(measured.values())
        if isinstance(values[0], str):
            print(f"{name:44} {' | '.join(values)}")
            continue
        power = f"n^{slope(list(measured), values):.2f}" if name in SLOPES and len(values) > 1 else ""
        cells = (f"{measured[size]:12,.3f}" if size in measured else " " * 12 for size in sizes)
        print(f"{SLOPES.get(name, name):44} {' '.join(cells)}  {power}")
    if asked.chart:
        draw(asked.chart, found)


if __name__ == "__main__":
    main()
