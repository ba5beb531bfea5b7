"""Phrases as the knowledge records write them, turned into something that finds them in a text.

`(a|b)` any of them, `(a|)` that or nothing, `..` a gap inside a clause (Chinese up to 8 characters,
English up to 5 words, never across a negation), `~` any ending of an English word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from knowledge.errors import InvalidKnowledge
from rag.wording import normalise

CLAUSE_MARKS = "，。；！？,;!?\n"
CHINESE_GAP = rf"[^{CLAUSE_MARKS}、:：不没无未]{{0,8}}?"
WHOLE_NUMBER = r"(?!(?<=\d)[\d万])"  # 12 is not said by 120, nor by 12万
ENGLISH_GAP = rf"\s+(?:(?!\b(?:no|not|never|without|but)\b)[^{CLAUSE_MARKS}.\s]+\s+){{0,5}}?"

_TOKEN = re.compile(r"\(|\)|\||\.\.|~|[^()|~.]+|\.")
_NUMERALS = {**dict(zip("一二三四五六七八九", "123456789", strict=True)), "两": "2", "十": "10", "半": r"0\.5"}
_NUMERAL = re.compile("[" + "".join(_NUMERALS) + "]")


@dataclass(frozen=True)
class Phrase:
    """One written phrase.

    expression: the regular expression it stands for, compiled when it is first needed.
    needed: of every set in it, one literal must occur in a text before the expression is tried.
    """

    expression: str
    needed: tuple[tuple[str, ...], ...]
    _compiled: list[re.Pattern[str]] = field(default_factory=list, compare=False, repr=False)

    def telling(self) -> tuple[str, ...]:
        """The literals of which one must occur, chosen to occur by chance as seldom as possible."""
        return max(self.needed, key=lambda literals: min(map(len, literals)))

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the phrase stands in a normalised text, as (start, end)."""
        for literals in self.needed:
            if not any(literal in text for literal in literals):
                return
        if not self._compiled:
            self._compiled.append(re.compile(self.expression))
        for match in self._compiled[0].finditer(text):
            if match.end() > match.start():
                yield match.span()


@dataclass(frozen=True)
class _Part:
    """A piece of a phrase while it is read: its expression, and the literal sets a text must hold for it."""

    expression: str
    needed: tuple[tuple[str, ...], ...] = ()


_remembered: dict[str, Phrase] = {}


def remember_phrases(parsed: Mapping[str, Phrase]) -> None:
    """Phrases as they are written, with what parsing them gave: they are not parsed again."""
    _remembered.update(parsed)


def parse_phrases(written: Iterable[str]) -> list[Phrase]:
    """The phrases a record writes, normalised together: one pass over a thousand is far quicker than a thousand passes.

    Raises InvalidKnowledge when a phrase's parentheses do not match or it may be empty.
    """
    lines = list(written)
    new = [line for line in dict.fromkeys(lines) if line not in _remembered]
    plain = normalise("\n".join(new)).split("\n") if new else []
    parsed = {line: _parsed(normal, line) for normal, line in zip(plain, new, strict=True)}
    return [_remembered.get(line) or parsed[line] for line in lines]


def _parsed(plain: str, written: str) -> Phrase:
    plain = re.sub(r"\s*\.\.\s*", "..", plain)
    english = plain.isascii()
    tokens = _TOKEN.findall(plain.strip())
    part, rest = _sequence(tokens, english, written)
    if rest:
        raise InvalidKnowledge(f"phrase {written!r}: `{rest[0]}` stands outside parentheses")
    if not part.needed:
        raise InvalidKnowledge(f"phrase {written!r}: nothing in it must be there; say a word that must")
    # a word ends where letters and digits end: \b would see none between English and Chinese
    return Phrase(
        rf"(?<![a-z0-9]){part.expression}(?![a-z0-9])" if english else f"{part.expression}{WHOLE_NUMBER}", part.needed
    )


def _sequence(tokens: list[str], english: bool, written: str) -> tuple[_Part, list[str]]:
    """Reads until the end, `|` or `)`; gives what was read and the tokens that are left."""
    expression = ""
    needed: list[tuple[str, ...]] = []
    while tokens and tokens[0] not in ("|", ")"):
        token, *tokens = tokens
        if token == "(":
            part, tokens = _group(tokens, english, written)
        elif token == "..":
            part = _Part(ENGLISH_GAP if english else CHINESE_GAP)
        elif token == "~":
            part = _Part(r"\w*")
        else:
            part = _literal(token, english)
        expression += part.expression
        needed += part.needed
    return _Part(expression, tuple(needed)), tokens


def _group(tokens: list[str], english: bool, written: str) -> tuple[_Part, list[str]]:
    choices = []
    while True:
        part, tokens = _sequence(tokens, english, written)
        choices.append(part)
        if not tokens:
            raise InvalidKnowledge(f"phrase {written!r}: a parenthesis is not closed")
        mark, *tokens = tokens
        if mark == ")":
            break
    expression = "(?:" + "|".join(choice.expression for choice in choices) + ")"
    if not all(choice.needed for choice in choices):
        return _Part(expression), tokens
    most_telling = (max(choice.needed, key=lambda literals: min(map(len, literals))) for choice in choices)
    return _Part(expression, (tuple(literal for literals in most_telling for literal in literals),)), tokens


def _literal(text: str, english: bool) -> _Part:
    if english:
        words = text.split(" ")
        longest = max(words, key=len)
        return _Part(r"\s+".join(map(re.escape, words)), ((longest,),) if longest else ())
    expression = "".join(rf"(?:{mark}|{_NUMERALS[mark]})" if mark in _NUMERALS else re.escape(mark) for mark in text)
    longest = max(_NUMERAL.split(text), key=len)
    return _Part(expression, ((longest,),) if longest else ())
