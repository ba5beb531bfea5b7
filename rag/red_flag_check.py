"""Whether every red flag does what its record says: its triggers raise it, its near misses do not."""

from __future__ import annotations

from collections.abc import Iterator

from rag.red_flag_matcher import RedFlagMatcher

MIN_TRIGGERS = 3
MIN_NEAR_MISSES = 1


def red_flag_faults(matcher: RedFlagMatcher) -> Iterator[tuple[str, str]]:
    """(flag id, what is wrong) for every fault."""
    for flag in matcher.flags.values():
        for language in ("zh", "en"):
            triggers = flag.triggers.in_language(language)
            misses = flag.near_misses.in_language(language)
            if len(triggers) < MIN_TRIGGERS:
                yield flag.id, f"{len(triggers)} {language} triggers; at least {MIN_TRIGGERS}"
            if len(misses) < MIN_NEAR_MISSES:
                yield flag.id, f"{len(misses)} {language} near misses; at least {MIN_NEAR_MISSES}"
        for text in flag.triggers.both():
            if flag.id not in raised_ids(matcher, text):
                yield flag.id, f"its trigger does not raise it: {text!r}"
        for text in flag.near_misses.both():
            if flag.id in raised_ids(matcher, text):
                yield flag.id, f"its near miss raises it: {text!r}"


def raised_ids(matcher: RedFlagMatcher, text: str) -> set[str]:
    """Ids of the red flags a text raises."""
    return {found.flag.id for found in matcher.read(text).raised}
