"""Work on a Ray cluster of three simulated machines: the same result as in this process, also when one dies."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import pipeline, rebuild_work
from ingest.limits import ReadingLimits
from ingest.pipeline import RebuildOptions, rebuild_index
from ingest.plan import FoundFile
from ingest.rebuild_work import embedding_work, reading_work
from knowledge.departments import load_departments
from knowledge.errors import ClusterUnavailable, InvalidUsage, MissingExtra
from rag.engines import LocalEngine, Work, engine_named, in_order
from rag.evaluation_urgency import levels_given, read_vignettes
from rag.generations import current_generation
from rag.manifest import sha256_of
from rag.passage_index import PassageIndex
from rag.ray_engine import RayEngine, _share
from tests.fakes import HashEmbedder
from tests.ray_nodes import as_written, ray_nodes, write_guides
from ui.cli import main

FILES = 40


@pytest.fixture(scope="module")
def nodes():
    pytest.importorskip("ray", reason="Ray has no wheel for this Python or platform")
    with ray_nodes(3) as found:
        yield found


@pytest.fixture
def guides(tmp_path, monkeypatch):
    """Leaflets and unreadable files; no shipped knowledge, which is the same for every engine."""
    emergency = {"emergency": load_departments()["emergency"]}
    monkeypatch.setattr(pipeline, "knowledge_documents", lambda: iter(()))
    monkeypatch.setattr(pipeline, "load_departments", lambda: emergency)
    write_guides(tmp_path / "guides", FILES, random.Random(1))
    return tmp_path / "guides"


def rebuilt(index_dir, guides, engine, step=None):
    return rebuild_index(index_dir, HashEmbedder(), [guides], step, RebuildOptions(engine=engine))


def test_the_generation_is_the_local_ones_byte_for_byte_though_a_machine_is_killed(
    nodes, guides, tmp_path, monkeypatch
):
    monkeypatch.setattr(rebuild_work, "FILES_TOGETHER", 2)
    local = rebuilt(tmp_path / "local", guides, LocalEngine())
    read = []

    def killing(what, done, total):
        if what == "reading":
            read.append((done, total))
            if not nodes.killed:
                nodes.kill_one()

    with RayEngine(nodes.address) as engine:
        over_ray = rebuilt(tmp_path / "ray", guides, engine, killing)
    assert nodes.killed == 1 and read == [(done, FILES) for done in range(1, FILES + 1)]
    assert as_written(tmp_path / "local") == as_written(tmp_path / "ray")
    same = ("documents", "passages", "quarantined", "read", "embedded")
    assert [getattr(local, name) for name in same] == [getattr(over_ray, name) for name in same]

    (guides / "00001.md").write_text("# 新\n改过的一份。", encoding="utf-8")
    again = rebuilt(tmp_path / "ray", guides, LocalEngine())  # the plan and the cache know no engine
    assert (again.read, again.embedded) == (1, 1)


@pytest.mark.slow
def test_levels_are_those_given_in_this_process(nodes):
    vignettes = read_vignettes(Path(__file__).parent / "data" / "urgency_vignettes.jsonl")[:40]
    with RayEngine(nodes.address) as engine:
        assert levels_given(vignettes, engine=engine) == levels_given(vignettes)


def test_a_cluster_of_another_version_is_told_with_both_versions(nodes, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "__version__", "1.0")
    with pytest.raises(ClusterUnavailable, match=r"runs Ray \d.* this machine Ray 1.0 .*nothing was changed; install"):
        list(RayEngine(nodes.address).results(Work(here=iter, there=lambda: iter), [1, 2]))


def test_a_cluster_that_cannot_be_reached_leaves_the_index_serving(guides, tmp_path, monkeypatch, capsys):
    pytest.importorskip("ray", reason="Ray has no wheel for this Python or platform")
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    monkeypatch.setattr("rag.from_settings.load_embedder", lambda *_, **__: HashEmbedder())
    assert main(["index", "rebuild", "--source", str(guides)]) == 0
    before = current_generation(tmp_path / "index")
    write_guides(guides / "more", FILES, random.Random(2))
    capsys.readouterr()
    assert main(["index", "rebuild", "--engine", "ray", "--address", "127.0.0.1:1"]) == ClusterUnavailable.exit_code
    told = capsys.readouterr()
    assert "127.0.0.1:1: no Ray cluster answers" in told.err and "nothing was changed" in told.err
    assert not told.out and len(told.err.strip().splitlines()) == 1
    assert current_generation(tmp_path / "index") == before
    PassageIndex.open(tmp_path / "index")


@pytest.mark.parametrize(
    ("engine", "address", "said"),
    [
        ("local", "head:6379", "only --engine ray has one"),
        ("ray", "ray://head:10001", "HOST:PORT of the head node"),
        ("spark", "", "known: local, ray"),
    ],
)
def test_an_engine_that_cannot_be_meant_is_told(engine, address, said):
    with pytest.raises(InvalidUsage, match=said):
        engine_named(engine, address)


@pytest.mark.parametrize("address", ["head", "head:port", ":1"])
def test_an_address_without_host_or_port_is_told(address):
    pytest.importorskip("ray", reason="Ray has no wheel for this Python or platform")
    with pytest.raises(InvalidUsage, match="HOST:PORT"):
        list(RayEngine(address).results(Work(here=iter, there=lambda: iter), [1, 2]))


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request", b"-ERR unknown command"])
def test_another_server_at_the_address_is_told(greeting):
    pytest.importorskip("ray", reason="Ray has no wheel for this Python or platform")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            line, _ = server.accept()
            with line:
                line.recv(100)
                line.sendall(greeting)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ClusterUnavailable, match="what answers is no Ray"):
            list(RayEngine(f"127.0.0.1:{server.getsockname()[1]}").results(Work(here=iter, there=lambda: iter), [1, 2]))


def test_without_ray_the_extra_that_brings_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'daozhen\[ray\]'"):
        list(RayEngine().results(Work(here=iter, there=lambda: iter), [1, 2]))


def test_what_one_process_does_at_once_asks_no_cluster():
    work = Work(here=iter, there=lambda: iter, together=2)
    for items in ([], [1], [1, 2]):
        assert list(RayEngine("nowhere:1").results(work, items)) == list(enumerate(items))


def test_a_model_gets_a_gpu_of_its_own_where_there_are_any():
    cluster = {"CPU": 8.0, "GPU": 2.0}
    model, reading = Work(here=iter, there=lambda: iter, on_gpu=True), Work(here=iter, there=lambda: iter)
    assert _share(model, cluster, batches=99) == (2, {"num_gpus": 1})
    assert _share(model, {"CPU": 8.0}, batches=99) == (8, {"num_cpus": 1})
    assert _share(reading, cluster, batches=3) == (3, {"num_cpus": 1})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fever.txt"
    path.write_text("体温超过39℃要就医。", encoding="utf-8")
    found = path.stat()
    return FoundFile(path, tmp_path, "fever.txt", found.st_size, found.st_mtime_ns, sha256_of(path))


def test_another_machine_reads_a_file_as_this_one_does(file):
    work = reading_work(ReadingLimits())
    assert list(work.there()([file])) == list(work.here([file]))


def test_a_machine_without_the_file_or_with_another_stops_the_rebuild(file):
    work = reading_work(ReadingLimits())
    with pytest.raises(ClusterUnavailable, match="gone.txt: cannot be seen there .*same path"):
        list(work.there()([replace(file, path=file.path.with_name("gone.txt"))]))
    with pytest.raises(ClusterUnavailable, match="fever.txt: is another file there"):
        list(work.there()([replace(file, size=file.size + 1)]))
    file.path.write_text("体温超过38℃要就医。", encoding="utf-8")
    with pytest.raises(ClusterUnavailable, match="fever.txt: is another file there"):
        list(work.there()([file]))


def test_a_machine_with_another_daozhen_or_another_embedder_is_told(monkeypatch):
    limits = ReadingLimits()
    reading, embedding = reading_work(limits), embedding_work(HashEmbedder(), lambda: HashEmbedder("other"), limits)
    with pytest.raises(ClusterUnavailable, match="another embedder; give every machine"):
        embedding.there()
    monkeypatch.setattr(rebuild_work, "_reading_code", lambda: "older")
    for work in (reading, embedding):
        with pytest.raises(ClusterUnavailable, match="another version of daozhen; install the same"):
            work.there()


class BreaksOff(LocalEngine):
    """Gives results in the reverse order, and is gone after so many."""

    def __init__(self, after):
        self.after, self.asked = after, []

    def results(self, work, items):
        self.asked.append(len(items))
        for done, result in enumerate(reversed(list(enumerate(work.here(items))))):
            if done == self.after:
                raise ClusterUnavailable("gone")
            yield result


def test_a_rebuild_that_broke_off_goes_on_with_what_was_finished(guides, tmp_path):
    with pytest.raises(ClusterUnavailable):
        rebuilt(tmp_path / "ray", guides, BreaksOff(after=20))
    second = BreaksOff(after=None)
    report = rebuilt(tmp_path / "ray", guides, second)
    kept = 18  # of the twenty that came, two could not be read: they are looked at again
    assert second.asked == [FILES - kept, 1] and report.read == FILES
    rebuilt(tmp_path / "local", guides, LocalEngine())
    assert as_written(tmp_path / "ray") == as_written(tmp_path / "local")


@given(st.integers(0, 30).flatmap(lambda n: st.permutations(range(n))))
def test_results_in_any_order_come_out_in_order(places):
    assert list(in_order((place, f"result {place}") for place in places)) == [f"result {n}" for n in sorted(places)]


@pytest.mark.slow
def test_a_machine_that_does_not_see_a_file_is_named(nodes, file):
    unseen = replace(file, path=file.path.with_name("unseen.txt"))
    with RayEngine(nodes.address) as engine, pytest.raises(ClusterUnavailable, match="machine .*unseen.txt: cannot"):
        list(engine.results(reading_work(ReadingLimits()), [file] * 20 + [unseen]))


@pytest.mark.slow
def test_a_batch_that_kills_whoever_takes_it_ends_the_run(nodes):
    def fatal(items):
        import os

        os._exit(1)

    with RayEngine(nodes.address) as engine, pytest.raises(ClusterUnavailable, match="stopped 10 processes"):
        list(engine.results(Work(here=fatal, there=lambda: fatal), [1, 2]))


@pytest.mark.slow
def test_two_of_three_machines_killed_and_the_real_embedder():
    done = subprocess.run([sys.executable, "-m", "tests.ray_nodes", "200", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same bytes" in done.stdout


@pytest.mark.slow
def test_predictions_and_answers_are_those_of_this_process(tmp_path, tiny_base, built_home, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(built_home))
    prompts = [{"prompt": f"发烧{number}天怎么办"} for number in range(12)]
    asked = tmp_path / "asked.jsonl"
    asked.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in prompts), encoding="utf-8")
    cases = Path(__file__).parent / "data" / "answers.jsonl"
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(cases.read_text(encoding="utf-8").splitlines()[:24]), encoding="utf-8")
    told = {}
    for engine in ("local", "ray"):
        out = tmp_path / f"{engine}.jsonl"
        model = ["--model", str(tiny_base), "--max-new-tokens", "8", "--batch-size", "4"]
        assert main(["predict", str(asked), *model, "--out", str(out), "--engine", engine]) == 0
        assert json.loads(capsys.readouterr().out)["new"] == 12
        assert main(["eval", "answers", str(few), "--json", "--engine", engine]) == 0
        report = json.loads(capsys.readouterr().out)
        told[engine] = (out.read_text(encoding="utf-8"), report["counts"], report["intervals"])
    assert told["local"] == told["ray"]
