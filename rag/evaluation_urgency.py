"""Under- and over-triage on vignettes whose right level is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from knowledge.errors import InvalidCases
from knowledge.hospital import with_hospital_flags
from knowledge.self_care import load_self_care
from rag.engines import LOCAL, Engine, Work, in_order, told
from rag.intervals import clopper_pearson
from rag.red_flag_matcher import RedFlagMatcher
from rag.solved_cases import parsed, read_rows
from rag.triage import floor_level

LEVELS = ("home", "routine", "urgent", "emergency")  # least urgent first
TEXTS_TOGETHER = 32  # read by one process before it tells
FORM = '{"text": "…", "level": "emergency|urgent|routine|home"}, one a line'


@dataclass(frozen=True)
class Vignette:
    """What a patient says, and the level it should be given."""

    text: str
    level: str  # one of LEVELS


def read_vignettes(path: Path) -> list[Vignette]:
    """Raises InvalidCases naming file and line."""
    vignettes = []
    for number, line in read_rows(path):
        try:
            row = parsed(line)
            if not isinstance(row.get("text"), str) or not row["text"].strip():
                raise ValueError(f"no text in 'text'; each row is {FORM}")
            if row.get("level") not in LEVELS:
                raise ValueError(f"level is {row.get('level')!r}; each row is {FORM}")
        except ValueError as fault:
            raise InvalidCases(f"{path}:{number}: {fault}") from None
        vignettes.append(Vignette(row["text"], row["level"]))
    if not vignettes:
        raise InvalidCases(f"{path}: holds no vignette; each is {FORM}")
    return vignettes


def level_reader(hospital_dir: Path | None = None) -> Callable[[str], str]:
    """The level the rules give a text, a hospital's own flags included, as one of LEVELS."""
    matcher = RedFlagMatcher(*with_hospital_flags(hospital_dir))
    self_care = load_self_care()

    def read(text: str) -> str:
        findings = matcher.read(text)
        return max(
            [floor_level(findings, self_care), *(raised.flag.level for raised in findings.raised)]
        ).evaluation_group

    return read


def levels_given(
    vignettes: Sequence[Vignette],
    hospital_dir: Path | None = None,
    step: Callable[[str, int, int], object] = lambda *_: None,
    engine: Engine = LOCAL,
) -> list[str]:
    """The level given to each vignette."""
    there = partial(_reading_levels, hospital_dir)
    work = Work(here=lambda texts: there()(texts), there=there, together=TEXTS_TOGETHER)
    texts = [vignette.text for vignette in vignettes]
    return list(in_order(told(engine.results(work, texts), step, "vignettes", len(texts))))


def _reading_levels(hospital_dir: Path | None) -> Callable[[Iterable[str]], Iterable[str]]:
    return partial(map, level_reader(hospital_dir))


def figures(vignettes: Sequence[Vignette], given: Sequence[str]) -> dict[str, Any]:
    """The 4 × 4 table and four shares, each with its exact 95 % interval.

    under_triaged, over_triaged: of all vignettes; emergencies_below_urgent: of the emergencies; raised_to_emergency:
    of all others.
    """
    table = Counter((vignette.level, level) for vignette, level in zip(vignettes, given, strict=True))

    def count(test: Callable[[int, int], bool]) -> int:
        return sum(number for (right, level), number in table.items() if test(LEVELS.index(right), LEVELS.index(level)))

    n, top = len(vignettes), len(LEVELS) - 1
    emergencies = count(lambda right, _: right == top)
    return {
        "n": n,
        "under_triaged": _share(count(lambda right, level: level < right), n),
        "over_triaged": _share(count(lambda right, level: level > right), n),
        "emergencies_below_urgent": _share(count(lambda right, level: right == top and level < 2), emergencies),
        "raised_to_emergency": _share(count(lambda right, level: right < top and level == top), n - emergencies),
        "table": {right: {level: table[right, level] for level in LEVELS} for right in LEVELS},
    }


def _share(hits: int, n: int) -> dict[str, Any]:
    low, high = clopper_pearson(hits, n)
    return {
        "cases": hits,
        "of": n,
        "share": round(hits / n, 4) if n else None,
        "low": round(low, 4),
        "high": round(high, 4),
    }
