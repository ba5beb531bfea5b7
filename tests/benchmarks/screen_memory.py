"""Memory of the patient's screen over many turns: bytes a turn, in one long talk and in visits one after another.

    python -m tests.benchmarks.screen_memory --seconds 180

Starts `daozhen chat` and speaks Streamlit's own protocol to it. First one visitor who never stops (half the time), then
visitors of five turns each who close the page, as at a desk. After each turn the server's resident memory is read; the
slope is that of a straight line through the readings (least squares), the first fifth left out as warming up.
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


async def long_talk(url: str, server: psutil.Process, seconds: float) -> list[int]:
    """Resident bytes after each turn of one visitor."""
    chat, read, end = Chat(url, 0), [], time.monotonic() + seconds
    async with websockets.connect(url, max_size=None, subprotocols=["streamlit"]) as link:
        await chat.begin(link)
        while time.monotonic() < end:
            await chat.say(link, COMPLAINTS[len(read) % len(COMPLAINTS)])
            read.append(server.memory_info().rss)
    return read


async def visits(url: str, server: psutil.Process, seconds: float) -> list[int]:
    """The same, of visitors who come one after the other."""
    read: list[int] = []
    number, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        chat = Chat(url, number % 100)
        async with websockets.connect(url, max_size=None, subprotocols=["streamlit"]) as link:
            await chat.begin(link)
            for turn in range(TURNS_A_VISIT):
                await chat.say(link, COMPLAINTS[(number + turn) % len(COMPLAINTS)])
                read.append(server.memory_info().rss)
    return read


def told(read: list[int]) -> dict[str, Any]:
    kept = np.array(read[len(read) // 5 :], dtype=float)
    slope = float(np.polyfit(np.arange(len(kept)), kept, 1)[0]) if len(kept) > 2 else float("nan")
    mib = [round(value / 2**20, 1) for value in (read[0], kept[0], read[-1], max(read))]
    return {
        "turns": len(read),
        "bytes_a_turn": round(slope),
        "mib": dict(zip(("first", "warm", "last", "most"), mib, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0)
    options = parser.parse_args()
    with serving_chat() as (url, server):
        report = {
            "one_long_talk": told(asyncio.run(long_talk(url, server, options.seconds / 2))),
            "visits_of_five_turns": told(asyncio.run(visits(url, server, options.seconds / 2))),
        }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
