"""Red flags that one more fact would raise: what is worth asking, and what is worth watching for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from knowledge.intake import DangerSign
from knowledge.red_flags import RedFlag, Term
from knowledge.urgency import UrgencyLevel
from rag.red_flag_matcher import Findings, RedFlagMatcher

IN_THE_GUIDE = 4.0  # a sign among the danger signs of the complaint's own guide is that much likelier to matter


@dataclass(frozen=True)
class MissingFact:
    """The one term that keeps a flag from being raised."""

    flag: RedFlag
    term: Term


@dataclass(frozen=True)
class WeighedSign:
    """A danger sign worth asking for. level: what it would reach; weight: its rate times the levels it would raise."""

    sign: DangerSign
    level: UrgencyLevel
    weight: float


def reached_level(findings: Findings) -> UrgencyLevel:
    """The level the red flags have forced so far; IV where they are silent."""
    return max([UrgencyLevel.IV, *(raised.flag.level for raised in findings.raised)])


def missing_facts(matcher: RedFlagMatcher, findings: Findings) -> list[MissingFact]:
    """Every flag above the level reached of which exactly one term is missing while a sign of it is there."""
    reached = reached_level(findings)
    found = []
    for flag in matcher.touched_by(findings):
        if flag.level <= reached or matcher.is_cancelled(flag, findings):
            continue
        for combination in flag.when:
            held = [matcher.holds(flag, term, findings) for term in combination]
            has_sign = any(there and term.kind == "signs" for there, term in zip(held, combination, strict=True))
            if held.count(False) == 1 and has_sign:
                found.append(MissingFact(flag, combination[held.index(False)]))
    return found


def weighed_signs(
    signs: Sequence[DangerSign],
    missing: Collection[MissingFact],
    findings: Findings,
    in_guide: Collection[str],
    not_these: Collection[str] = (),
) -> list[WeighedSign]:
    """The signs that would complete a flag, weightiest first; none that was spoken of, whichever way, or asked before.

    in_guide: ids of the signs among the danger signs of the complaint's guide. not_these: ids of signs asked before.
    """
    reached = reached_level(findings)
    wanted: defaultdict[str, list[UrgencyLevel]] = defaultdict(list)
    for fact in missing:
        if fact.term.kind == "signs":
            for subject in fact.term.subjects:
                wanted[subject].append(fact.flag.level)
    weighed = []
    for sign in _askable(signs, findings, not_these):
        levels = [level for shown in sign.signs for level in wanted.get(shown, ())]
        if levels:
            likelier = IN_THE_GUIDE if not in_guide or not set(in_guide).isdisjoint(sign.signs) else 1.0
            weight = sign.rate * (max(levels) - reached) * (1 + 0.1 * min(len(levels), 10)) * likelier
            weighed.append(WeighedSign(sign, max(levels), weight))
    return sorted(weighed, key=lambda entry: -entry.weight)


def _askable(signs: Sequence[DangerSign], findings: Findings, not_these: Collection[str]) -> Iterator[DangerSign]:
    patient = findings.patient
    age = min(patient.likely_ages, default=None)
    heard = {mention.sign_id for mention in findings.mentions}
    for sign in signs:
        if (
            sign.id not in not_these
            and heard.isdisjoint(sign.signs)
            and sign.may_be_asked(age, patient.sex, patient.pregnant)
        ):
            yield sign
