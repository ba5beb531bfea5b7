"""Memory of the patient's screen over many turns: bytes a turn, in visits one after another and in one long talk.

    python -m tests.benchmarks.screen_memory --visits 300 --talk 60

Starts `daozhen chat` and speaks Streamlit's own protocol to it. First visitors of five turns each who close the page, as
at a desk, for so many seconds; then one visitor who never stops. After each turn the server's resident memory is read;
the slope is that of a straight line through the readings (least squares). Streamlit keeps a page that was closed for two
minutes, should its visitor come back, so visits are told apart before that time, while pages gather, and after it, when
as many go as come.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

import numpy as np
import psutil
import websockets

from tests.benchmarks.screen_load import COMPLAINTS, Chat, serving_chat

TURNS_A_VISIT = 5
KEPT_SECONDS = 130.0  # Streamlit's two minutes and a little
Reading = tuple[float, int]  # seconds since the beginning, resident bytes


async def long_talk(url: str, server: psutil.Process, seconds: float) -> list[Reading]:
    """Resident bytes after each turn of one visitor."""
    chat, begun = Chat(url, 0), time.monotonic()
    read: list[Reading] = []
    async with websockets.connect(url, max_size=None, subprotocols=["streamlit"]) as link:
        await chat.begin(link)
        while time.monotonic() - begun < seconds:
            await chat.say(link, COMPLAINTS[len(read) % len(COMPLAINTS)])
            read.append((time.monotonic() - begun, server.memory_info().rss))
    return read


async def visits(url: str, server: psutil.Process, seconds: float) -> list[Reading]:
    """The same, of visitors who come one after the other."""
    read: list[Reading] = []
    number, begun = 0, time.monotonic()
    while time.monotonic() - begun < seconds:
        number += 1
        chat = Chat(url, number % 100)
        async with websockets.connect(url, max_size=None, subprotocols=["streamlit"]) as link:
            await chat.begin(link)
            for turn in range(TURNS_A_VISIT):
                await chat.say(link, COMPLAINTS[(number + turn) % len(COMPLAINTS)])
                read.append((time.monotonic() - begun, server.memory_info().rss))
    return read


def told(read: list[Reading]) -> dict[str, Any]:
    if len(read) < 3:
        return {"turns": len(read)}
    sizes = np.array([size for _, size in read], dtype=float)
    slope = float(np.polyfit(np.arange(len(sizes)), sizes, 1)[0])
    mib = {name: round(float(size) / 2**20, 1) for name, size in (("first", sizes[0]), ("last", sizes[-1]))}
    return {"turns": len(read), "bytes_a_turn": round(slope), "mib": mib}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=float, default=300.0, help="Seconds of visits.")
    parser.add_argument("--talk", type=float, default=60.0, help="Seconds of one long talk.")
    options = parser.parse_args()
    with serving_chat() as (url, server):
        asyncio.run(visits(url, server, 5.0))  # the assistant is loaded with the first
        read = asyncio.run(visits(url, server, options.visits))
        report = {
            "visits_while_pages_gather": told([one for one in read if one[0] < KEPT_SECONDS]),
            "visits_after": told([one for one in read if one[0] >= KEPT_SECONDS]),
            "one_long_talk": told(asyncio.run(long_talk(url, server, options.talk))),
        }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
