"""python -m tests.benchmarks.ray_rebuild [files] [rounds]: one index by the local engine and by Ray, in turns.

Ray is started on this machine for each rebuild, as `daozhen index rebuild --engine ray` does it. Prints wall time and
processor time (of this process and all it started) of each, the medians, and whether the generations are the same.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ingest.pipeline import RebuildOptions, rebuild_index
from rag.embedder import load_embedder
from rag.engines import engine_named
from tests.ray_nodes import as_written, write_guides


@contextmanager
def processor_seconds() -> Iterator[list[float]]:
    """Of this process and its descendants, looked at five times a second, so that little of those that end is missed."""
    me, seen, done, found = psutil.Process(), {}, threading.Event(), [0.0]
    begun = sum(me.cpu_times()[:2])

    def look() -> None:
        while not done.wait(0.2):
            for child in me.children(recursive=True):
                try:
                    seen[child.pid, child.create_time()] = sum(child.cpu_times()[:2])
                except psutil.Error:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield found
    done.set()
    thread.join()
    found[0] = sum(me.cpu_times()[:2]) - begun + sum(seen.values())


def main(files: int = 300, rounds: int = 3) -> None:
    root = Path(tempfile.mkdtemp())
    write_guides(root / "guides", files, random.Random(files))
    wall: dict[str, list[float]] = {"local": [], "ray": []}
    work: dict[str, list[float]] = {"local": [], "ray": []}
    for number in range(rounds):
        for name in wall:
            begun = time.monotonic()
            with processor_seconds() as spent, engine_named(name) as engine:
                options = RebuildOptions(engine=engine, open_embedder=load_embedder)
                report = rebuild_index(root / f"{name}{number}", load_embedder(), [root / "guides"], options=options)
            wall[name].append(time.monotonic() - begun)
            work[name].append(spent[0])
            print(
                f"{name:6} {report.documents} documents, {report.passages} passages: {wall[name][-1]:.1f} s, processors {spent[0]:.1f} s"
            )
        print("the same bytes:", as_written(root / f"local{number}") == as_written(root / f"ray{number}"))
    for name in wall:
        print(
            f"{name:6} median {statistics.median(wall[name]):.1f} s, processors {statistics.median(work[name]):.1f} s"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
