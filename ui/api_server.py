"""The API on a port: uvicorn, with a limit on how long a request's head may take."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from ui.ports import BACKLOG

HEAD_SECONDS = 10.0


class TimedProtocol(H11Protocol):
    """Closes a connection on which a request's head does not arrive in time; uvicorn would wait for ever."""

    head_seconds = HEAD_SECONDS
    _head_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch_head()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.is_closing():
            self._unwatch_head()
        elif self._head_late is None:
            self._head_late = self.loop.call_later(self.head_seconds, self._close_late)

    def _unwatch_head(self) -> None:
        if self._head_late is not None:
            self._head_late.cancel()
            self._head_late = None

    def _close_late(self) -> None:
        self._head_late = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def server_for(app: FastAPI, max_connections: int, stop_seconds: int) -> uvicorn.Server:
    """A server that on SIGTERM takes nothing new and lets running answers finish within `stop_seconds`."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        log_config=None,
        access_log=False,  # its lines hold query strings; ui/api_limits.py writes ours
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=max_connections,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=stop_seconds,
    )
    return uvicorn.Server(config)
