"""A model's text, as it arrives, into sentences and the keys each one cites."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_KEYS = r"(?:\s*[\[［【]\s*(?:资料|passage)?\s*\d{1,3}(?:\s*[,，、]\s*\d{1,3})*\s*[\]］】])"
# a sentence ends at its mark and the keys behind it, at keys before the mark, or at a line break
_END = re.compile(
    rf"{_KEYS}+\s*[。.!！?？;；]?|[。！？!?](?!{_KEYS})[”’」』）)\"']*{_KEYS}*|(?<!\d)\.(?=\s){_KEYS}*|\n+",
    re.IGNORECASE,
)
_KEY = re.compile(r"\d{1,3}")
_BRACKETED = re.compile(_KEYS, re.IGNORECASE)
LONGEST_SENTENCE = 600  # characters without an end: cut there, so that a runaway model is judged too


@dataclass(frozen=True)
class WrittenSentence:
    """A sentence as a model wrote it, without its keys, and the keys it cites; none where it cites nothing."""

    text: str
    keys: tuple[str, ...]


def written_sentences(pieces: Iterable[str]) -> Iterator[WrittenSentence]:
    """Sentences in order, each as soon as what follows shows that it is complete."""
    buffer = ""
    for piece in pieces:
        buffer += piece
        while (end := _complete(buffer)) is not None:
            yield from _sentence(buffer[:end])
            buffer = buffer[end:]
    yield from _sentence(buffer)


def reads_back(text: str) -> bool:
    """Whether a sentence with a key behind it is read as that one sentence: some marks within would cut it."""
    return [sentence.text for sentence in written_sentences([f"{text} [1]"])] == [text]


def _complete(buffer: str) -> int | None:
    """Where the first sentence ends, if more text behind it shows that no key is still to come."""
    for match in _END.finditer(buffer):
        rest = buffer[match.end() :].lstrip(" \t")
        if rest and rest[0] not in "[［【。.!！?？" and re.search(r"\w", buffer[: match.end()]):
            return match.end()
    return LONGEST_SENTENCE if len(buffer) > LONGEST_SENTENCE else None


def _sentence(raw: str) -> Iterator[WrittenSentence]:
    keys = tuple(dict.fromkeys(key for group in _BRACKETED.findall(raw) for key in _KEY.findall(group)))
    text = _BRACKETED.sub("", raw).strip(" \t\n-*•·#>")
    text = re.sub(r"^\d{1,2}[.、)]\s*(?=\D)", "", text)
    if re.search(r"\w", text):
        yield WrittenSentence(text, keys)
