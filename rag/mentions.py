"""Which signs a text mentions, and whether each mention affirms the sign or denies it.

The rules err on one side: a mention counts as affirmed unless the wording around it plainly
says otherwise. Denial reaches from its cue over fillers, list marks and other signs only,
so that "没吃饭，胸痛" and "never had pain like this" deny nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from rag.phrases import Phrase
from rag.scope import Scope, clause_of, sentence_of


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


@dataclass(frozen=True)
class SignPhrases:
    """A sign's phrases, ready to be looked for. kind as in knowledge.red_flags.Sign."""

    sign_id: str
    kind: str
    phrases: tuple[Phrase, ...]


def find_mentions(text: str, signs: Iterable[SignPhrases]) -> list[Mention]:
    """Every mention of every sign in a normalised text, longest first where two of one sign overlap."""
    kinds: dict[str, str] = {}
    spans: list[tuple[int, int, str]] = []
    for sign in signs:
        kinds[sign.sign_id] = sign.kind
        found = {span for phrase in sign.phrases for span in phrase.find(text)}
        spans += [(start, end, sign.sign_id) for start, end in _without_overlaps(found)]
    spans.sort()
    covered = [(start, end) for start, end, _ in spans]
    return [
        Mention(sign_id, start, end, text[start:end], _status(text, start, end, kinds, sign_id, covered))
        for start, end, sign_id in spans
    ]


def _without_overlaps(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        if all(end <= other_start or start >= other_end for other_start, other_end in kept):
            kept.append((start, end))
    return kept


def _status(
    text: str, start: int, end: int, kinds: Mapping[str, str], sign_id: str, covered: list[tuple[int, int]]
) -> Status:
    scope = Scope(text, start, end, clause_of(text, start, end), sentence_of(text, start, end), covered)
    if scope.is_denied():
        return Status.DENIED
    if scope.is_conditional() or scope.is_general_question():
        return Status.HYPOTHETICAL
    kind = kinds[sign_id]
    if kind == "condition" and scope.is_suspected():
        return Status.HYPOTHETICAL
    if kind != "sign" and scope.is_of_relatives():
        return Status.OTHERS
    if kind != "background" and scope.is_past():
        return Status.PAST
    return Status.AFFIRMED
