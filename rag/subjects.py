"""What a question is about: the names of guides and documents that it holds.

A source's names are its title, the parts of a title that joins two subjects, and the other names it is searched by.
Chinese names are found as they stand, English ones by their words in any order; of names that overlap the longest counts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from knowledge.records import Language
from rag.passages import Passage
from rag.patient import told_of
from rag.support import populations
from rag.topics import content_of
from rag.wording import normalise
from rag.words import share_covered, tokens_of

YOUNG = frozenset({"newborn", "baby", "child", "teenager"})
AS_TITLE, AS_OTHER_NAME = 1.0, 0.8  # how surely a source is about what it is called
MIN_CHARS = {"zh": 2, "en": 3}
MIN_MISTYPED = {"zh": 4, "en": 7}  # characters of a name or word in which a mistake is mended
MIN_MISTYPED_END = 5  # of a Chinese name whose first or last character is the mistaken one
_TITLE_PARTS = re.compile(r"[与和及、（）()：:]|\band\b|\bor\b")
_FOR_THE_YOUNG = re.compile(
    r"孩子|小孩|儿童|小儿|宝宝|婴儿|新生儿|娃娃|娃|\b(?:in|of|for) (?:a |the )?(?:children|child|baby|boys|girl|kids?|newborn)\b"
    r"|\b(?:child(?:ren)?(?:'s)?|childhood|baby|toddler|kids?|newborn)\b"
)
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_WORD = re.compile(rf"[a-z]{{{MIN_MISTYPED['en']},}}")
_PAIN = "pain"
_PAINS = frozenset({"ache", "aches", "aching", "hurt", "painful", "pain", "sore"})
_SHORT_PLURAL = re.compile(r"^([a-z]{2}[a-rtv-z])s$")
_GAPS = 2  # further words that may stand between an English name's own


@dataclass(frozen=True)
class Named:
    """A name found in a question. tokens: its words, which the question has said with it; sources: id → how surely."""

    name: str
    tokens: frozenset[str]
    sources: Mapping[str, float]


@dataclass(frozen=True)
class Subject:
    """What a question is about. named: the names in it; rest: its other words, apart from those by which it is put."""

    named: tuple[Named, ...] = ()
    rest: frozenset[str] = frozenset()

    def surely(self, source_id: str) -> float:
        """How surely the question names a source, in [0, 1]."""
        return max((name.sources.get(source_id, 0.0) for name in self.named), default=0.0)

    def tokens(self, source_id: str | None = None) -> frozenset[str]:
        """The words of all names, or of those of one source."""
        held = (name.tokens for name in self.named if source_id is None or source_id in name.sources)
        return frozenset().union(*held)

    def main_name(self, source_id: str) -> Named | None:
        """The name by which the question means a source; None where it names it not."""
        names = [name for name in self.named if source_id in name.sources]
        return max(names, key=lambda name: (name.sources[source_id], len(name.name)), default=None)

    def shares(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Source id -> the share of what the question is about, by rarity, that the source's names make up, as surely
        as they are its names."""
        asked = {token: weights.get(token, 0.0) for token in (*self.tokens(), *self.rest)}
        sources = {source_id for name in self.named for source_id in name.sources}
        return {
            source_id: self.surely(source_id) * share_covered(asked, list(self.tokens(source_id)))
            for source_id in sources
        }


@dataclass(frozen=True)
class _Name:
    """Who bears a name. for_young: the source is about children; bare: its name without that, which means it only for them."""

    source_id: str
    surely: float
    for_young: bool
    bare: bool


