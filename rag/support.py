"""Whether a passage says what a sentence says: its words, numbers, medicines, patients, and no contradiction.

A deterministic check, not an entailment model: it can be read, and it errs on one side. Each clause of the sentence is
held against the clauses of the passage that speak of the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from knowledge.contrasts import load_contrasts
from rag.lexical import share_covered, tokens_of
from rag.medicines import medicines_named
from rag.quantities import unsupported_quantities
from rag.sentences import split_sentences
from rag.wording import normalise

MIN_COVERED = 0.55  # of a sentence's words must stand in the passage or its headings
ALIGNED_SHARE = 0.6  # of the best clause's overlap: such clauses too may support one of the sentence
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_CLAUSE = re.compile(r"[，,；;：:。.!！?？\n]+(?!\d)|\b(?:but|and then|while|whereas)\b")
_QUOTED = re.compile(r"“([^”]+)”|「([^」]+)」|『([^』]+)』|\"([^\"]+)\"")


@dataclass(frozen=True)
class Claim:
    """A sentence, the passage it is to rest on, and what else may be taken as said.

    headings: the passage's title and section. told: the patient's own words, which may name who is ill.
    """

    sentence: str
    passage: str
    headings: str = ""
    told: str = ""


def unsupported(claim: Claim, weights: Mapping[str, float] | None = None) -> str | None:
    """Why the passage does not support the sentence, in a word or two; None where it does.

    weights: rarity by token, from the index; without it all words weigh alike.
    """
    if is_quoted(claim.sentence, claim.passage):
        return None
    return next((name for name, fails in _CHECKS.items() if fails(claim, weights or {})), None)


def is_quoted(sentence: str, passage: str) -> bool:
    """Whether the sentence is one or more whole sentences of the passage, word for word; a part of one may mean something else."""
    whole = {_plain(part.text) for part in split_sentences(passage)}
    return all(_plain(part.text) in whole for part in split_sentences(sentence))


def _quotation(claim: Claim, _weights: Mapping[str, float]) -> bool:
    plain = _plain(claim.passage)
    quoted = (next(filter(None, match.groups())) for match in _QUOTED.finditer(claim.sentence))
    return any(_plain(span) not in plain for span in quoted)


def _medicine(claim: Claim, _weights: Mapping[str, float]) -> bool:
    given = medicines_named(f"{claim.headings}\n{claim.passage}")
    return not medicines_named(claim.sentence) <= given


def _number(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """A number nobody gave, or one the passage gives for something else."""
    if unsupported_quantities(claim.sentence, claim.passage):
        return True
    return any(unsupported_quantities(clause, " ".join(aligned)) for clause, aligned in _alignment(claim, context=1))


def _population(claim: Claim, _weights: Mapping[str, float]) -> bool:
    said, known = _populations(claim.sentence), _populations(f"{claim.headings}\n{claim.told}")
    if not said <= _populations(claim.passage) | _populations(claim.headings):
        return True
    rests_on = nearest_sentence(claim.sentence, claim.passage)
    return not _populations(rests_on) <= said | known


def _polarity(claim: Claim, _weights: Mapping[str, float]) -> bool:
    return any(
        all(_is_negated(clause) != _is_negated(other) for other in aligned)
        for clause, aligned in _alignment(claim)
        if aligned
    )


def _opposite(claim: Claim, _weights: Mapping[str, float]) -> bool:
    return any(
        all(_contradicts(clause, other) for other in aligned) for clause, aligned in _alignment(claim) if aligned
    )


def _certainty(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """An absolute claim the passage does not make, or a careful one made without its care."""
    language = "zh" if _CHINESE.search(claim.sentence) else "en"
    said, rests_on = normalise(claim.sentence), normalise(nearest_sentence(claim.sentence, claim.passage))
    absolute, hedges = _words().absolute[language], _words().hedges[language]
    if absolute.search(said) and not absolute.search(rests_on):
        return True
    same_language = bool(_CHINESE.search(rests_on)) == (language == "zh")
    return same_language and bool(hedges.search(rests_on)) and not hedges.search(said)


def _words_missing(claim: Claim, weights: Mapping[str, float]) -> bool:
    tokens = tokens_of(claim.sentence)
    rest = max(weights.values(), default=1.0)
    weighed = {token: weights.get(token, rest) for token in tokens}
    return share_covered(weighed, tokens_of(f"{claim.headings}\n{claim.passage}")) < MIN_COVERED


# the first that fails is the reason; cheap and certain ones come first
_CHECKS: dict[str, Callable[[Claim, Mapping[str, float]], bool]] = {
    "quotation": _quotation,
    "medicine": _medicine,
    "number": _number,
    "words": _words_missing,
    "population": _population,
    "negation": _polarity,
    "opposite": _opposite,
    "certainty": _certainty,
}


def _plain(text: str) -> str:
    return re.sub(r"[\s\W_]+", "", normalise(text))


def _clauses(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in _CLAUSE.split(text)) if re.search(r"\w", part)]


def _alignment(claim: Claim, context: int = 0) -> list[tuple[str, list[str]]]:
    """Each clause of the sentence with the passage's clauses that share most of its words; context: neighbours taken along."""
    theirs = _clauses(claim.passage)
    tokens = [set(_content(clause)) for clause in theirs]
    pairs = []
    for clause in _clauses(claim.sentence):
        own = set(_content(clause))
        shared = [len(own & other) / (len(own) or 1) for other in tokens]
        best = max(shared, default=0.0)
        chosen = [
            place for place, share in enumerate(shared) if best > 0.2 and share >= ALIGNED_SHARE * best and share > 0.2
        ]
        if context:
            wide = {place + step for place in chosen for step in range(-context, context + 1)}
            chosen = sorted(place for place in wide if 0 <= place < len(theirs))
        else:
            chosen = [place for place in chosen if shared[place] >= 0.85 * best]
        pairs.append((clause, [theirs[place] for place in chosen]))
    return pairs


