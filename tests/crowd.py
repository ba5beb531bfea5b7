"""Patients who talk to the API at the same time, and what of their replies is looked at."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.replicas import HEADERS, MARKS, FrontEnd

TALKS = (
    ("膝盖疼，上下楼不舒服", "两天了", "没有"),
    ("探视住院病人有什么规定", "儿科病房怎么探视"),
    ("我奶奶胸口疼，直冒冷汗",),
    ("儿科病房怎么探视", "谢谢"),
    ("my knee hurts on the stairs", "two weeks", "no"),
    ("宝宝8个月，发烧39度两天", "精神还好"),
)


@dataclass
class Heard:
    """What patients were answered: requests, faults (a line each), generations seen, and marks cited by generation."""

    requests: int = 0
    faults: list[str] = field(default_factory=list)
    generations: Counter[str] = field(default_factory=Counter)
    marks: dict[str, set[str]] = field(default_factory=dict)
    replies_with_marks: int = 0
    seconds: list[float] = field(default_factory=list)
    turned: int = 0  # talks whose turns were answered by more than one generation

    def mixed(self, marks: dict[str, str]) -> list[str]:
        """Generations that were cited with a mark other than their own. marks: generation -> its edition's."""
        return [name for name, seen in self.marks.items() if seen != {marks.get(name, "")}]


async def talk(client: httpx.AsyncClient, number: int, heard: Heard) -> None:
    """One patient: every turn sends all that was said, half of them streamed; each reply is looked through."""
    said: list[str] = []
    seen = set()
    for turn in TALKS[number % len(TALKS)]:
        said.append(f"{turn}。编号{number}" if not said and number % 3 == 0 else turn)
        begun = time.perf_counter()
        try:
            told, generation, whole = await complete(client, said, stream=(number + len(said)) % 2 == 0)
        except (httpx.HTTPError, ValueError, KeyError) as fault:
            heard.faults.append(f"{type(fault).__name__}: {str(fault)[:200]}")
            return
        heard.requests += 1
        heard.seconds.append(time.perf_counter() - begun)
        heard.generations[generation] += 1
        seen.add(generation)
        kept = [one["text"] for episode in told["conversation"]["episodes"] for one in episode["turns"]]
        if kept != said:
            heard.faults.append(f"said {len(said)} turns, {len(kept)} were heard")
        cited = {
            mark for one in told["citations"] for mark in re.findall(rf"([{MARKS}])版", f"{one['quote']}{one['title']}")
        }
        shown = set(re.findall(rf"([{MARKS}])版", whole))
        if cited or shown:
            heard.replies_with_marks += 1
            heard.marks.setdefault(generation, set()).update(cited | shown)
    heard.turned += len(seen) > 1


async def complete(client: httpx.AsyncClient, said: list[str], stream: bool) -> tuple[dict[str, Any], str, str]:
    """The `daozhen` object, the generation and the text of the reply to the last of what was said."""
    body = {"model": "daozhen", "messages": [{"role": "user", "content": text} for text in said], "stream": stream}
    response = await client.post("/v1/chat/completions", json=body)
    if response.status_code != 200:
        raise ValueError(f"status {response.status_code}: {response.text[:120]}")
    generation = response.headers["x-daozhen-generation"]
    if not stream:
        completion = response.json()
        return completion["daozhen"], generation, completion["choices"][0]["message"]["content"]
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    chunks = [json.loads(line) for line in lines[:-1]]
    if lines[-1] != "[DONE]" or any("error" in chunk for chunk in chunks):
        raise ValueError("the stream broke off")
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    return chunks[-1]["daozhen"], generation, text


async def crowd(front: FrontEnd, patients: int, goes_on: Callable[[], bool]) -> Heard:
    """So many patients at once, each beginning another talk after its last for as long as `goes_on`."""
    heard = Heard()
    async with front.client(patients) as client:

        async def patient(number: int) -> None:
            while True:
                await talk(client, number, heard)
                number += patients
                if not goes_on():
                    return

        await asyncio.gather(*(patient(number) for number in range(patients)))
    return heard


async def answers_of(address: str, said: list[list[str]]) -> list[tuple[Any, str, str]]:
    """What one replica answers, asked itself."""
    async with httpx.AsyncClient(base_url=address, headers=HEADERS, timeout=120) as client:
        return [await complete(client, turns, stream=False) for turns in said]


@asynccontextmanager
async def beside(work: Callable[[], Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """Work in a thread while something else goes on."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        yield task
    finally:
        await task
