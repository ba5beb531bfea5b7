"""The gate before and after everything else: which red flags a patient's words raise.

Deterministic, no model. It may err towards alarm, never towards calm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from knowledge.red_flags import OWN_PATTERNS, RedFlag, Sign, Term
from rag.durations import Duration, duration_of, find_durations
from rag.mentions import Mention, SignLexicon, Status
from rag.patient import Patient, find_patient, relation_of
from rag.scope import sentence_of
from rag.vitals import VitalSign, find_vitals
from rag.wording import normalise

PREGNANT = "pregnant"


@dataclass(frozen=True)
class RaisedFlag:
    """A red flag that holds, with the patient's words that raised it."""

    flag: RedFlag
    words: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """Everything the rules read out of what a patient has said so far. `text` is normalised; offsets refer to it."""

    text: str
    mentions: tuple[Mention, ...]
    vitals: tuple[VitalSign, ...]
    patient: Patient
    raised: tuple[RaisedFlag, ...] = ()

    @cached_property
    def affirmed(self) -> dict[str, Mention]:
        """sign id -> its first affirmed mention."""
        found: dict[str, Mention] = {}
        for mention in self.mentions:
            if mention.status is Status.AFFIRMED:
                found.setdefault(mention.sign_id, mention)
        return found

    @cached_property
    def denied(self) -> tuple[Mention, ...]:
        """What the patient said is not there."""
        return tuple(
            mention
            for mention in self.mentions
            if mention.status is Status.DENIED and mention.sign_id not in self.affirmed
        )

    @cached_property
    def durations(self) -> list[Duration]:
        return find_durations(self.text)


class RedFlagMatcher:
    """Signs and red flags made ready once, then asked for every turn."""

    def __init__(self, flags: Mapping[str, RedFlag], signs: Mapping[str, Sign]) -> None:
        self.flags = dict(flags)
        self.signs = dict(signs)
        own = [(_own(flag.id), "sign", flag.patterns.both()) for flag in flags.values() if flag.patterns.both()]
        self._flags_of, self._signless = _flags_by_sign(self.flags.values())
        self._lexicon = SignLexicon(
            [*((sign.id, sign.kind, sign.zh + sign.en) for sign in signs.values()), *own],
            {sign.id: sign.hides for sign in signs.values() if sign.hides},
        )

    def read(self, text: str) -> Findings:
        """What the text says: signs, vital signs, who is ill, and the red flags that follow.

        text: everything the patient has said so far, one turn a line.
        """
        plain = normalise(text)
        mentions = tuple(self._lexicon.find(plain, relation_of(plain)))
        pregnant = _pregnancy(mentions)
        findings = Findings(plain, mentions, tuple(find_vitals(plain)), find_patient(plain, pregnant))
        raised = (self._raise(flag, findings) for flag in self.touched_by(findings))
        ordered = sorted((found for found in raised if found), key=lambda found: -found.flag.level)
        return Findings(findings.text, findings.mentions, findings.vitals, findings.patient, tuple(ordered))

    def touched_by(self, findings: Findings) -> list[RedFlag]:
        """The flags that can be raised at all: those that name an affirmed sign, and those that need none; in their own order."""
        ids = self._signless.union(*(self._flags_of.get(sign_id, frozenset()) for sign_id in findings.affirmed))
        return [flag for flag_id, flag in self.flags.items() if flag_id in ids]

    def affirmed_in(self, plain: str) -> set[str]:
        """The ids of the signs a normalised text affirms, flags' own signs included."""
        return {mention.sign_id for mention in self._lexicon.find(plain) if mention.status is Status.AFFIRMED}

    def is_felt(self, sign_id: str) -> bool:
        """Whether a sign is something the patient feels or shows, not a condition, a background or an event."""
        sign = self.signs.get(sign_id)
        return sign is not None and sign.kind == "sign"

    def holds(self, flag: RedFlag, term: Term, findings: Findings) -> bool:
        """Whether one term of a flag holds."""
        return _HOLDS[term.kind](flag, term, findings) is not None

    def is_cancelled(self, flag: RedFlag, findings: Findings) -> bool:
        """Whether something the patient said rules the flag out."""
        return any(self._words_for(flag, combination, findings) is not None for combination in flag.unless)

    def _raise(self, flag: RedFlag, findings: Findings) -> RaisedFlag | None:
        if self.is_cancelled(flag, findings):
            return None
        for combination in flag.when:
            words = self._words_for(flag, combination, findings)
            if words is not None:
                return RaisedFlag(flag, words)
        return None

    def _words_for(self, flag: RedFlag, combination: Iterable[Term], findings: Findings) -> tuple[str, ...] | None:
        """The patient's words for every term of a combination; None when one of them does not hold."""
        words: list[str] = []
        for term in combination:
            said = _HOLDS[term.kind](flag, term, findings)
            if said is None:
                return None
            words.append(said)
        return tuple(dict.fromkeys(word for word in words if word))


def _flags_by_sign(flags: Iterable[RedFlag]) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """(sign id -> ids of the flags that need it, ids of the flags that some combination raises without any sign)."""
    by_sign: defaultdict[str, set[str]] = defaultdict(set)
    signless = set()
    for flag in flags:
        for combination in flag.when:
            subjects = [
                subject for term in combination if term.kind in ("signs", "lasting") for subject in term.subjects
            ]
            if not subjects:
                signless.add(flag.id)
            for subject in subjects:
                by_sign[_own(flag.id) if subject == OWN_PATTERNS else subject].add(flag.id)
    return {sign_id: frozenset(ids) for sign_id, ids in by_sign.items()}, frozenset(signless)


def _signs_hold(flag: RedFlag, term: Term, findings: Findings) -> str | None:
    for subject in term.subjects:
        mention = findings.affirmed.get(_own(flag.id) if subject == OWN_PATTERNS else subject)
        if mention is not None:
            return mention.words
    return None


def _lasting_holds(flag: RedFlag, term: Term, findings: Findings) -> str | None:
    wanted = _own(flag.id) if term.subjects[0] == OWN_PATTERNS else term.subjects[0]
    for mention in findings.mentions:
        if mention.sign_id != wanted or mention.status is not Status.AFFIRMED:
            continue
        sentence = sentence_of(findings.text, mention.start, mention.end)
        hours = duration_of(mention.start, mention.end, findings.durations, sentence)
        if hours is not None and term.holds(hours):
            return mention.words
    return None


def _age_holds(flag: RedFlag, term: Term, findings: Findings) -> str | None:
    return "" if any(term.holds(age) for age in findings.patient.likely_ages) else None


def _vital_holds(flag: RedFlag, term: Term, findings: Findings) -> str | None:
    for vital in findings.vitals:
        if vital.usable and vital.kind == term.subjects[0] and term.holds(vital.value):
            return vital.words
    return None


def _sex_holds(flag: RedFlag, term: Term, findings: Findings) -> str | None:
    return "" if findings.patient.sex == term.subjects[0] else None


_HOLDS = {
    "signs": _signs_hold,
    "lasting": _lasting_holds,
    "age": _age_holds,
    "vital": _vital_holds,
    "sex": _sex_holds,
}


def _own(flag_id: str) -> str:
    return f"{flag_id}.{OWN_PATTERNS}"


def _pregnancy(mentions: Iterable[Mention]) -> bool | None:
    said = {mention.status for mention in mentions if mention.sign_id == PREGNANT}
    if Status.AFFIRMED in said:
        return True
    return False if Status.DENIED in said else None
