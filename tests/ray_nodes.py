"""A Ray cluster of simulated machines on this one, a processor each, and indexes to compare.

python -m tests.ray_nodes 300 2    rebuilds from 300 files while two of three machines are killed, against the local engine
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.pipeline import RebuildOptions, RebuildReport, rebuild_index
from rag.generations import current_generation
from rag.manifest import MANIFEST, Manifest

STORE_BYTES = 100 << 20
SOON = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000, "health_check_failure_threshold": 3}
_OWN = {"generation": "", "rates": {}}  # what differs between two rebuilds from the same files


class Nodes:
    """The machines; the first one is the driver's and cannot be killed."""

    def __init__(self, cluster: Any, others: list[Any]) -> None:
        self._cluster, self._others = cluster, others
        self.address = cluster.address
        self.killed = 0

    def kill_one(self) -> None:
        self._cluster.remove_node(self._others.pop(), allow_graceful=False)
        self.killed += 1


@contextmanager
def ray_nodes(count: int = 3) -> Iterator[Nodes]:
    """So many machines; whatever happens, none is left."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # for machines of a test alone, whatever token this one has
    from rag.ray_engine import quiet_ray

    ray = quiet_ray()
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(place for place in sys.path if place)  # as if installed on each
    cluster = Cluster()
    try:
        options = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        cluster.add_node(**options, _system_config=SOON)
        yield Nodes(cluster, [cluster.add_node(**options) for _ in range(count - 1)])
    finally:
        ray.shutdown()
        cluster.shutdown()
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def as_written(index_dir: Path) -> dict[str, object]:
    """Every byte of the serving generation, but for its name and how fast it was made."""
    folder = current_generation(index_dir)
    held: dict[str, object] = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (MANIFEST, f"{MANIFEST}.sha256")
    }
    return held | {MANIFEST: replace(Manifest.read(folder), **_OWN)}


def write_guides(folder: Path, count: int, rng: random.Random) -> None:
    """Made-up leaflets of a few paragraphs, one in ten of which cannot be read."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [
        "发热",
        "咳嗽",
        "头痛",
        "胸闷",
        "腹痛",
        "皮疹",
        "眩晕",
        "失眠",
        "乏力",
        "恶心",
        "rest",
        "fluids",
        "fever",
        "cough",
        "clinic",
        "visit",
        "pain",
        "night",
    ]
    for number in range(count):
        if number % 10 == 9:
            (folder / f"{number:05}.pdf").write_bytes(b"nothing")
            continue
        paragraphs = [" ".join(rng.choices(words, k=60)) + f"。第{number}号第{part}段。" for part in range(6)]
        text = "\n\n".join(f"# 第{part}节\n{paragraph}" for part, paragraph in enumerate(paragraphs))
        (folder / f"{number:05}.md").write_text(text, encoding="utf-8")


def main(files: int, deaths: int) -> None:
    from rag.embedder import load_embedder
    from rag.ray_engine import RayEngine

    root = Path(tempfile.mkdtemp())
    write_guides(root / "guides", files, random.Random(files))

    def rebuilt(name: str, step: Any = None, **options: Any) -> RebuildReport:
        return rebuild_index(
            root / name,
            load_embedder(),
            [root / "guides"],
            step,
            RebuildOptions(**options, open_embedder=load_embedder),
        )

    local = rebuilt("local")
    print(f"local: {local.documents} documents, {local.passages} passages, {local.seconds:.1f} s")
    with ray_nodes() as nodes, RayEngine(nodes.address) as engine:
        begun = time.monotonic()
        seen: set[str] = set()

        def killing(what: str, done: int, total: int) -> None:
            if what in ("reading", "embedding")[:deaths] and what not in seen and 0 < done < total:
                seen.add(what)
                nodes.kill_one()
                print(f"a machine killed after {done} of {total} {what}, {time.monotonic() - begun:.1f} s")

        over = rebuilt("ray", killing, engine=engine)
        print(f"ray, {nodes.killed} of 3 machines killed: {over.seconds:.1f} s")
    same = as_written(root / "local") == as_written(root / "ray")
    print("the same bytes" if same else "NOT the same")
    if not same or nodes.killed != deaths:
        sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
