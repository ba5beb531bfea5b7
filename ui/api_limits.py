"""Who may ask the API, how much, how many at once and for how long; and what of it is logged: never a word that was said."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
import traceback
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.api_faults import ApiFault, took_too_long
from ui.api_work import Gone

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
GRACE_SECONDS = 10.0  # past an answer's time, until a client that does not read is cut off
KNOWN_PATHS = ("/v1/chat/completions", "/v1/triage", "/v1/retrieve", "/v1/models", "/health", "/docs", "/openapi.json")

_log = logging.getLogger("daozhen.api")


@dataclass(frozen=True)
class ApiLimits:
    """seconds: for one answer; body_seconds: for a request's body to arrive; max_concurrent: answers begun or waiting."""

    max_body_bytes: int = 1024 * 1024
    body_seconds: float = 10.0
    seconds: float = 90.0
    max_concurrent: int = 256


class Guard:
    """Stands before the application: host, key, body, number and time of requests; logs path, status and milliseconds.

    hosts: what the Host header may name (a web page elsewhere that points its name here is refused); None: any, with a
    key. key: what `Authorization: Bearer` must hold; None: no key is asked for.
    """

    def __init__(self, app: ASGIApp, limits: ApiLimits, key: str | None, hosts: frozenset[str] | None) -> None:
        self.app, self.limits, self.hosts = app, limits, hosts
        self._key = None if key is None else _digest(key)
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"cache-control", b"no-store")]
            await send(message)

        try:
            await self._admit(scope, receive, send_noting_status)
        except ApiFault as fault:
            if not status:
                await fault.response()(scope, receive, send_noting_status)
        except Gone:
            status = 499  # as nginx counts clients that left
        except Exception as fault:  # nothing a patient said may reach a log through a fault's text
            note_fault(fault)
            if not status:
                broken = ApiFault(500, "internal_error", "something went wrong; the server's log says where")
                await broken.response()(scope, receive, send_noting_status)
        finally:
            _log.info("%s %s %d %.0f ms", *_named(scope), status or 499, 1000 * (time.perf_counter() - begun))

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._check_host(headers)
        if not scope["path"].startswith("/v1/"):
            await self._within_time(scope, receive, send)
            return
        self._check_key(headers)
        body = await self._body(headers, receive)
        if body is None:
            return
        if self._running >= self.limits.max_concurrent:
            raise ApiFault(
                429, "too_many_requests", "too many at once; ask again shortly", headers={"Retry-After": "2"}
            )
        self._running += 1
        try:
            await self._within_time(scope, _again(body, receive), send)
        finally:
            self._running -= 1

    async def _within_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self.limits.seconds + GRACE_SECONDS):
                await self.app(scope, receive, send)
        except TimeoutError:
            raise took_too_long() from None

    def _check_host(self, headers: Headers) -> None:
        if self.hosts is not None and _host(headers.get("host", "")) not in self.hosts:
            raise ApiFault(421, "wrong_host", "this server answers to its own address only")

    def _check_key(self, headers: Headers) -> None:
        if self._key is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.casefold() != "bearer" or not hmac.compare_digest(_digest(given.strip()), self._key):
            raise ApiFault(
                401, "invalid_api_key", "the key is missing or wrong", headers={"WWW-Authenticate": "Bearer"}
            )

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """The request's body; None when the client left first."""
        too_large = ApiFault(
            413, "body_too_large", f"the body is larger than {self.limits.max_body_bytes:,} bytes", headers=_CLOSE
        )
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limits.max_body_bytes:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self.limits.max_body_bytes:
                        raise too_large
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise ApiFault(408, "body_too_slow", "the body did not arrive in time", headers=_CLOSE) from None


_CLOSE = {"Connection": "close"}


def note_fault(fault: Exception) -> None:
    """Logs which fault and where, without its text."""
    last = traceback.extract_tb(fault.__traceback__)[-1]
    _log.error("%s in %s:%s", type(fault).__name__, last.filename, last.lineno)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body read before, once; then what comes after it."""
    handed = False

    async def receive_again() -> Message:
        nonlocal handed
        if handed:
            return await receive()
        handed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _named(scope: Scope) -> tuple[str, str]:
    """Method and path for the log; a path that is none of ours might hold anything."""
    method = scope["method"] if scope["method"] in ("GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE") else "?"
    return method, scope["path"] if scope["path"] in KNOWN_PATHS else "(other)"


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _digest(text: str) -> bytes:
    """Of one length for every key, so that comparing takes the same time."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
