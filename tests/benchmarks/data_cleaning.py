"""How fast data is cleaned, and whether memory grows with the file.

    python -m tests.benchmarks.data_cleaning [--megabytes 1000] [--exchanges 2 5] [--workers 2] [--folder DIR]

Writes made-up consultations (about 3 in 100 of each defect, 5 in 100 duplicates) of that size, cleans them once, and prints
the rows a second and the largest resident memory of the main process and of any worker, sampled twice a second.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
import psutil

from finetune.cleaning import CleaningRules
from finetune.cleaning_run import Progress, clean_files

PLACES = [
    "头",
    "肩膀",
    "后背",
    "腰",
    "膝盖",
    "脚后跟",
    "肚子",
    "胸口",
    "手腕",
    "脖子",
    "耳朵",
    "眼睛",
    "嗓子",
    "鼻子",
    "小腿",
    "牙龈",
]
FEELS = ["疼", "发麻", "发胀", "发痒", "酸", "红肿", "发热", "没力气", "僵", "抽筋"]
WHEN = ["早上起来", "走路时", "吃完饭", "夜里", "坐久了", "弯腰时", "天冷时", "累了以后", "上下楼", "洗完澡"]
ADVICE = [
    "先休息两天",
    "换个姿势",
    "记下疼的时间",
    "用温毛巾敷一敷",
    "少提重物",
    "慢慢活动",
    "注意保暖",
    "多喝温水",
    "按时吃饭",
    "早点睡觉",
    "量一量体温",
    "拍张照片给医生看",
]
SEE = ["骨科", "神经内科", "消化内科", "皮肤科", "耳鼻咽喉科", "眼科", "康复科", "疼痛科", "口腔科", "内分泌科"]
DEFECTS = (
    "布洛芬每次0.2g，每天3次。",
    "疼疼疼疼疼疼疼疼疼疼疼疼",
    "锟斤拷锟斤拷锟斤拷",
    "我是由OpenAI训练的语言模型。",
)


def consultation(rng: random.Random, exchanges: Sequence[int] = (2, 5)) -> bytes:
    """One dialogue of so many exchanges, at least and at most."""
    messages = []
    for _ in range(rng.randint(*exchanges)):
        asked = "，".join(
            f"{rng.choice(WHEN)}{rng.choice(PLACES)}{rng.choice(FEELS)}{rng.randint(1, 60)}天了"
            for _ in range(rng.randint(2, 5))
        )
        told = "。".join(
            f"{rng.choice(PLACES)}{rng.choice(FEELS)}，{rng.choice(ADVICE)}，{rng.choice(ADVICE)}，不好就看{rng.choice(SEE)}"
            for _ in range(rng.randint(4, 9))
        )
        messages += [{"role": "user", "content": f"{asked}，怎么办？"}, {"role": "assistant", "content": f"{told}。"}]
    if rng.random() < 0.12:
        messages[1]["content"] = rng.choice(DEFECTS)
    return orjson.dumps(
        {"kind": "dialogue", "messages": messages, "licence": "CC0-1.0"}, option=orjson.OPT_APPEND_NEWLINE
    )


def write_consultations(path: Path, megabytes: int, exchanges: Sequence[int] = (2, 5), seed: int = 1) -> int:
    rng, rows, size, last = random.Random(seed), 0, 0, b""
    with path.open("wb") as out:
        while size < megabytes * 1_000_000:
            last = last if last and rng.random() < 0.05 else consultation(rng, exchanges)
            size += out.write(last)
            rows += 1
    return rows


class MemoryWatch(threading.Thread):
    """The largest resident memory, in MB, of this process and of its largest child, and what it was after each minute."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.main = self.worker = 0.0
        self.by_tenth: list[float] = []
        self.done = threading.Event()

    def run(self) -> None:
        process = psutil.Process()
        while not self.done.wait(0.5):
            here = process.memory_info().rss / 1e6
            self.main = max(self.main, here)
            self.by_tenth.append(here)
            for child in process.children(recursive=True):
                try:
                    self.worker = max(self.worker, child.memory_info().rss / 1e6)
                except psutil.Error:
                    continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1000])
    parser.add_argument("--exchanges", type=int, nargs=2, default=[2, 5], help="1 1: rows of question and answer")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    print(
        "| MB | rows | kept | seconds | rows/s | CPU µs/row | main MB, start to end | largest worker MB |\n|---|---|---|---|---|---|---|---|"
    )
    for megabytes in given.megabytes:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            source = Path(folder) / "made_up.jsonl"
            write_consultations(source, megabytes, given.exchanges)
            print(f"wrote {megabytes} MB", file=sys.stderr, flush=True)
            watch = MemoryWatch()
            watch.start()
            before = cpu_seconds()
            began = time.monotonic()
            report = clean_files(
                [source], Path(folder) / "clean.jsonl", CleaningRules(), workers=given.workers, progress=told(watch)
            )
            seconds = time.monotonic() - began
            watch.done.set()
            watch.join()
            tenths = [watch.by_tenth[len(watch.by_tenth) * part // 10] for part in range(10)] + [watch.main]
            print(
                f"| {megabytes} | {report.read:,} | {report.kept:,} | {seconds:.0f} | {report.read / seconds:,.0f} | "
                f"{(cpu_seconds() - before) / report.read * 1e6:.0f} | {' '.join(f'{size:.0f}' for size in tenths)} | {watch.worker:.0f} |",
                flush=True,
            )
            print(dict(report.removed), flush=True)


def told(watch: MemoryWatch, every_seconds: float = 30.0) -> Progress:
    """Says on standard error how far it is, and the memory so far."""
    began = last = time.monotonic()

    def step(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= every_seconds:
            last = time.monotonic()
            print(
                f"{last - began:.0f} s: {done:,} {what}, {watch.main:.0f} MB, worker {watch.worker:.0f} MB",
                file=sys.stderr,
                flush=True,
            )

    return step


def cpu_seconds() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


if __name__ == "__main__":
    main()
