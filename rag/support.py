"""Whether a passage says what a sentence says: its words, numbers, medicines, patients, and no contradiction.

A deterministic check, not an entailment model: it can be read, and it errs on one side. Each clause of the sentence is
held against the clauses of the passage that speak of the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache

from knowledge.contrasts import load_contrasts
from rag.medicines import medicines_named, without_medicines
from rag.quantities import competes, gives, prepared, quantities_in, unsupported_quantities
from rag.sentences import split_sentences
from rag.wording import normalise
from rag.words import share_covered, tokens_of

MIN_COVERED = 0.5  # of a sentence's words must stand in the passage or its headings
MIN_CLAUSE_COVERED = 0.34  # of each clause's words
MIN_ALIGNED = 0.2  # of a clause's words: with fewer shared the passage's clause speaks of something else
ALIGNED_SHARE = 0.85  # of the best clause's overlap: such clauses too may support one of the sentence
KEPT_SHARE = 0.3  # of a limiting clause's words must be said too
COPIED_RATIO = 0.7  # of two clauses, by their characters or words in order, from which one is a copy of the other
MIXED_SHARE = 0.2  # of a clause's words may stand only in sentences other than the one it rests on
NEGATION_REACH = 24  # characters a negation reaches within its clause
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_UNIT = re.compile(r"[\u3400-\u9fff]|[a-z]+(?=s\b|\b)|\d+(?:\.\d+)?|[^\s\w]")
_CLAUSE = re.compile(r"[，；;：。！!？?\n]+|[,.:]+(?!\d)|\b(?:but|and then|while|whereas)\b")
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
    """A medicine the passage does not name, or one it names for something else."""
    said = medicines_named(claim.sentence)
    if not said <= medicines_named(f"{claim.headings}\n{claim.passage}"):
        return True
    for clause, sentence in _sentences_rested_on(claim):
        near = medicines_named(sentence)
        if medicines_named(clause) - (near or said):
            return True
    return False


def _number(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """A number nobody gave, or one the passage gives for something else."""
    if unsupported_quantities(claim.sentence, claim.passage):
        return True
    theirs = {part: set(_content(part)) for part in _parts(claim.passage)}
    for part in _parts(claim.sentence):
        own = set(_content(part))
        for quantity in quantities_in(part):
            holding = max((len(own & words) for other, words in theirs.items() if gives(other, quantity)), default=0)
            rival = max((len(own & words) for other, words in theirs.items() if competes(quantity, other)), default=0)
            if rival > holding:
                return True
    return False


def _population(claim: Claim, _weights: Mapping[str, float]) -> bool:
    said, known = populations(claim.sentence), populations(f"{claim.headings}\n{claim.told}")
    if not said <= populations(claim.passage) | populations(claim.headings):
        return True
    rests_on = nearest_sentence(claim.sentence, claim.passage)
    return not populations(rests_on) <= said | known


def _polarity(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """A clause denied that the passage affirms, or the other way round; or a word used as if the passage did not deny it."""
    for clause, aligned in _alignment(claim, at_least=0.4):
        if aligned and all(_is_negated(clause) != _is_negated(other) for other in aligned):
            return True
    rests_on = nearest_sentence(claim.sentence, claim.passage)
    denied, affirmed = _by_polarity(rests_on)
    return bool((denied - affirmed) & (_by_polarity(claim.sentence)[1] - _by_polarity(claim.sentence)[0]))


def _mixed(claim: Claim, weights: Mapping[str, float]) -> bool:
    """A clause that says of one thing what the passage says of another: its words stand in different sentences."""
    sentences = [set(_content(part.text)) for part in split_sentences(claim.passage)]
    topic = set(_content(f"{claim.headings} {_clauses(claim.passage)[0] if _clauses(claim.passage) else ''}"))
    rest = max(weights.values(), default=1.0)
    for clause, sentence in _sentences_rested_on(claim):
        own, near = set(_content(clause)), set(_content(sentence))
        elsewhere = {
            token for token in own - near - topic if len(token) > 1 and any(token in other for other in sentences)
        }
        weight = sum(weights.get(token, rest) for token in elsewhere)
        if weight > MIXED_SHARE * sum(weights.get(token, rest) for token in own):
            return True
    return False


def _restricted(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """A sentence that leaves out the clause by which the passage limits what it says."""
    said = set(_content(f"{claim.sentence} {claim.headings} {claim.told}"))
    sentence = nearest_sentence(claim.sentence, claim.passage)
    rests_on = _clauses(sentence)
    for clause in rests_on if len(rests_on) > 1 else []:
        words = set(_content(clause))
        if words and _words().restriction.search(normalise(clause)) and len(words & said) < KEPT_SHARE * len(words):
            return True
    return False


def _substituted(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """A clause copied but for a word or two that carry meaning: in a copy, a changed word is a changed claim."""
    theirs = [_units(clause) for clause in _parts(claim.passage)]
    for clause in _parts(claim.sentence):
        own = _units(clause)
        compared = [(SequenceMatcher(None, own, other, autojunk=False), other) for other in theirs]
        best, copied = max(compared, key=lambda pair: pair[0].ratio(), default=(None, []))
        if best is None or best.ratio() < COPIED_RATIO:
            continue
        for kind, start, end, their_start, their_end in best.get_opcodes():
            changed = _meaning(own[start:end]), _meaning(copied[their_start:their_end])
            if kind == "replace" and all(changed):
                return True
    return False


def _units(clause: str) -> list[str]:
    """What a clause is compared by: Chinese characters, English words without endings, numbers; bounds and units spelled alike."""
    return _UNIT.findall(prepared(clause))


def _meaning(units: Sequence[str]) -> str:
    """What of a changed stretch carries meaning."""
    text = ("" if all(_CHINESE.match(unit) for unit in units) else " ").join(units)
    return _words().interchangeable.sub("", text).strip(" 0123456789.%-~/")


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
    """Too few of the sentence's words, or of one of its clauses, stand in the passage: something was added."""
    given = tokens_of(f"{claim.headings}\n{claim.passage}\n{claim.told}")
    rest = max(weights.values(), default=1.0)

    def covered(text: str) -> float:
        return share_covered({token: weights.get(token, rest) for token in tokens_of(text)}, given)

    if covered(claim.sentence) < MIN_COVERED:
        return True
    return any(
        covered(clause) < MIN_CLAUSE_COVERED for clause in _clauses(claim.sentence) if len(_content(clause)) >= 4
    )


