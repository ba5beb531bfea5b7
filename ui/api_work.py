"""The bounded threads in which the assistant works for the API, and how work ends that nobody waits for any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request

from ui.api_faults import took_too_long

T = TypeVar("T")


class Gone(Exception):
    """The client has left; nobody reads an answer."""


class Stopped(Exception):
    """Raised inside work that is no longer wanted."""


class Wanted:
    """Whether somebody still waits for a piece of work; looked at between its steps."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def end(self) -> None:
        self._ended.set()

    def check(self) -> None:
        """Raises Stopped once nobody waits."""
        if self._ended.is_set():
            raise Stopped


class Workers:
    """A fixed number of threads. Waiting work is done in the order it came; work whose client has left is not begun."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None  # made by the first work, also after `close`
        self._running: set[Wanted] = set()

    @property
    def running(self) -> int:
        """Pieces of work somebody waits for."""
        return len(self._running)

    async def parts(self, make: Callable[[Wanted], Iterator[T]], seconds: float) -> AsyncGenerator[T, None]:
        """What `make` gives, as it comes, made in a worker thread. Raises ApiFault 504 once `seconds` are over.

        When the reader stops, so does the work, at its next part.
        """
        loop = asyncio.get_running_loop()
        end, wanted = loop.time() + seconds, Wanted()
        arrived: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

        def hand(kind: str, value: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server is stopping
                loop.call_soon_threadsafe(arrived.put_nowait, (kind, value))

        def work() -> None:
            try:
                wanted.check()
                parts = make(wanted)
                for part in parts:
                    wanted.check()
                    hand("part", part)
                hand("end", None)
            except Stopped:
                pass
            except Exception as fault:  # raised again where it is awaited
                hand("fault", fault)

        self._running.add(wanted)
        self._pool = self._pool or ThreadPoolExecutor(self._threads, "assistant")
        running = self._pool.submit(work)
        try:
            while True:
                try:
                    kind, value = await asyncio.wait_for(arrived.get(), end - loop.time())
                except TimeoutError:
                    raise took_too_long() from None
                if kind == "end":
                    return
                if kind == "fault":
                    raise value
                yield value
        finally:
            wanted.end()
            running.cancel()
            self._running.discard(wanted)

    async def done(self, work: Callable[[Wanted], T], seconds: float) -> T:
        """What one piece of work gives. Raises ApiFault 504 once `seconds` are over."""
        parts = self.parts(lambda wanted: iter([work(wanted)]), seconds)
        try:
            return await anext(parts)
        finally:
            await parts.aclose()

    def close(self) -> None:
        """Nothing new is begun; what runs ends at its next part."""
        for wanted in tuple(self._running):
            wanted.end()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives; it is cancelled, and Gone raised, as soon as the client leaves."""
    working: asyncio.Task[T] = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
