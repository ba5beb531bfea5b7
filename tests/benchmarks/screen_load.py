"""Simultaneous chats on the patient's screen: how long a reply takes, and how much memory it costs.

    python -m tests.benchmarks.screen_load --chats 25 --messages 3              all at once, without a pause
    python -m tests.benchmarks.screen_load --chats 25 --messages 3 --think 20   with time to read and write

Starts `daozhen chat` and speaks Streamlit's own protocol to it over as many WebSockets as there are chats, each a
visitor with a session of its own. Measured:
from sending a message to its banner, and to the end of the reply; the server's memory before and after. A chat that
sees another's words, or a fault, is counted as an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles

import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

COMPLAINTS = (
    "膝盖上下楼梯疼",
    "孩子发烧咳嗽两天",
    "胸口闷，走路喘",
    "牙疼，腮帮子肿",
    "皮肤起红疹发痒",
    "头晕，站起来眼前发黑",
)


class Chat:
    """One visitor: a WebSocket, the place to write, and what was measured. mark: words nobody else says."""

    def __init__(self, url: str, number: int) -> None:
        self.url, self.number, self.mark = url, number, f"第{number:03d}号"
        self.box = ""
        self.banner_ms: list[float] = []
        self.whole_ms: list[float] = []
        self.errors = 0

    async def run(self, messages: int, think_seconds: float) -> None:
        async with websockets.connect(self.url, max_size=None, subprotocols=["streamlit"]) as link:
            await self.begin(link)
            for turn in range(messages):
                await asyncio.sleep(random.uniform(0.5, 1.5) * think_seconds)
                await self.say(link, f"{self.mark}，{COMPLAINTS[(self.number + turn) % len(COMPLAINTS)]}")

    async def begin(self, link: websockets.ClientConnection) -> None:
        """The first screen."""
        await link.send(self._rerun(None))
        await self._read(link, None)

    async def say(self, link: websockets.ClientConnection, text: str) -> None:
        """A message, and the wait for its whole reply."""
        begun = time.perf_counter()
        await link.send(self._rerun(text))
        await self._read(link, begun)

    def _rerun(self, text: str | None) -> bytes:
        message = BackMsg()
        message.rerun_script.query_string = ""
        if text is not None:
            state = message.rerun_script.widget_states.widgets.add()
            state.id = self.box
            state.chat_input_value.data = text
        return message.SerializeToString()

    async def _read(self, link: websockets.ClientConnection, begun: float | None) -> None:
        """Until the reply stands whole: the run after the answer has drawn the place to write again."""
        banner = False
        while True:
            raw = await asyncio.wait_for(link.recv(), 120)
            message = ForwardMsg.FromString(raw if isinstance(raw, bytes) else raw.encode())
            kind = message.WhichOneof("type")
            if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                element = message.delta.new_element
                drawn = element.html.body
                if element.WhichOneof("type") == "chat_input":
                    self.box = element.chat_input.id
                elif element.WhichOneof("type") in ("exception", "alert"):
                    self.errors += 1
                self.errors += sum(f"第{other:03d}号" in drawn for other in range(100) if other != self.number)
                if begun is not None and not banner and "data-urgency" in drawn:
                    banner = True
                    self.banner_ms.append((time.perf_counter() - begun) * 1000)
            elif kind == "script_finished":
                done = message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                if done and (banner or begun is None):
                    break
        if begun is not None:
            self.whole_ms.append((time.perf_counter() - begun) * 1000)


def memory_mib(server: psutil.Process) -> float:
    return server.memory_info().rss / 2**20


def told(values: list[float]) -> dict[str, float]:
    cuts = quantiles(values, n=20)
    return {"p50": round(cuts[9]), "p95": round(cuts[18])}


async def measure(url: str, chats: int, messages: int, think_seconds: float = 0.0) -> list[Chat]:
    visitors = [Chat(url, number) for number in range(chats)]
    await asyncio.gather(*(visitor.run(messages, think_seconds) for visitor in visitors))
    return visitors


@contextmanager
def serving_chat() -> Iterator[tuple[str, psutil.Process]]:
    """`daozhen chat` on a free port: where its WebSocket is, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(
        [sys.executable, "-m", "ui.cli", "chat", "--port", str(port)], env=dict(os.environ), **quiet
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None:
                    raise SystemExit("the chat did not start: run `daozhen chat` to see why") from None
                time.sleep(0.5)
        yield f"ws://127.0.0.1:{port}/_stcore/stream", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(timeout=20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, default=25)
    parser.add_argument("--messages", type=int, default=3)
    parser.add_argument("--think", type=float, default=0.0, help="Seconds a patient reads and writes, on average.")
    options = parser.parse_args()
    with serving_chat() as (url, process):
        asyncio.run(measure(url, 1, 1))  # the assistant is loaded with the first visit
        before = memory_mib(process)
        alone = asyncio.run(measure(url, 1, 5))
        begun = time.perf_counter()
        visitors = asyncio.run(measure(url, options.chats, options.messages, options.think))
        report = {
            "chats": options.chats,
            "messages": sum(len(one.whole_ms) for one in visitors),
            "errors": sum(one.errors for one in visitors),
            "seconds": round(time.perf_counter() - begun, 1),
            "alone_whole_ms": told([ms for one in alone for ms in one.whole_ms]),
            "banner_ms": told([ms for one in visitors for ms in one.banner_ms]),
            "whole_ms": told([ms for one in visitors for ms in one.whole_ms]),
            "memory_mib": {"before": round(before), "after": round(memory_mib(process))},
        }
        print(json.dumps(report, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
