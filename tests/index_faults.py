"""Rebuilds that are killed, and readers that go on asking through rebuilds; run in processes of their own.

python -m tests.index_faults kills 100
python -m tests.index_faults readers 8 20
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ingest import pipeline
from ingest.pipeline import rebuild_index
from knowledge.departments import load_departments
from rag.generations import faults_of_all
from rag.passage_index import PassageIndex
from rag.retriever import HybridSearch
from rag.serving_index import ServingIndex
from tests.fakes import HashEmbedder

FILES = 20


def write_version(folder: Path, version: int) -> None:
    """Every file says which version it is of, in each of its paragraphs."""
    for number in range(FILES):
        lines = [f"第{version}版：第{number}号文件第{line}段，发热超过{line}天要就医。" for line in range(12)]
        (folder / f"{number}.md").write_text("\n\n".join(f"# 第{place}节\n{line}" for place, line in enumerate(lines)))


def rebuild(index_dir: Path, folder: Path) -> None:
    pipeline.knowledge_documents = lambda: iter(())  # type: ignore[assignment]  # the files are what matters here
    pipeline.load_departments = lambda: {"emergency": load_departments()["emergency"]}  # type: ignore[assignment]
    rebuild_index(index_dir, HashEmbedder(), [folder])


def versions_in(index: PassageIndex) -> set[str]:
    return {passage.text.split("版")[0] for passage in index.passages}


def kills(times: int) -> None:
    """Kills a rebuild at random moments; after each the index opens, is whole, and is of one version."""
    root = Path(tempfile.mkdtemp())
    folder, index_dir = root / "sources", root / "index"
    folder.mkdir()
    write_version(folder, -1)
    rebuild(index_dir, folder)
    write_version(folder, 0)
    begun = time.monotonic()
    rebuild(index_dir, folder)
    rng, usual, killed, switched = random.Random(times), time.monotonic() - begun, 0, 0
    for version in range(1, times + 1):
        before = versions_in(PassageIndex.open(index_dir))
        write_version(folder, version)
        child = os.fork()
        if not child:
            rebuild(index_dir, folder)
            os._exit(0)
        time.sleep(rng.uniform(0, 2 * usual))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        index = PassageIndex.open(index_dir)
        found = versions_in(index)
        assert len(found) == 1 and found <= before | {f"第{version}"}, (before, found)
        assert not any(faults_of_all(index_dir).values())
        assert len(HybridSearch(index, HashEmbedder()).search("发热要就医", 5)) == 5
        switched += found != before
        usual *= 0.9 if found != before else 1.1  # other work lengthens a rebuild: half of the moments stay late ones
    rebuild(index_dir, folder)
    assert versions_in(PassageIndex.open(index_dir)) == {f"第{times}"}
    assert not [path for path in (index_dir / "generations").iterdir() if path.name.startswith(".")]
    print(f"{times} rebuilds, {killed} killed, {switched} had taken over; all whole, none mixed")


def read(index_dir: Path, done: Path) -> None:
    """Asks until the last version was found; nothing older than what was done before a question may be found."""
    embedder = HashEmbedder()
    search = HybridSearch(ServingIndex(index_dir), embedder)
    asked = 0
    while True:
        least, last = map(int, done.read_text().split())
        found = search.search("发热超过三天要就医", 20)
        versions = {int(hit.passage.text.split("版")[0][1:]) for hit in found}
        assert len(versions) == 1 and versions.pop() >= least, (least, found)
        asked += 1
        if least == last:
            print(asked)
            return


def readers(count: int, rebuilds: int) -> None:
    """Readers in other processes ask through rebuilds: no error, no mixture, nothing stale."""
    root = Path(tempfile.mkdtemp())
    folder, index_dir, done = root / "sources", root / "index", root / "done"
    folder.mkdir()
    write_version(folder, 0)
    rebuild(index_dir, folder)
    done.write_text(f"0 {rebuilds}")
    command = [sys.executable, "-m", "tests.index_faults", "read", str(index_dir), str(done)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for version in range(1, rebuilds + 1):
        write_version(folder, version)
        rebuild(index_dir, folder)
        fresh = done.with_suffix(".new")
        fresh.write_text(f"{version} {rebuilds}")
        os.replace(fresh, done)
    asked = [int(process.communicate(timeout=120)[0] or -1) for process in processes]
    assert all(process.returncode == 0 for process in processes), [process.returncode for process in processes]
    print(f"{count} readers asked {sum(asked)} questions through {rebuilds} rebuilds: no error, none stale, none mixed")


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "read":
        read(Path(arguments[0]), Path(arguments[1]))
    else:
        {"kills": kills, "readers": readers}[what](*map(int, arguments))
