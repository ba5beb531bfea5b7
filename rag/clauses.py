"""A text taken apart for comparison: its clauses, the words that carry their subject, and what in another text says the same."""

from __future__ import annotations

import re

from knowledge.script import HAN
from rag.contrast_words import contrast_words
from rag.quantities import prepared
from rag.sentences import split_sentences
from rag.wording import normalise
from rag.words import tokens_of

NEGATION_REACH = 24  # characters a negation reaches within its clause
_UNIT = re.compile(rf"[{HAN}]|[a-z]+(?=s\b|\b)|\d+(?:\.\d+)?|[^\s\w]")
_CLAUSE = re.compile(r"[，；;：。！!？?\n]+|[,.:]+(?!\d)|\b(?:but|and then|while|whereas)\b")


def units_of(clause: str) -> list[str]:
    """What a clause is compared by: Chinese characters, English words without endings, numbers; bounds and units spelled alike."""
    return _UNIT.findall(prepared(clause))


def letters_of(text: str) -> str:
    """Its letters and digits alone, normalised: two texts alike in it are word for word the same."""
    return re.sub(r"[\s\W_]+", "", normalise(text))


def clauses_of(text: str) -> list[str]:
    """What stands between its marks, and between words such as "but"; empty ones left out."""
    return [part for part in (piece.strip() for piece in _CLAUSE.split(text)) if re.search(r"\w", part)]


def parts_of(text: str) -> list[str]:
    """Clauses, and within them what an enumeration or an "and" sets apart."""
    return [
        part
        for clause in clauses_of(text)
        for part in re.split(r"、|\band\b|而不是|\bor\b(?=[^\d]*$)", clause)
        if re.search(r"\w", part)
    ]


def by_polarity(text: str) -> tuple[set[str], set[str]]:
    """The words of a text that stand under a negation, and those that do not; words of two characters or more."""
    words = contrast_words()
    denied: set[str] = set()
    affirmed: set[str] = set()
    for clause in clauses_of(text):
        normal = words.not_negation.sub("", normalise(clause))
        found = words.negation.search(normal)
        if found is None:
            affirmed |= {token for token in content_words(normal) if len(token) > 1}
        else:
            reach = normal[found.start() : found.start() + NEGATION_REACH]
            denied |= {token for token in content_words(reach) if len(token) > 1}
    return denied, affirmed


def content_words(text: str) -> list[str]:
    """Words that carry the subject: no numbers, no negations."""
    return [token for token in tokens_of(contrast_words().negation.sub("", normalise(text))) if not token[0].isdigit()]


def nearest_sentence(sentence: str, passage: str) -> str:
    """The sentence of a passage that shares most words with a sentence."""
    own = set(content_words(sentence))
    sentences = [part.text for part in split_sentences(passage)]
    return max(sentences, key=lambda text: len(own & set(content_words(text))), default=passage)


def is_negated(clause: str) -> bool:
    """Whether a clause denies: two negations affirm."""
    words = contrast_words()
    return len(words.negation.findall(words.not_negation.sub("", normalise(clause)))) % 2 == 1
