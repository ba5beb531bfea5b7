"""One writer at a time; a second is told who holds the index. The lock of a process that died is free again."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from knowledge.errors import IndexBusy

LOCK, HOLDER = "writer.lock", "writer.json"


@contextmanager
def writing(index_dir: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Holds the index for one writer. Raises IndexBusy naming the process, the machine and since when.

    The lock is the operating system's own, so it ends with the process that held it, however that ended.
    """
    index_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(index_dir / LOCK, timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout:
        raise IndexBusy(f"{index_dir}: {_holder_of(index_dir)} is writing the index; wait until it is done") from None
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        (index_dir / HOLDER).write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
        yield
    finally:
        (index_dir / HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder_of(index_dir: Path) -> str:
    try:
        holder = json.loads((index_dir / HOLDER).read_text())
        return f"process {holder['pid']} on {holder['host']} (since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
