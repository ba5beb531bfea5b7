"""The API under load: p50 and p95 of requests sent at once, and the server's memory before and after many turns.

python -m tests.benchmarks.api_load [--at-once 200] [--rounds 2] [--turns 2000] [--cores 2]

Starts `daozhen serve` on a free port, in a home folder of its own, held to that many cores; the requests come from here.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from tests.benchmarks.speed import QUESTIONS

ANSWERS = ("不知道", "1", "没有", "会传染吗", "谢谢", "两天了")
TURNS_A_TALK = 5


def memory_mib(process: int) -> float:
    """Resident memory of a process."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def cpu_seconds(process: int) -> float:
    """Processor time a process has used; what is left of a figure when others use the machine too."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(home: Path, cores: int) -> tuple[subprocess.Popen[str], str]:
    """A server and its address, once it answers."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    server = subprocess.Popen(
        [sys.executable, "-m", "ui.cli", "serve", "--port", "0"],
        env={**os.environ, "DAOZHEN_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"(http://\S+)/v1 answers", line)
        if found:
            return server, found[1]
    raise SystemExit("the server did not start")


async def request(client: httpx.AsyncClient, said: list[str], stream: bool) -> tuple[float, float, int]:
    """Seconds until the first words (the urgency) and until the end, and the status."""
    messages = [{"role": "user", "content": text} for text in said]
    begun, first = time.perf_counter(), 0.0
    body = {"model": "daozhen", "messages": messages, "stream": stream}
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        text = ""
        async for piece in response.aiter_text():
            first = first or time.perf_counter() - begun
            text += piece
    whole = response.status_code == 200 and (
        "[DONE]" in text and '"error"' not in text if stream else "daozhen" in text
    )
    return first, time.perf_counter() - begun, response.status_code if whole else 0


async def measure(address: str, server: int, at_once: int, rounds: int, turns: int) -> None:
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    draw = random.Random(5)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=300) as client:
        for question in QUESTIONS:
            await request(client, [question], stream=False)
        alone = [await request(client, [f"{draw.choice(QUESTIONS)} {n}"], stream=True) for n in range(40)]
        show("one after the other, streamed", alone)
        for stream in (True, False):
            everything, used = [], cpu_seconds(server)
            for number in range(rounds):
                asked = [[f"{draw.choice(QUESTIONS)} {number}.{n}"] for n in range(at_once)]
                begun = time.perf_counter()
                everything += await asyncio.gather(*(request(client, said, stream) for said in asked))
                print(f"  {at_once} at once: all answered after {time.perf_counter() - begun:.1f} s", file=sys.stderr)
            show(f"{at_once} at once, {'streamed' if stream else 'whole'}", everything)
            print(f"  processor time a request: {1000 * (cpu_seconds(server) - used) / len(everything):.0f} ms")
        before, done = memory_mib(server), Counter[int]()
        gate = asyncio.Semaphore(8)

        async def talk(number: int) -> None:
            said = [f"{draw.choice(QUESTIONS)} {number}"]
            async with gate:
                for _ in range(TURNS_A_TALK):
                    done[(await request(client, said, stream=False))[2]] += 1
                    said.append(draw.choice(ANSWERS))

        await asyncio.gather(*(talk(number) for number in range(turns // TURNS_A_TALK)))
        print(
            f"memory: {before:.0f} MiB before, {memory_mib(server):.0f} MiB after {sum(done.values())} turns, {dict(done)}"
        )


def show(name: str, measured: list[tuple[float, float, int]]) -> None:
    wrong = sum(status != 200 for _, _, status in measured)
    line = f"{name:34} {len(measured):5} requests, {wrong} wrong;"
    for label, values in (
        ("first words", [first for first, _, _ in measured]),
        ("end", [end for _, end, _ in measured]),
    ):
        p95 = statistics.quantiles(values, n=20)[18]
        line += f"  {label} p50 {statistics.median(values) * 1000:,.0f} ms, p95 {p95 * 1000:,.0f} ms;"
    print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("at-once", 200), ("rounds", 2), ("turns", 2000), ("cores", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        server, address = start(Path(home), chosen.cores)
        drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
        print(f"memory: {memory_mib(server.pid):.0f} MiB at start")
        try:
            asyncio.run(measure(address, server.pid, chosen.at_once, chosen.rounds, chosen.turns))
        finally:
            server.terminate()
            print(f"stopped with {server.wait(60)}")
            drain.wait(10)


if __name__ == "__main__":
    main()
