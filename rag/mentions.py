"""Which signs a text mentions, and whether each mention affirms the sign or denies it.

The rules err on one side: a mention counts as affirmed unless the wording around it plainly
says otherwise. Denial reaches from its cue over fillers, list marks and other signs only,
so that "没吃饭，胸痛" and "never had pain like this" deny nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from rag.phrases import Phrase, parse_phrases
from rag.scope import Scope, clause_of, sentence_of

LONGEST_LITERAL = 12  # characters by which a phrase is indexed


class Status(Enum):
    """What a mention says of its sign."""

    AFFIRMED = "affirmed"
    DENIED = "denied"
    HYPOTHETICAL = "hypothetical"
    PAST = "past"
    OTHERS = "others"  # said of relatives or of disease in general, not of the patient


@dataclass(frozen=True)
class Mention:
    """A sign found in a normalised text; start and end are offsets in it."""

    sign_id: str
    start: int
    end: int
    words: str
    status: Status


class SignLexicon:
    """Every sign's phrases, indexed by a literal each must hold, so that a text meets only the phrases it may contain."""

    def __init__(
        self, signs: Iterable[tuple[str, str, Sequence[str]]], hides: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """signs: (sign id, kind as in knowledge.red_flags.Sign, phrases as written). hides: as there, by sign id."""
        self._hides = hides or {}
        rows = list(signs)
        self._kinds = {sign_id: kind for sign_id, kind, _ in rows}
        owners = [sign_id for sign_id, _, written in rows for _ in written]
        self._by_literal: defaultdict[str, list[tuple[str, Phrase]]] = defaultdict(list)
        for sign_id, phrase in zip(
            owners, parse_phrases(text for _, _, written in rows for text in written), strict=True
        ):
            for literal in phrase.telling():
                self._by_literal[literal[:LONGEST_LITERAL]].append((sign_id, phrase))
        self._lengths = sorted({len(literal) for literal in self._by_literal})

    def find(self, text: str, patient_relation: str = "self") -> list[Mention]:
        """Every mention of every sign in a normalised text, longest first where two of one sign overlap.

        patient_relation: who is ill (rag.patient); what is said of that relative is the patient's own, not family history.
        """
        found: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        for sign_id, phrase in self._candidates(text):
            found[sign_id].update(phrase.find(text))
        for sign_id in self._hides.keys() & found.keys():
            for hidden in found.keys() & set(self._hides[sign_id]):
                found[hidden] = {span for span in found[hidden] if not _is_inside_any(span, found[sign_id])}
        spans = sorted(
            (start, end, sign_id) for sign_id, places in found.items() for start, end in _without_overlaps(places)
        )
        covered = [(start, end) for start, end, _ in spans]
        return [
            Mention(
                sign_id,
                start,
                end,
                text[start:end],
                _status(text, start, end, self._kinds[sign_id], covered, patient_relation),
            )
            for start, end, sign_id in spans
        ]

    def _candidates(self, text: str) -> Iterator[tuple[str, Phrase]]:
        pieces = {text[at : at + length] for length in self._lengths for at in range(len(text) - length + 1)}
        for literal in pieces & self._by_literal.keys():
            yield from self._by_literal[literal]


def _is_inside_any(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in others)


def _without_overlaps(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        if all(end <= other_start or start >= other_end for other_start, other_end in kept):
            kept.append((start, end))
    return kept


def widest(mentions: Iterable[Mention]) -> list[Mention]:
    """Of mentions that overlap the longest, in the order of the text: one complaint stands once."""
    kept: list[Mention] = []
    for mention in sorted(mentions, key=lambda mention: mention.start - mention.end):
        if all(mention.end <= other.start or mention.start >= other.end for other in kept):
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention.start)


def _status(
    text: str, start: int, end: int, kind: str, covered: list[tuple[int, int]], patient_relation: str
) -> Status:
    scope = Scope(text, start, end, clause_of(text, start, end), sentence_of(text, start, end), covered)
    if scope.is_denied() or scope.is_cut_short():
        return Status.DENIED
    if scope.is_conditional() or scope.is_general_question():
        return Status.HYPOTHETICAL
    if kind == "condition" and scope.is_suspected():
        return Status.HYPOTHETICAL
    if kind == "event" and scope.is_feared():
        return Status.HYPOTHETICAL
    if kind in ("condition", "background") and scope.is_of_relatives(patient_relation):
        return Status.OTHERS
    if kind != "background" and scope.is_past(is_condition=kind == "condition"):
        return Status.PAST
    return Status.AFFIRMED
