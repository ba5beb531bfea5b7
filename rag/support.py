"""Whether a passage says what a sentence says: its words, numbers, medicines, patients, and no contradiction.

A deterministic check, not an entailment model: it can be read, and it errs on one side. Each clause of the sentence is
held against the clauses of the passage that speak of the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from knowledge.script import holds_chinese
from rag.clauses import (
    by_polarity,
    clauses_of,
    content_words,
    is_negated,
    letters_of,
    nearest_sentence,
    parts_of,
    units_of,
)
from rag.contrast_words import contradicts, contrast_words
from rag.medicines import medicines_named, without_medicines
from rag.quantities import competes, gives, quantities_in, unsupported_quantities
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
    whole = {letters_of(part.text) for part in split_sentences(passage)}
    return all(letters_of(part.text) in whole for part in split_sentences(sentence))


def _quotation(claim: Claim, _weights: Mapping[str, float]) -> bool:
    given = letters_of(claim.passage)
    quoted = (next(filter(None, match.groups())) for match in _QUOTED.finditer(claim.sentence))
    return any(letters_of(span) not in given for span in quoted)


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
    theirs = {part: set(content_words(part)) for part in parts_of(claim.passage)}
    for part in parts_of(claim.sentence):
        own = set(content_words(part))
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
        if aligned and all(is_negated(clause) != is_negated(other) for other in aligned):
            return True
    rests_on = nearest_sentence(claim.sentence, claim.passage)
    denied, affirmed = by_polarity(rests_on)
    own_denied, own_affirmed = by_polarity(claim.sentence)
    return bool((denied - affirmed) & (own_affirmed - own_denied))


def _mixed(claim: Claim, weights: Mapping[str, float]) -> bool:
    """A clause that says of one thing what the passage says of another: its words stand in different sentences."""
    sentences = [set(content_words(part.text)) for part in split_sentences(claim.passage)]
    first = next(iter(clauses_of(claim.passage)), "")
    topic = set(content_words(f"{claim.headings} {first}"))
    rest = max(weights.values(), default=1.0)
    for clause, sentence in _sentences_rested_on(claim):
        own, near = set(content_words(clause)), set(content_words(sentence))
        elsewhere = {
            token for token in own - near - topic if len(token) > 1 and any(token in other for other in sentences)
        }
        weight = sum(weights.get(token, rest) for token in elsewhere)
        if weight > MIXED_SHARE * sum(weights.get(token, rest) for token in own):
            return True
    return False


def _restricted(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """A sentence that leaves out the clause by which the passage limits what it says."""
    said = set(content_words(f"{claim.sentence} {claim.headings} {claim.told}"))
    sentence = nearest_sentence(claim.sentence, claim.passage)
    rests_on = clauses_of(sentence)
    for clause in rests_on if len(rests_on) > 1 else []:
        words = set(content_words(clause))
        limits = contrast_words().restriction.search(normalise(clause)) is not None
        if words and limits and len(words & said) < KEPT_SHARE * len(words):
            return True
    return False


def _substituted(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """A clause copied but for a word or two that carry meaning: in a copy, a changed word is a changed claim."""
    theirs = [units_of(clause) for clause in parts_of(claim.passage)]
    for clause in parts_of(claim.sentence):
        own = units_of(clause)
        compared = [(SequenceMatcher(None, own, other, autojunk=False), other) for other in theirs]
        best, copied = max(compared, key=lambda pair: pair[0].ratio(), default=(None, []))
        if best is None or best.ratio() < COPIED_RATIO:
            continue
        for kind, start, end, their_start, their_end in best.get_opcodes():
            changed = _meaning(own[start:end]), _meaning(copied[their_start:their_end])
            if kind == "replace" and all(changed):
                return True
    return False


def _meaning(units: Sequence[str]) -> str:
    """What of a changed stretch carries meaning."""
    text = ("" if all(holds_chinese(unit) for unit in units) else " ").join(units)
    return contrast_words().interchangeable.sub("", text).strip(" 0123456789.%-~/")


def _opposite(claim: Claim, _weights: Mapping[str, float]) -> bool:
    return any(all(contradicts(clause, other) for other in aligned) for clause, aligned in _alignment(claim) if aligned)


def _certainty(claim: Claim, _weights: Mapping[str, float]) -> bool:
    """An absolute claim the passage does not make, or a careful one made without its care."""
    language = "zh" if holds_chinese(claim.sentence) else "en"
    said, rests_on = normalise(claim.sentence), normalise(nearest_sentence(claim.sentence, claim.passage))
    absolute, hedges = contrast_words().absolute[language], contrast_words().hedges[language]
    if absolute.search(said) and not absolute.search(rests_on):
        return True
    same_language = holds_chinese(rests_on) == (language == "zh")
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
        covered(clause) < MIN_CLAUSE_COVERED for clause in clauses_of(claim.sentence) if len(content_words(clause)) >= 4
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


def _alignment(claim: Claim, at_least: float = MIN_ALIGNED) -> list[tuple[str, list[str]]]:
    """Each clause of the sentence with the passage's clauses that share most of its words."""
    theirs = clauses_of(claim.passage)
    tokens = [set(content_words(clause)) for clause in theirs]
    pairs = []
    for clause in clauses_of(claim.sentence):
        own = set(content_words(clause))
        shared = [len(own & other) / (len(own) or 1) for other in tokens]
        best = max(shared, default=0.0)
        chosen = [place for place, share in enumerate(shared) if share > at_least and share >= ALIGNED_SHARE * best]
        pairs.append((clause, [theirs[place] for place in chosen]))
    return pairs


def _sentences_rested_on(claim: Claim) -> list[tuple[str, str]]:
    """Each clause of the sentence with the passage's sentence that shares most of its words, medicines apart."""
    return [
        (clause, nearest_sentence(without_medicines(clause), claim.passage)) for clause in clauses_of(claim.sentence)
    ]


def populations(text: str) -> set[str]:
    """Whom a text is about, by the names in contrasts.yaml: child, pregnant, old, ..."""
    plain = normalise(text)
    return {name for name, pattern in contrast_words().populations.items() if pattern.search(plain)}
