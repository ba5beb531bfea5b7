"""How much of what names a patient is masked, and how much of what is masked names one, on the project's own examples.

    python -m tests.benchmarks.masking [--errors]

The second half was written after the rules had been mended on the first, and is scored apart.

A personal span counts as found when nothing of it is left where it stood.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path

from rag.intervals import clopper_pearson
from rag.masking import ADDRESS, MAIL, NAME, NUMBER, mask

OWN = Path(__file__).resolve().parents[1] / "data" / "masking.jsonl"
TOKENS = re.compile("|".join(map(re.escape, (NAME, NUMBER, ADDRESS, MAIL))))


@dataclass(frozen=True)
class MaskingCase:
    """personal: the stretches of the text that could name somebody; none where all must stay."""

    text: str
    language: str
    personal: tuple[str, ...]
    after: bool  # written after the rules were mended


def own_cases() -> list[MaskingCase]:
    rows = (json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines())
    return [MaskingCase(row["text"], row["language"], tuple(row["personal"]), "written" in row) for row in rows]


def replaced(text: str, masked: str) -> list[tuple[int, int]]:
    """(start, end) of the stretches of the text in whose place a mask stands."""
    kept = [re.escape(piece) for piece in TOKENS.split(masked)]
    found = re.fullmatch("(.+?)".join(kept), text, re.DOTALL)
    return [found.span(number) for number in range(1, len(kept))] if found else []


def spans(case: MaskingCase) -> list[tuple[int, int]]:
    return [(case.text.index(personal), case.text.index(personal) + len(personal)) for personal in case.personal]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--errors", action="store_true", help="print what was missed and what was masked in vain")
    chosen = parser.parse_args()
    for name, after in (("before the rules were mended", False), ("after", True)):
        print(f"written {name}:")
        score([case for case in own_cases() if case.after == after], chosen.errors)


def score(cases: list[MaskingCase], errors: bool) -> None:
    found = personal = apt = masks = 0
    for case in cases:
        masked = mask(case.text)
        gone, named = replaced(case.text, masked), spans(case)
        hits = [any(start <= begin and end <= stop for start, stop in gone) for begin, end in named]
        right = [any(start < end and begin < stop for begin, end in named) for start, stop in gone]
        found, personal = found + sum(hits), personal + len(hits)
        apt, masks = apt + sum(right), masks + len(right)
        if errors and not (all(hits) and all(right)):
            print("   ", case.text, "->", masked)
    for name, part, whole in (("recall", found, personal), ("precision", apt, masks)):
        low, high = clopper_pearson(part, whole)
        print(f"{name:10} {part}/{whole}  {part / whole:.3f}  (95 %: {low:.3f}-{high:.3f})")


if __name__ == "__main__":
    main()
