"""Many source files read in order: each gives its document, or the one row that says why it was left out.

Files that need a parser are read in worker processes with a limit on time and memory, so that a file made to hang or
to fill the memory costs one row and a new worker. The workers answer in JSON lines: nothing a file could have put
there is executed.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePosixPath

from ingest.documents import QuarantineRow, SourceDocument, SourceFile, SourceSection, printable
from ingest.limits import ReadingLimits, load_limits
from ingest.readers import FORMATS, read_source
from knowledge.errors import UnreadableSource

WORKERS = 2
FILES_A_WORKER = 500  # then a new one takes over: parsers leak
_SMALL = 256 * 1024  # bytes of a plain file that is read here, without a worker
_PLAIN = {".md", ".txt", ".csv", ".tsv", ".json", ".jsonl"}
_GRACE_SECONDS = 2.0  # for a worker to stop itself before it is stopped
_START = "from ingest.reading_worker import main; main()"

Result = SourceDocument | QuarantineRow


def read_sources(
    paths: Iterable[Path], root: Path, limits: ReadingLimits | None = None, workers: int = WORKERS
) -> Iterator[Result]:
    """One result for each path, in the order of the paths: the document, or the row of a file that was left out.

    root: the folder the source_ids are relative to. limits: those of config.toml where none are given.
    A few files are read ahead. Close the iterator (or read it to its end) and no worker is left.
    """
    limits = limits or load_limits()
    staff = _Staff(root, limits, workers)
    ahead: deque[Callable[[], Result]] = deque()
    try:
        for path in paths:
            ahead.append(staff.given(path))
            if len(ahead) > 2 * workers:
                yield ahead.popleft()()
        while ahead:
            yield ahead.popleft()()
    finally:
        staff.dismiss()


def quarantine_row(source_id: str, fault: UnreadableSource) -> QuarantineRow:
    """The row of a file that cannot be read; its fault reads "<file>: <reason>; <remedy>"."""
    name = printable(PurePosixPath(source_id).name)
    reason, _, remedy = str(fault).removeprefix(f"{name}: ").rpartition("; ")
    return QuarantineRow(source_id, None, reason, remedy)


class _Staff:
    """The workers, started when first needed."""

    def __init__(self, root: Path, limits: ReadingLimits, workers: int) -> None:
        self.root, self.limits, self.workers = root, limits, workers
        self._threads: ThreadPoolExecutor | None = None
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._all: list[_Worker] = []
        self._dismissed = False

    def given(self, path: Path) -> Callable[[], Result]:
        """A file to be read; the call waits for its result."""
        if not _needs_worker(path):
            return partial(self._read_here, path)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="reading")
            for _ in range(self.workers):
                self._all.append(_Worker(self.limits))
                self._idle.put(self._all[-1])
        future: Future[Result] = self._threads.submit(self._read_there, path)
        return future.result

    def dismiss(self) -> None:
        self._dismissed = True
        for worker in self._all:
            worker.stop()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._all:
            worker.stop()  # one that was started in between

    def _read_here(self, path: Path) -> Result:
        try:
            return read_source(path, self.root, self.limits)
        except UnreadableSource as fault:
            return quarantine_row(path.relative_to(self.root).as_posix(), fault)

    def _read_there(self, path: Path) -> Result:
        worker = self._idle.get()
        try:
            if self._dismissed:
                raise UnreadableSource(f"{printable(path.name)}: reading was broken off; start again")
            return worker.read(path, self.root)
        except UnreadableSource as fault:
            return quarantine_row(path.relative_to(self.root).as_posix(), fault)
        finally:
            self._idle.put(worker)


def _needs_worker(path: Path) -> bool:
    """Whether reading a file can hang or fill the memory; what cannot be read at all needs none."""
    ending = path.suffix.lower()
    if ending not in FORMATS:
        return False
    return ending not in _PLAIN or _size(path) > _SMALL


def _size(path: Path) -> int:
    """Bytes; 0 for a file that is gone, which its reader will say."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Worker:
    """One process that reads files, replaced when it dies."""

    def __init__(self, limits: ReadingLimits) -> None:
        self.limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._files = 0
        self._late = False

    def read(self, path: Path, root: Path) -> SourceDocument:
        """Raises UnreadableSource where the file cannot be read, takes too long or kills its worker."""
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        self._late = False
        seconds = self.limits.seconds_for(_size(path))
        stopper = threading.Timer(seconds + _GRACE_SECONDS, self._stop_late, [process])
        stopper.daemon = True
        stopper.start()
        try:
            request = {"path": os.fspath(path), "root": os.fspath(root), "seconds": seconds}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            first = process.stdout.readline()
            stopper.cancel()
            return _document(first, process.stdout)
        except (OSError, ValueError, EOFError):  # it died; ValueError: in the middle of a line
            self.stop()
            raise self._cause(SourceFile(path, path.name, self.limits), process.wait()) from None
        finally:
            stopper.cancel()
            self._files += 1
            if self._files >= FILES_A_WORKER:
                self.stop()

    def stop(self) -> None:
        process, self._process, self._files = self._process, None, 0
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        continue  # it was gone before it had read everything

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            places = [os.path.abspath(place) for place in sys.path]
            self._process = subprocess.Popen(
                [sys.executable, "-X", "utf8", "-c", _START, json.dumps(asdict(self.limits))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
            )
        return self._process

    def _stop_late(self, process: subprocess.Popen[bytes]) -> None:
        self._late = True
        process.kill()

    def _cause(self, file: SourceFile, code: int) -> UnreadableSource:
        if self._late or code == -getattr(signal, "SIGALRM", 0):
            seconds = f"{self.limits.seconds_for(_size(file.path)):.3g}"
            return file.fault(f"took longer than {seconds} s to read", "split it, or raise reading.seconds_per_file")
        return file.fault(
            "stopped its reader (memory or a fault in the file)",
            "save it again, split it, or raise reading.max_memory_bytes",
        )


def _document(first: bytes, rest: Iterable[bytes]) -> SourceDocument:
    """The document in a worker's lines. Raises UnreadableSource for a fault, EOFError where the lines break off."""
    sections: list[SourceSection] = []
    rows: list[QuarantineRow] = []
    line = first
    lines = iter(rest)
    while line:
        answer = json.loads(line)
        if "fault" in answer:
            raise UnreadableSource(answer["fault"])
        if "section" in answer:
            value = answer["section"]
            sections.append(SourceSection(**{**value, "departments": tuple(value["departments"])}))
        elif "row" in answer:
            rows.append(QuarantineRow(**answer["row"]))
        else:
            return SourceDocument(
                **{**answer["document"], "departments": tuple(answer["document"]["departments"])},
                sections=tuple(sections),
                quarantined=tuple(rows),
            )
        line = next(lines, b"")
    raise EOFError
