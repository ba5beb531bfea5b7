"""An OpenAI-compatible server on this machine, over real HTTP, that says and suffers what a test plans for it."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from knowledge.replies import CitedAnswer
from rag.evidence import Evidence
from rag.writers import Writer
from rag.written_answer import written_answer

Plan = Callable[["Request"], None]
NAME = "some-model"


class Request:
    """One request: what was asked, and ways to answer it. path, headers (names in small letters), body: as they came."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler
        self.path, self.headers = handler.path, {name.lower(): value for name, value in handler.headers.items()}
        length = int(handler.headers.get("content-length") or 0)
        self.body: dict[str, Any] = json.loads(handler.rfile.read(length)) if length else {}

    @property
    def prompt(self) -> str:
        return str(self.body["messages"][-1]["content"])

    def refuse(self, status: int, **headers: str) -> None:
        """An error in OpenAI's form. It repeats the prompt, as some servers do."""
        told = json.dumps({"error": {"message": f"no: {self.prompt}", "type": "error", "code": None}}).encode()
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Content-Length", str(len(told)))
        self._handler.end_headers()
        self._handler.wfile.write(told)

    def begin(self) -> None:
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "text/event-stream")
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()
        self.event({"role": "assistant", "content": ""})

    def event(self, delta: dict[str, str], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": NAME, "choices": [choice]}
        self.raw(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n")

    def raw(self, text: str) -> None:
        """Bytes of the stream, as one chunk of the transfer."""
        data = text.encode()
        self._handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self._handler.wfile.flush()

    def end(self) -> None:
        self._handler.wfile.write(b"0\r\n\r\n")

    def die(self) -> None:
        """The connection is reset, as when the process is killed."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.close_connection = True
        self._handler.connection.close()

    def quoted(self, sentences: Iterable[str]) -> list[str]:
        """Each sentence with the number of the passage of the prompt that holds it, and a line break."""
        said = []
        for sentence in sentences:
            before = self.prompt.partition(sentence)[0]
            keys = re.findall(r"^\[(\d+)\]", before, re.MULTILINE)
            said.append(f"{sentence}[{keys[-1] if keys else 1}]\n")
        return said


class ServedModel:
    """The server. Requests are answered by one plan after the other, the last for all that follow.

    asked: every chat request; most_at_once: of them at the same time. key: asked for where the models are listed.
    """

    def __init__(self, *plans: Plan) -> None:
        self.plans = list(plans)
        self.asked: list[Request] = []
        self.at_once = self.most_at_once = 0
        self.key = ""
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler) -> None:
                told = json.dumps({"object": "list", "data": [{"id": NAME, "object": "model"}]}).encode()
                let_in = self.key in ("", handler.headers.get("Authorization", "").removeprefix("Bearer "))
                handler.send_response(200 if let_in else 401)
                handler.send_header("Content-Type", "application/json")
                handler.send_header("Content-Length", str(len(told)))
                handler.end_headers()
                handler.wfile.write(told)

            def do_POST(handler) -> None:
                request = Request(handler)
                with lock:
                    self.asked.append(request)
                    plan = self.plans[min(len(self.asked), len(self.plans)) - 1]
                    self.at_once += 1
                    self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    plan(request)
                except OSError:
                    handler.close_connection = True  # the client has left
                finally:
                    with lock:
                        self.at_once -= 1

            def log_message(handler, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(server, request: object, client_address: object) -> None:
                pass  # connections that were reset on purpose

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ServedModel:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def says(sentences: Iterable[str], finish: str = "stop", pause: float = 0.0, piece_chars: int = 7) -> Plan:
    """The sentences, each with the number of its passage, in small pieces, ended as a server ends."""

    def plan(request: Request) -> None:
        request.begin()
        speak(request, "".join(request.quoted(sentences)), pause, piece_chars)
        request.event({}, finish)
        request.raw("data: [DONE]\n\n")
        request.end()

    return plan


def speak(request: Request, text: str, pause: float = 0.0, piece_chars: int = 7) -> None:
    for start in range(0, len(text), piece_chars):
        request.event({"content": text[start : start + piece_chars]})
        if pause:
            time.sleep(pause)


def dies_after(sentences: Iterable[str], then: str = "") -> Plan:
    """The sentences, some more characters, and the connection is reset."""

    def plan(request: Request) -> None:
        request.begin()
        speak(request, "".join(request.quoted(sentences)) + then)
        time.sleep(0.05)  # a reset overtakes what has not been read yet
        request.die()

    return plan


def ends_after(sentences: Iterable[str], then: str) -> Plan:
    """As `dies_after`, but the stream is closed in good order: nothing but the missing reason tells."""

    def plan(request: Request) -> None:
        request.begin()
        speak(request, "".join(request.quoted(sentences)) + then)
        request.end()

    return plan


def refuses(status: int, **headers: str) -> Plan:
    return lambda request: request.refuse(status, **headers)


def answered(evidence: Evidence, writer: Writer) -> CitedAnswer:
    """The whole answer a writer gives."""
    pieces = written_answer(writer, evidence)
    while True:
        try:
            next(pieces)
        except StopIteration as whole:
            assert isinstance(whole.value, CitedAnswer)
            return whole.value
