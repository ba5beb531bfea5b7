"""Under- and over-triage on vignettes, and over-alarm on ordinary questions.

    python -m tests.benchmarks.urgency [--cases FILE.jsonl] [--ordinary TRIAGE_DIR] [--errors]

cases: rows {"text", "level": emergency|urgent|routine|home}; by default the project's own vignettes, written without
sight of the rules. ordinary: 300 questions drawn from Toyhom and CMtMedQA with a fixed seed; the share that reaches
level I or II is over-alarm, and each such question is printed to be read.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from knowledge.hospital import with_hospital_flags
from knowledge.self_care import load_self_care
from knowledge.urgency import UrgencyLevel
from rag.intervals import clopper_pearson
from rag.red_flag_matcher import RedFlagMatcher
from rag.triage import floor_level

OWN = Path(__file__).resolve().parents[1] / "data" / "urgency_vignettes.jsonl"
GROUPS = ("home", "routine", "urgent", "emergency")
ORDINARY_SAMPLE, ORDINARY_SEED = 300, 7


def level_reader() -> Callable[[str], tuple[UrgencyLevel, list[str]]]:
    """A function from a text to its level and the ids of the flags it raised."""
    matcher = RedFlagMatcher(*with_hospital_flags(None))
    self_care = load_self_care()

    def read(text: str) -> tuple[UrgencyLevel, list[str]]:
        findings = matcher.read(text)
        level = max([floor_level(findings, self_care), *(found.flag.level for found in findings.raised)])
        return level, [found.flag.id for found in findings.raised if found.flag.level is level]

    return read


def share(hits: int, n: int) -> str:
    low, high = clopper_pearson(hits, n) if n else (0.0, 1.0)
    return f"{hits}/{n} = {100 * hits / max(n, 1):.1f} % (95 %: {100 * low:.1f}-{100 * high:.1f})"


def vignettes(path: Path, show_errors: bool) -> None:
    read = level_reader()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    table: Counter[tuple[str, str]] = Counter()
    wrong = []
    for row in rows:
        level, flags = read(row["text"])
        group = level.evaluation_group
        table[row["level"], group] += 1
        if group != row["level"]:
            wrong.append((GROUPS.index(group) - GROUPS.index(row["level"]), row, group, flags))
    print(f"{path.name}: {len(rows)} vignettes; rows: right level, columns: given")
    print(f"{'':12}" + "".join(f"{group:>11}" for group in GROUPS))
    for right in GROUPS:
        print(f"{right:12}" + "".join(f"{table[right, given]:11}" for given in GROUPS))
    under = [case for case in wrong if case[0] < 0]
    emergencies = sum(table["emergency", given] for given in GROUPS)
    below = sum(table["emergency", given] for given in ("home", "routine"))
    others = len(rows) - emergencies
    raised = sum(table[right, "emergency"] for right in GROUPS[:3])
    print(f"under-triaged at all:                {share(len(under), len(rows))}")
    print(f"emergencies given routine or home:   {share(below, emergencies)}")
    print(f"emergencies not given emergency:     {share(emergencies - table['emergency', 'emergency'], emergencies)}")
    print(f"non-emergencies given emergency:     {share(raised, others)}")
    if show_errors:
        for step, row, group, flags in sorted(wrong, key=lambda case: case[0]):
            print(f"{step:+d} {row['level']} -> {group} {flags[:3]} | {row['text']}")


PUBLIC_LEVELS = {"A": "emergency", "B": "urgent", "C": "routine", "D": "home"}
PUBLIC_TEXTS = ("original_structured", "patient_realistic", "patient_minimal")


def public(path: Path, show_errors: bool) -> None:
    """The English cases of a published experiment, each told in three ways (A now, B within a day, C days, D self-care)."""
    read = level_reader()
    for kind in PUBLIC_TEXTS:
        table: Counter[tuple[str, str]] = Counter()
        under = []
        for case in json.loads(path.read_text(encoding="utf-8")):
            right, (level, flags) = PUBLIC_LEVELS[case["gold_standard_triage"]], read(case[kind])
            table[right, level.evaluation_group] += 1
            if GROUPS.index(level.evaluation_group) < GROUPS.index(right):
                under.append((case["title"], right, level.evaluation_group, flags))
        print(f"{kind}: right level → given:", dict(sorted(table.items())))
        print(f"  under-triaged: {share(len(under), sum(table.values()))}")
        for line in under if show_errors else []:
            print("   ", *line)


def ordinary(folder: Path) -> None:
    read = level_reader()
    texts = [f"{row['title']} {row['ask']}" for row in _rows(folder / "toyhom_internal_medicine.jsonl")]
    texts += [
        row["history"][0][0] if row.get("history") else row.get("instruction", "")
        for row in _rows(folder / "cmtmedqa_test.jsonl")
    ]
    drawn = random.Random(ORDINARY_SEED).sample([text for text in texts if text.strip()], ORDINARY_SAMPLE)
    alarmed = [(text, *read(text)) for text in drawn]
    high = [case for case in alarmed if case[1] >= UrgencyLevel.II]
    print(
        f"ordinary questions at I or II: {share(len(high), len(drawn))}; at III: {sum(case[1] is UrgencyLevel.III for case in alarmed)}"
    )
    for text, level, flags in high:
        print(f"  {level.label:3} {flags[:2]} | {text[:160]}")


def _rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=OWN)
    parser.add_argument(
        "--ordinary", type=Path, help="folder with toyhom_internal_medicine.jsonl and cmtmedqa_test.jsonl"
    )
    parser.add_argument("--public", type=Path, help="urgency_vignettes_en.json of a published experiment")
    parser.add_argument("--errors", action="store_true", help="print every wrong vignette")
    chosen = parser.parse_args()
    vignettes(chosen.cases, chosen.errors)
    if chosen.public:
        public(chosen.public, chosen.errors)
    if chosen.ordinary:
        ordinary(chosen.ordinary)


if __name__ == "__main__":
    main()
