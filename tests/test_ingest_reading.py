"""Many files: each ends as a document or one row, in order, whatever the others do; no worker outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import psutil
import pytest

from ingest import reading
from ingest.documents import QuarantineRow, SourceDocument
from ingest.limits import ReadingLimits
from ingest.reading import read_sources
from ingest.splitting import passages_of
from tests import paper

ROOT = Path(__file__).resolve().parents[1]
HTML = "<html><body><h1>标题{0}</h1><p>第{0}页的正文。</p></body></html>"


def workers() -> list[psutil.Process]:
    return [
        child for child in psutil.Process().children(recursive=True) if "reading_worker" in " ".join(child.cmdline())
    ]


@pytest.fixture
def folder(tmp_path):
    for number in range(8):
        (tmp_path / f"{number}.html").write_text(HTML.format(number), encoding="utf-8")
    (tmp_path / "8.txt").write_text("纯文本。", encoding="utf-8")
    (tmp_path / "9.png").write_bytes(b"png")
    return tmp_path


def test_results_come_in_order_one_for_each_file_and_no_worker_stays(folder):
    paths = sorted(folder.iterdir())
    results = list(read_sources(paths, folder, ReadingLimits()))
    assert [result.source_id for result in results] == [path.name for path in paths]
    assert [result.sections[0].text for result in results[:8]] == [f"第{number}页的正文。" for number in range(8)]
    assert isinstance(results[9], QuarantineRow) and "no reader" in results[9].reason and "known:" in results[9].remedy
    assert not workers()


def test_a_worker_gives_the_same_document_as_reading_here(tmp_path):
    from ingest.readers import read_source

    for make in (paper.two_columns, paper.with_tables):
        path = make(tmp_path / f"{make.__name__}.pdf")
        assert list(read_sources([path], tmp_path, ReadingLimits())) == [read_source(path, tmp_path)]


def test_small_plain_files_start_no_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_Worker", None)  # would fail if called
    (tmp_path / "a.txt").write_text("胸痛。", encoding="utf-8")
    (result,) = read_sources([tmp_path / "a.txt"], tmp_path, ReadingLimits())
    assert isinstance(result, SourceDocument)


def slow_page(path: Path) -> Path:
    """A page whose text takes far longer to lay out than any real one."""
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path))
    for number in range(60_000):
        canvas.drawString(number % 500, number % 800 + 0.01 * number % 7, "x")
    canvas.save()
    return path


def test_a_file_that_takes_too_long_is_one_row_and_the_rest_is_read(folder):
    slow = slow_page(folder / "0slow.pdf")
    begun = time.monotonic()
    results = list(
        read_sources(
            [slow, folder / "1.html", folder / "2.html"], folder, ReadingLimits(seconds_per_file=0.6, seconds_per_mib=0)
        )
    )
    assert time.monotonic() - begun < 30
    assert (
        isinstance(results[0], QuarantineRow)
        and "took longer than 0.6 s" in results[0].reason
        and "seconds_per_file" in results[0].remedy
    )


@pytest.mark.skipif(sys.platform != "linux", reason="memory of a process is bounded on Linux")
def test_a_file_that_fills_the_memory_is_one_row(folder):
    (folder / "big.json").write_text("[" + "[1,2,3]," * 1_500_000 + "1]")
    results = list(
        read_sources(
            [folder / "big.json", folder / "1.html"], folder, ReadingLimits(max_memory_bytes=250 * 1024 * 1024)
        )
    )
    assert isinstance(results[0], QuarantineRow) and "memory" in results[0].line
    assert isinstance(results[1], SourceDocument)


def test_a_worker_that_is_killed_costs_its_file_only(folder):
    stream = read_sources(
        [slow_page(folder / "s.pdf"), *sorted(folder.glob("?.html"))], folder, ReadingLimits(), workers=1
    )
    import threading

    def kill_first() -> None:
        for _ in range(200):
            if found := workers():
                time.sleep(0.3)
                found[0].kill()
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill_first)
    killer.start()
    results = list(stream)
    killer.join()
    assert isinstance(results[0], QuarantineRow) and "stopped its reader" in results[0].reason
    assert all(isinstance(result, SourceDocument) for result in results[1:]) and len(results) == 9


def test_stopping_early_leaves_no_worker(folder):
    stream = read_sources(sorted(folder.glob("*.html")), folder, ReadingLimits())
    assert len(list(islice(stream, 2))) == 2
    stream.close()
    assert not workers()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_parent_leaves_no_worker(tmp_path):
    slow_page(tmp_path / "s.pdf")
    code = (
        "from pathlib import Path; from ingest.limits import ReadingLimits; from ingest.reading import read_sources;"
        f"root = Path({str(tmp_path)!r}); print(list(read_sources([root / 's.pdf'], root, ReadingLimits())))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL)
    children: list[psutil.Process] = []
    for _ in range(300):
        children = psutil.Process(parent.pid).children()
        if children:
            break
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert children
    gone, alive = psutil.wait_procs(children, timeout=15)
    assert gone and not alive


def test_passages_of_what_workers_read_have_exact_offsets(tmp_path):
    (document,) = read_sources([paper.with_headers(tmp_path / "m.pdf")], tmp_path, ReadingLimits())
    assert isinstance(document, SourceDocument)
    texts = {(section.page, section.heading): section.text for section in document.sections}
    for passage in passages_of(document):
        assert texts[passage.page, passage.section][passage.start : passage.start + len(passage.text)] == passage.text
