"""A writer that hangs must not hang the reply."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from knowledge.errors import WriterUnavailable

T = TypeVar("T")
MAX_RUNNING = 32  # writers at work, those left behind past their time among them; beyond it no new one is started
_running = threading.BoundedSemaphore(MAX_RUNNING)


def within(make: Callable[[], Iterable[T]], seconds: float, stall_seconds: float) -> Iterator[T]:
    """What `make()` gives, as it comes; WriterUnavailable when it takes longer in all, stalls, or fails.

    The work runs in a thread of its own. A thread that does not end in time is left behind and its results are dropped.
    """
    if not _running.acquire(blocking=False):
        raise WriterUnavailable("the language model is still busy with earlier answers")
    results: queue.Queue[tuple[str, object]] = queue.Queue()
    stopped = threading.Event()

    def work() -> None:
        try:
            for item in make():
                if stopped.is_set():
                    return
                results.put(("item", item))
            results.put(("end", None))
        except Exception as fault:  # whatever a model or its server raises, the reply must still come
            results.put(("fault", fault))
        finally:
            _running.release()

    threading.Thread(target=work, daemon=True, name="writer").start()
    end = time.monotonic() + seconds
    try:
        while True:
            wait = min(stall_seconds, end - time.monotonic())
            if wait <= 0:
                raise WriterUnavailable("the language model took too long")
            try:
                kind, value = results.get(timeout=wait)
            except queue.Empty:
                raise WriterUnavailable("the language model took too long") from None
            if kind == "end":
                return
            if kind == "fault":
                raise WriterUnavailable(f"the language model failed ({type(value).__name__})") from None
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