def _content(text: str) -> list[str]:
    """Words that carry the subject: no numbers, no negations."""
    return [token for token in tokens_of(_words().negation.sub("", normalise(text))) if not token[0].isdigit()]


def nearest_sentence(sentence: str, passage: str) -> str:
    """The sentence of a passage that shares most words with a sentence."""
    own = set(_content(sentence))
    sentences = [part.text for part in split_sentences(passage)]
    return max(sentences, key=lambda text: len(own & set(_content(text))), default=passage)


def _is_negated(clause: str) -> bool:
    words = _words()
    return len(words.negation.findall(words.not_negation.sub("", normalise(clause)))) % 2 == 1


def _contradicts(said: str, given: str) -> bool:
    said, given = normalise(said), normalise(given)
    return any(
        (_only(said, one, other) and _only(given, other, one)) or (_only(said, other, one) and _only(given, one, other))
        for one, other in _words().opposites
    )


def _only(text: str, one: re.Pattern[str], other: re.Pattern[str]) -> bool:
    return bool(one.search(text)) and not other.search(text)


def _populations(text: str) -> set[str]:
    plain = normalise(text)
    return {name for name, pattern in _words().populations.items() if pattern.search(plain)}


class _Words:
    """The expressions of contrasts.yaml, compiled."""

    def __init__(self) -> None:
        records = load_contrasts()
        self.negation = _either(records.negation.zh, records.negation.en)
        self.not_negation = _either(records.not_negation.zh, records.not_negation.en)
        self.absolute = {"zh": re.compile(records.absolute.zh), "en": re.compile(records.absolute.en)}
        self.hedges = {"zh": re.compile(records.hedges.zh), "en": re.compile(records.hedges.en)}
        self.opposites = [_pair(pair) for pair in (*records.opposites.zh, *records.opposites.en)]
        self.populations = {name: _either(words.zh, words.en) for name, words in records.populations.items()}


def _either(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _pair(pair: Sequence[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    one, other = (re.compile(pattern if _CHINESE.search(pattern) else rf"\b(?:{pattern})\b") for pattern in pair)
    return one, other


@cache
def _words() -> _Words:
    return _Words()
