"""What kind of message this is: a complaint, or something that deserves a calm reply of its own.

A message that names a sign of illness, a vital sign or a red flag is always a complaint, whatever else stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from knowledge.conversation import SELF, MessageKind
from knowledge.messages import Messages
from rag.mentions import Status
from rag.phrases import parse_phrases
from rag.red_flag_matcher import Findings

_NOT_WORDS = re.compile(r"[\W\d_]+")
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz")
MIN_KEYS = 3  # neighbouring keys, or one letter repeated, that are no word


class MessageSorter:
    """The kinds' phrases made ready once, then asked for every message."""

    def __init__(self, messages: Messages) -> None:
        self.messages = messages
        self._phrases = {record.id: tuple(parse_phrases(record.phrases.both())) for record in messages.kinds}
        self._fillers_zh = sorted(messages.fillers.zh, key=len, reverse=True)
        self._neutral = frozenset(messages.neutral.both())
        self._fillers_en = frozenset(messages.fillers.en)

    def kind_of(self, alone: Findings) -> MessageKind:
        """The kind of one message. alone: what the rules read out of it, without what was said before."""
        if self._is_despair(alone):
            return "suicidal"
        if alone.raised or alone.vitals:
            return "medical"
        for record in self.messages.kinds:
            if alone.text.strip() in record.alone:
                return record.id
            spans = self._found(record.id, alone.text)
            if spans and not self._names_a_sign(alone, spans) and (not record.whole or self._is_all(alone.text, spans)):
                return record.id
        if self._names_a_sign(alone, []) or not _says_nothing(alone.text):
            return "medical"
        return "test"

    def _is_despair(self, alone: Findings) -> bool:
        """Whether the writer speaks of an end of his own life; of a friend's, the red flags' advice says what to do."""
        signs = self.messages.of("suicidal").signs
        return (
            any(raised.flag.hotline == "crisis" for raised in alone.raised)
            and alone.patient.relation == SELF
            and not alone.affirmed.keys().isdisjoint(signs)
        )

    def _names_a_sign(self, alone: Findings, spans: Sequence[tuple[int, int]]) -> bool:
        """Whether a sign stands in the message outside the kind's own phrases."""
        return any(
            mention.words not in self._neutral
            and mention.status is not Status.HYPOTHETICAL
            and not any(start <= mention.start and mention.end <= end for start, end in spans)
            for mention in alone.mentions
        )

    def _found(self, kind: MessageKind, text: str) -> list[tuple[int, int]]:
        return [span for phrase in self._phrases[kind] for span in phrase.find(text)]

    def _is_all(self, text: str, spans: Iterable[tuple[int, int]]) -> bool:
        """Whether nothing but fillers stands beside the phrases."""
        rest = list(text)
        for start, end in spans:
            rest[start:end] = " " * (end - start)
        left = " ".join(word for word in _NOT_WORDS.sub(" ", "".join(rest)).split() if word not in self._fillers_en)
        for filler in self._fillers_zh:
            left = left.replace(filler, "")
        return not left.strip()


def _rest(text: str) -> str:
    return _NOT_WORDS.sub("", text)


def _says_nothing(text: str) -> bool:
    """Digits and marks alone, one letter held down, or neighbouring keys."""
    letters = _rest(text)
    if not letters:
        return not any(character >= "\U0001f300" for character in text)  # a picture may mean something
    return len(letters) >= MIN_KEYS and (len(set(letters)) == 1 or any(letters in row for row in _KEYBOARD))