class SubjectNames:
    """Every source's names in one language."""

    def __init__(
        self, firsts: Iterable[Passage], language: Language, is_known: Callable[[str], bool] = lambda _: True
    ) -> None:
        """firsts: of each source the first passage, which carries its names. is_known: whether any text holds a word; one
        that none holds and that is one letter from a name's is taken for a mistake in typing."""
        self.language = language
        self._is_known = is_known
        self._names: defaultdict[str, list[_Name]] = defaultdict(list)
        written: set[str] = set()
        for passage in firsts:
            if passage.kind == "department":
                continue
            written.update((normalise(passage.title), normalise(passage.search_terms)))
            for key, name in self._names_of(passage):
                if all(known.source_id != name.source_id for known in self._names[key]):
                    self._names[key].append(name)
        self._longest_first = sorted(self._names, key=lambda key: -len(key))
        self._by_word: defaultdict[str, list[str]] = defaultdict(list)
        if language == "en":
            for key in self._longest_first:
                self._by_word[key.split()[0]].append(key)
        long = [key for key in self._longest_first if language == "zh" and len(key) >= MIN_MISTYPED["zh"]]
        self._slipped = {f"{key[:at]}?{key[at + 1 :]}": key for key in long for at in range(len(key))}
        self._lengths = sorted({len(key) for key in long}, reverse=True)
        self._words = sorted({word for name in written for word in _WORD.findall(name)}) if language == "en" else []

    def _names_of(self, passage: Passage) -> Iterator[tuple[str, _Name]]:
        title = normalise(passage.title)
        for_young = bool(populations(title) & YOUNG)
        names = {title: (AS_TITLE, False)}
        for part in _TITLE_PARTS.split(title):
            if self.language == "zh" or len(tokens_of(part)) > 1:
                names.setdefault(part.strip(), (AS_TITLE, for_young and not populations(part) & YOUNG))
        for line in passage.search_terms.split("\n"):
            names.setdefault(normalise(line).strip(), (AS_OTHER_NAME, False))
        for name, (surely, _) in list(names.items()):
            shorter = " ".join(_FOR_THE_YOUNG.sub(" ", name).split())
            if for_young and shorter != name and len(shorter) > 1:
                names.setdefault(shorter, (surely, True))
        for name, (surely, bare) in names.items():
            if key := self._key(name):
                yield key, _Name(passage.source_id, surely, for_young, bare)

    def _key(self, name: str) -> str:
        """A name as it is looked for; "" for one that says too little: a word or two, or only words by which one asks."""
        plain = folded(name)
        if len(plain) < MIN_CHARS[self.language] or not content_of(plain, self.language):
            return ""
        if self.language == "zh":
            return plain
        words = _english_words(plain)
        return " ".join(sorted(set(words))) if 2 * len(words) >= len(plain.split()) and words != [_PAIN] else ""

    def read(self, question: str, told: str = "") -> Subject:
        """What a question is about. told: everything the patient has said, which tells whether a child is ill."""
        young = bool(told_of(f"{told} {question}") & YOUNG)
        found, left = self._words_in(question) if self.language == "en" else self._stretches_in(question)
        rest = frozenset(tokens_of(content_of(left, self.language)))
        if self.language == "en":
            rest = rest.difference(*(tokens for _, tokens in found))
        named = []
        for key, tokens in found:
            owners = [name for name in self._names[key] if young or not name.bare]
            suited = [name for name in owners if name.for_young == young] or owners
            if suited:
                named.append(Named(key, tokens, {name.source_id: name.surely for name in suited}))
        return Subject(tuple(named), rest)

    def _stretches_in(self, text: str) -> tuple[list[tuple[str, frozenset[str]]], str]:
        """Names as stretches of a Chinese text, and what is left of it."""
        plain, left = folded(text), normalise(text)
        found = []
        for key in self._longest_first:
            at = plain.find(key)
            if at < 0:
                continue
            # folding keeps the length, so the patient's own spelling stands at the same place
            said = left[at : at + len(key)]
            found.append((key, frozenset(tokens_of(said))))
            while at >= 0:
                plain = f"{plain[:at]}{'|' * len(key)}{plain[at + len(key) :]}"
                left = f"{left[:at]}{'|' * len(key)}{left[at + len(key) :]}"
                at = plain.find(key)
        return found, left

    def mended(self, text: str) -> str:
        """The text with names in which one letter or character was mistyped set right, normalised where there are any."""
        plain = normalise(text)
        right = self._mended_words(plain) if self.language == "en" else self._mended_stretches(plain)
        return text if right == plain else right

    def _mended_stretches(self, plain: str) -> str:
        """A character is taken for mistyped where every pair it makes with its neighbours in the name is unknown."""
        for at in range(len(plain)):
            if not _CHINESE.match(plain[at]) or not any(self._is_odd(plain, first) for first in (at - 1, at)):
                continue
            for length, start in self._places_around(at, len(plain)):
                written = plain[start : start + length]
                key = self._slipped.get(f"{written[: at - start]}?{written[at - start + 1 :]}")
                inside = [first for first in (at - 1, at) if start <= first < start + length - 1]
                inner = len(inside) == 2 or length >= MIN_MISTYPED_END
                if key and key != written and inner and all(self._is_odd(plain, first) for first in inside):
                    plain = f"{plain[:start]}{key}{plain[start + length :]}"
                    break
        return plain

    def _is_odd(self, plain: str, first: int) -> bool:
        pair = plain[max(0, first) : first + 2]
        return len(pair) == 2 and bool(_CHINESE.match(pair[0]) and _CHINESE.match(pair[1])) and not self._is_known(pair)

    def _places_around(self, at: int, size: int) -> Iterator[tuple[int, int]]:
        """(length, start) of the stretches that hold a place, longest first."""
        for length in self._lengths:
            for start in range(max(0, at - length + 1), min(at, size - length) + 1):
                yield length, start

    def _mended_words(self, plain: str) -> str:
        return _WORD.sub(lambda match: self._mended_word(match[0]), plain)

    def _mended_word(self, word: str) -> str:
        if any(self._is_known(token) for token in tokens_of(word)):
            return word
        near = (name for name in self._words if abs(len(name) - len(word)) <= 1 and name[0] == word[0])
        return next((name for name in near if _one_slip(name, word)), word)

    def _words_in(self, text: str) -> tuple[list[tuple[str, frozenset[str]]], str]:
        """Names as words that stand close together in an English text, and the text."""
        said, words = tokens_of(text), _english_words(text)
        taken: set[int] = set()
        found = []
        for key in sorted(
            {key for word in set(words) for key in self._by_word.get(word, ())},
            key=lambda key: (-len(key.split()), key),
        ):
            wanted = set(key.split())
            reach = len(wanted) + (_GAPS if len(wanted) > 1 else 0)
            for start in range(len(words)):
                places = [at for at in range(start, min(len(words), start + reach)) if words[at] in wanted]
                if {words[at] for at in places} == wanted and not taken.intersection(places):
                    taken.update(places)
                    found.append((key, frozenset(said[at] for at in places)))
                    break
        return found, text


def _one_slip(name: str, word: str) -> bool:
    """Whether two words differ by one letter more, less or other, or by two neighbours exchanged."""
    start = next((at for at, (one, other) in enumerate(zip(name, word)) if one != other), min(len(name), len(word)))  # noqa: B905
    left, right = name[start:], word[start:]
    exchanged = len(left) > 1 and left[:2] == right[1::-1] and left[2:] == right[2:]
    return exchanged or left[1:] == right[1:] or left[1:] == right or left == right[1:]


def _english_words(text: str) -> list[str]:
    """The words of a text, whatever word for pain it uses, short plurals (legs, eyes) too as one."""
    return [_PAIN if word in _PAINS else _SHORT_PLURAL.sub(r"\1", word) for word in tokens_of(text)]


def words_of(text: str) -> set[str]:
    """The words of a text, with the two everyday Chinese words for pain as one."""
    return set(tokens_of(folded(text)))


def folded(text: str) -> str:
    """Normalised, with the two everyday words for pain as one."""
    return normalise(text).replace("疼", "痛")
