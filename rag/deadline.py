"""A writer that hangs must not hang the reply, and no more answers are written at once than a model can bear."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from knowledge.errors import WriterBusy, WriterUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long a reply waits for its writer: in all, for the first words, and between words after them; seconds."""

    seconds: float
    first_seconds: float
    stall_seconds: float


class Places:
    """How many answers may be in writing at once, those left behind past their time among them.

    wait_seconds: how long one more waits for a place; 0: not at all.
    """

    def __init__(self, number: int, wait_seconds: float = 0.0) -> None:
        self.number, self.wait_seconds = number, wait_seconds
        self._free = threading.BoundedSemaphore(number)

    def take(self) -> None:
        """Raises WriterBusy where none becomes free in time."""
        if not self._free.acquire(timeout=self.wait_seconds):
            raise WriterBusy("the language model is busy with other answers")

    def give_back(self) -> None:
        self._free.release()


def within(make: Callable[[threading.Event], Iterable[T]], patience: Patience, places: Places) -> Iterator[T]:
    """What `make` gives, as it comes; WriterUnavailable when it takes longer than the patience, or fails.

    The work runs in a thread of its own, which keeps its place until it ends. `make` is given an event that is set as
    soon as nobody waits any more; a thread that does not end by it is left behind and its results are dropped.
    """
    end = time.monotonic() + patience.seconds
    places.take()
    results: queue.Queue[tuple[str, object]] = queue.Queue()
    stopped = threading.Event()

    def work() -> None:
        try:
            for item in make(stopped):
                if stopped.is_set():
                    return
                results.put(("item", item))
            results.put(("end", None))
        except Exception as fault:  # whatever a model or its server raises, the reply must still come
            results.put(("fault", fault))
        finally:
            places.give_back()

    try:
        threading.Thread(target=work, daemon=True, name="writer").start()
    except RuntimeError:  # the system gives no more threads
        places.give_back()
        raise WriterBusy("the language model is busy with other answers") from None
    allowed = patience.first_seconds
    try:
        while True:
            wait = min(allowed, end - time.monotonic())
            if wait <= 0:
                raise WriterUnavailable("the language model took too long")
            try:
                kind, value = results.get(timeout=wait)
            except queue.Empty:
                raise WriterUnavailable("the language model took too long") from None
            if kind == "end":
                return
            if isinstance(value, WriterUnavailable):
                raise value
            if kind == "fault":
                raise WriterUnavailable(f"the language model failed ({told_of(value)})") from None
            yield value  # type: ignore[misc]
            allowed = patience.stall_seconds
    finally:
        stopped.set()


def told_of(fault: object) -> str:
    """The kind of a fault and its HTTP status; never its text, in which a server may repeat what a patient said."""
    status = getattr(fault, "status_code", None)
    return f"{type(fault).__name__}, {status}" if isinstance(status, int) else type(fault).__name__
