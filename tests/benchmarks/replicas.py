"""Replicas behind nginx under a crowd, while rebuilds take over: errors, mixed generations, times.

    python -m tests.benchmarks.replicas [--patients 300] [--rebuilds 3] [--replicas 2]
    python -m tests.benchmarks.replicas --chat      also the patient's screen through nginx, two processes of it

Everything is real: `daozhen serve` processes over one home folder, nginx as docs/nginx.conf.example sets it up (TLS,
least_conn, no buffering), rebuilds by `daozhen index rebuild`. Patients talk in turns, each sending the whole talk, half
of them streamed, so that the turns of one talk reach different replicas. Every reply is looked through: its generation
(`X-Daozhen-Generation`) and the edition of the hospital's sheets that it cites must belong together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.crowd import TALKS, answers_of, beside, crowd
from tests.replicas import MARKS, FrontEnd, front_end, missing_for_nginx, rebuild, visit_chats


async def measure(front: FrontEnd, home: Path, guides: Path, marks: dict[str, str], options: Any) -> dict[str, Any]:
    took: list[float] = []

    def rebuilds() -> None:
        for number in range(1, options.rebuilds + 1):
            begun = time.perf_counter()
            marks[rebuild(home, guides, MARKS[number])] = MARKS[number]
            took.append(round(time.perf_counter() - begun, 1))

    begun = time.perf_counter()
    async with beside(rebuilds) as building:
        heard = await crowd(front, options.patients, lambda: not building.done())
    seconds = time.perf_counter() - begun
    after = await crowd(front, 10, lambda: False)
    talks = [list(talk) for talk in TALKS]
    replies = [await answers_of(address, talks) for address in front.replicas]
    cuts = statistics.quantiles(heard.seconds, n=20)
    return {
        "patients_at_once": options.patients,
        "replicas": options.replicas,
        "rebuilds_seconds": took,
        "seconds": round(seconds, 1),
        "requests": heard.requests,
        "errors": len(heard.faults) + len(after.faults),
        "first_errors": [*heard.faults, *after.faults][:3],
        "replies_by_generation": {name: heard.generations[name] for name in marks},
        "talks_over_more_than_one_generation": heard.turned,
        "replies_with_sheets_cited": heard.replies_with_marks,
        "mixed_generations": heard.mixed(marks) + after.mixed(marks),
        "unknown_generations": sorted(set(heard.generations) - set(marks)),
        "replicas_answer_alike": all(one == replies[0] for one in replies),
        "reply_seconds": {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("patients", 300), ("rebuilds", 3), ("replicas", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--chat", action="store_true", help="Also the patient's screen, two processes of it.")
    options = parser.parse_args()
    if missing := missing_for_nginx():
        raise SystemExit(f"not installed: {missing}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home, guides = Path(folder) / "home", Path(folder) / "guides"
        marks = {rebuild(home, guides, MARKS[0]): MARKS[0]}
        front = stack.enter_context(front_end(home, Path(folder) / "nginx", options.replicas))
        report = asyncio.run(measure(front, home, guides, marks, options))
        print(json.dumps(report, ensure_ascii=False, indent=1))
        if options.chat:
            print(json.dumps(visit_chats(home, Path(folder) / "chat"), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
