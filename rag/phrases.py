"""Phrases as the knowledge records write them, turned into something that finds them in a text.

`(a|b)` any of them, `(a|b|)` any or none, `..` a gap inside a clause (Chinese up to 8 characters,
English up to 5 words, never across a negation), `~` any ending of an English word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from knowledge.errors import InvalidKnowledge
from rag.wording import normalise

MAX_ALTERNATIVES = 600
CLAUSE_MARKS = "，。；！？,;!?\n"
CHINESE_GAP = rf"[^{CLAUSE_MARKS}、:：不没无未]{{0,8}}?"
ENGLISH_GAP = rf"(?:(?!\b(?:no|not|never|without|but)\b)[^{CLAUSE_MARKS}.\s]+\s+){{0,5}}?"

_INNERMOST_GROUP = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True)
class Phrase:
    """One way of saying a sign: literal pieces in order, with gaps between them.

    pieces are normalised. literals must all occur in a text before the expression is compiled and tried.
    """

    pieces: tuple[str, ...]
    english: bool
    literals: tuple[str, ...]
    _compiled: list[re.Pattern[str]] = field(default_factory=list, compare=False, repr=False)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the phrase stands in a normalised text, as (start, end)."""
        for literal in self.literals:
            if literal not in text:
                return
        if not self._compiled:
            self._compiled.append(re.compile(self._expression()))
        for match in self._compiled[0].finditer(text):
            yield match.span()

    def _expression(self) -> str:
        if not self.english:
            return CHINESE_GAP.join(re.escape(piece) for piece in self.pieces)
        words = (r"\s+".join(_english_word(word) for word in piece.split()) for piece in self.pieces)
        return r"\b" + rf"\s+{ENGLISH_GAP}".join(words) + r"\b"


def _english_word(word: str) -> str:
    return re.escape(word[:-1]) + r"\w*" if word.endswith("~") else re.escape(word)


def parse_phrase(written: str) -> list[Phrase]:
    """Every plain phrase a written one stands for."""
    plain = {written}
    while any("(" in text for text in plain):
        plain = {expanded for text in plain for expanded in _innermost_expanded(text)}
        if len(plain) > MAX_ALTERNATIVES:
            raise InvalidKnowledge(f"phrase {written!r} stands for more than {MAX_ALTERNATIVES}; split it")
        if any("(" in text and not _INNERMOST_GROUP.search(text) for text in plain):
            raise InvalidKnowledge(f"phrase {written!r}: a parenthesis is not closed")
    if any(mark in text for text in plain for mark in ")|"):
        raise InvalidKnowledge(f"phrase {written!r}: `|` and `)` belong inside parentheses")
    return [_plain_phrase(text, written) for text in sorted(plain)]


def _innermost_expanded(text: str) -> list[str]:
    group = _INNERMOST_GROUP.search(text)
    if group is None:
        return [text]
    return [text[: group.start()] + choice + text[group.end() :] for choice in group[1].split("|")]


def _plain_phrase(text: str, written: str) -> Phrase:
    pieces = tuple(piece for part in text.split("..") if (piece := normalise(part).strip()))
    if not pieces:
        raise InvalidKnowledge(f"phrase {written!r} may be empty; say something that must stand there")
    literals = tuple(literal for piece in pieces for literal in piece.split("~") if literal.strip())
    return Phrase(pieces, "".join(pieces).isascii(), literals)