# the first that fails is the reason; cheap and certain ones come first
_CHECKS: dict[str, Callable[[Claim, Mapping[str, float]], bool]] = {
    "quotation": _quotation,
    "medicine": _medicine,
    "number": _number,
    "words": _words_missing,
    "population": _population,
    "negation": _polarity,
    "restriction": _restricted,
    "changed word": _substituted,
    "subject": _mixed,
    "opposite": _opposite,
    "certainty": _certainty,
}


def _plain(text: str) -> str:
    return re.sub(r"[\s\W_]+", "", normalise(text))


def _clauses(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in _CLAUSE.split(text)) if re.search(r"\w", part)]


def _parts(text: str) -> list[str]:
    """Clauses, and within them what an enumeration or an "and" sets apart."""
    return [
        part
        for clause in _clauses(text)
        for part in re.split(r"、|\band\b|而不是|\bor\b(?=[^\d]*$)", clause)
        if re.search(r"\w", part)
    ]


def _alignment(claim: Claim, at_least: float = MIN_ALIGNED) -> list[tuple[str, list[str]]]:
    """Each clause of the sentence with the passage's clauses that share most of its words."""
    theirs = _clauses(claim.passage)
    tokens = [set(_content(clause)) for clause in theirs]
    pairs = []
    for clause in _clauses(claim.sentence):
        own = set(_content(clause))
        shared = [len(own & other) / (len(own) or 1) for other in tokens]
        best = max(shared, default=0.0)
        chosen = [place for place, share in enumerate(shared) if share > at_least and share >= ALIGNED_SHARE * best]
        pairs.append((clause, [theirs[place] for place in chosen]))
    return pairs


def _sentences_rested_on(claim: Claim) -> list[tuple[str, str]]:
    """Each clause of the sentence with the passage's sentence that shares most of its words, medicines apart."""
    return [(clause, nearest_sentence(without_medicines(clause), claim.passage)) for clause in _clauses(claim.sentence)]


def _by_polarity(text: str) -> tuple[set[str], set[str]]:
    """The words of a text that stand under a negation, and those that do not; words of two characters or more."""
    words = _words()
    denied: set[str] = set()
    affirmed: set[str] = set()
    for clause in _clauses(text):
        plain = words.not_negation.sub("", normalise(clause))
        found = words.negation.search(plain)
        if found is None:
            affirmed |= {token for token in _content(plain) if len(token) > 1}
        else:
            reach = plain[found.start() : found.start() + NEGATION_REACH]
            denied |= {token for token in _content(reach) if len(token) > 1}
    return denied, affirmed


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


def populations(text: str) -> set[str]:
    """Whom a text is about, by the names in contrasts.yaml: child, pregnant, old, ..."""
    plain = normalise(text)
    return {name for name, pattern in _words().populations.items() if pattern.search(plain)}


class _Words:
    """The expressions of contrasts.yaml, compiled."""

    def __init__(self) -> None:
        records = load_contrasts()
        self.negation = _either(records.negation.zh, records.negation.en)
        self.not_negation = _either(records.not_negation.zh, records.not_negation.en)
        exchange = records.interchangeable
        self.interchangeable = re.compile(
            f"(?:{'|'.join(sorted(exchange.zh.split('|'), key=len, reverse=True))})|\\b(?:{exchange.en})\\b"
        )
        self.restriction = _either(records.restriction.zh, records.restriction.en)
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
