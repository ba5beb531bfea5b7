"""Prints whole replies to real questions, to be read by a person.

python -m tests.benchmarks.read_replies --triage DIR [--n 20] [--seed 11]
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from ui.ready import ready_assistant
from ui.reply_text import reply_as_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triage", type=Path, required=True)
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--seed", type=int, default=11)
    chosen = parser.parse_args()
    toyhom = [
        json.loads(line)
        for line in (chosen.triage / "toyhom_internal_medicine.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    cmtmedqa = [
        json.loads(line) for line in (chosen.triage / "cmtmedqa_test.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    texts = [f"{row['title']} {row['ask']}" for row in toyhom]
    said = [row["history"][0][0] for row in cmtmedqa if row.get("history")]
    drawn = random.Random(chosen.seed)
    assistant = ready_assistant()
    for number, text in enumerate(drawn.sample(texts, chosen.n // 2) + drawn.sample(said, chosen.n - chosen.n // 2), 1):
        print(f"\n=== {number}. {text[:300]}\n{reply_as_text(assistant.reply(text))}")


if __name__ == "__main__":
    main()
