"""Where a sentence stands word for word: a right sentence under a wrong number is cited to the passage that says it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from rag.passages import Passage
from rag.sentences import split_sentences

SHORTEST = 6  # letters and digits of a sentence that can be known by its words alone


def where_it_stands(text: str, cited: Sequence[Passage], shown: Iterable[Passage]) -> list[Passage]:
    """The passages a written sentence rests on.

    Those it cites, unless none of them has it as a sentence of its own and another of the passages shown has: then the
    first that has. A sentence in other words keeps its citation, and the gates judge that.
    """
    said = _letters(text)
    if len(said) < SHORTEST or any(said in _sentences(one.text) for one in cited):
        return list(cited)
    home = next((one for one in shown if said in _sentences(one.text)), None)
    return list(cited) if home is None else [home]


@lru_cache(maxsize=256)
def _sentences(text: str) -> frozenset[str]:
    return frozenset(_letters(sentence.text) for sentence in split_sentences(text))


def _letters(text: str) -> str:
    """What is said without marks, blanks and capitals."""
    return "".join(filter(str.isalnum, text)).casefold()
