"""How long the things a person waits for take: medians on this machine, printed, never asserted.

python -m tests.benchmarks.speed [--runs 7]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

QUESTIONS = (
    "膝盖疼，上下楼不舒服，蹲不下去",
    "孩子咳嗽一个星期，有痰，没有发烧",
    "I have had a headache like a tight band for two weeks",
    "高血压平时要注意什么",
    "肚子胀，吃完饭胃不舒服，打嗝",
    "my ear has been blocked since I went swimming",
    "奶奶胸口疼得厉害，直冒冷汗",
    "月经推迟半个月，试纸没有两条杠",
)


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def command(arguments: list[str], home: Path) -> Callable[[], object]:
    run = [sys.executable, "-m", "ui.cli", *arguments]
    return lambda: subprocess.run(run, env={**os.environ, "DAOZHEN_HOME": str(home)}, capture_output=True, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    home = Path(tempfile.mkdtemp())
    rows = [("rebuild of the shipped knowledge", 1, seconds(command(["index", "rebuild"], home)))]
    for name, arguments in (("daozhen --help", ["--help"]), ("cold daozhen ask", ["ask", QUESTIONS[0], "--json"])):
        rows.append((name, runs, statistics.median(seconds(command(arguments, home)) for _ in range(runs))))

    from rag import load_assistant
    from rag.config import Settings

    assistant = load_assistant(Settings(home))
    for question in QUESTIONS:
        assistant.reply(question)
    warm = [seconds(lambda question=question: assistant.reply(question)) for _ in range(runs) for question in QUESTIONS]
    rows.append(("warm question, median", len(warm), statistics.median(warm)))
    rows.append(("warm question, slowest", len(warm), max(warm)))
    print(f"{'what':34} {'runs':>5} {'ms':>9}")
    for name, count, value in rows:
        print(f"{name:34} {count:5} {1000 * value:9.1f}")


if __name__ == "__main__":
    main()
