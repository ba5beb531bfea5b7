"""Passages that say the same are kept once, with all their sources.

Two passages say the same where one holds every word of the other in the same order, marks, width, letter case and
particles (的, 了, the) aside, and both stand under the same heading. Nothing is ever dropped that the kept one does not
say: 140/90 is not 160/100, 可用 is not 不可用, and a passage about another drug is another passage, however alike.
That is why this is no MinHash: texts 95 % alike that differ in a dose must both stay. Candidates are found by their
sentences, so the cost does not grow with what is kept, and of a kept passage a few numbers are held.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b

from rag.passages import Passage
from rag.sentences import split_sentences

_PARTICLES = re.compile(r"[的了地得着呢啊吧嘛]|\b(?:the|a|an|of|that|which|to)\b")
_NOT_WORDS = re.compile(r"(?<=\D)[.,](?=\D)|[.,](?=\D|\Z)|[^\w.,%℃°<>≤≥=±+/~～×*^-]|_")
_SELF_CONTAINED = 40  # characters of Chinese, twice as many of English, from which a text names what it is about
_MOST_CANDIDATES = 8


def keep_once(passages: Iterable[Passage]) -> list[Passage]:
    """The passages in order, the fullest of each set of duplicates in the first one's place, with the other sources in `also_in`.

    Only documents are compared; the shipped guides and departments stay as they are. Departments and language must agree.
    """
    kept: list[Passage] = []
    places: dict[int, list[int]] = {}  # of a sentence -> where it is kept
    for passage in passages:
        if passage.kind != "document":
            kept.append(passage)
            continue
        keys = list(sentence_keys(passage))
        candidates = dict.fromkeys(place for key in keys for place in places.get(key, ())[:_MOST_CANDIDATES])
        same = next((place for place in candidates if say_the_same(kept[place], passage)), None)
        if same is None:
            same = len(kept)
            kept.append(passage)
        else:
            kept[same] = _merged(kept[same], passage)
            if kept[same].passage_id != passage.passage_id:
                continue  # the kept one has all these sentences already
        for key in keys:
            known = places.setdefault(key, [])
            if len(known) < _MOST_CANDIDATES and same not in known:
                known.append(same)
    return kept


def say_the_same(one: Passage, two: Passage) -> bool:
    """Whether one of two passages says all that the other says, about the same thing."""
    if one.language != two.language or one.departments != two.departments or one.kind != two.kind:
        return False
    first, second = words_of(one.text), words_of(two.text)
    shorter, longer = sorted((first, second), key=len)
    if not _holds(longer, shorter) or len(shorter) < 0.6 * len(longer):
        return False
    return _same_subject(one, two, len(shorter) / (1 if one.language == "zh" else 2))


def words_of(text: str) -> str:
    """What a text says: its letters, numbers and signs of comparison, without marks, case, width, particles or blanks."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(_PARTICLES.sub("", _NOT_WORDS.sub(" ", plain)).split())


def _holds(longer: str, shorter: str) -> bool:
    """Whether the longer words contain the shorter ones, not cutting a number or an English word in two."""
    start = longer.find(shorter)
    if start < 0:
        return False
    end = start + len(shorter)
    cuts = [place for place in (start, end) if 0 < place < len(longer)]
    return not any(longer[place - 1].isdigit() and longer[place].isdigit() for place in cuts)


def _same_subject(one: Passage, two: Passage, weight: float) -> bool:
    """Equal headings; under different titles, or where one has lost its headings, only for a text that stands alone."""
    headings, others = (tuple(map(words_of, passage.section.split(" > "))) for passage in (one, two))
    if headings == others:
        return words_of(one.title) == words_of(two.title) or weight >= _SELF_CONTAINED
    if headings == ("",) or others == ("",):
        return weight >= _SELF_CONTAINED
    shorter, longer = sorted((headings, others), key=len)
    return longer[-len(shorter) :] == shorter and weight >= _SELF_CONTAINED


def _merged(kept: Passage, passage: Passage) -> Passage:
    """The fuller of the two, with the sources of both."""
    fuller = passage if len(words_of(passage.text)) > len(words_of(kept.text)) else kept
    sources = dict.fromkeys((kept.source_id, *kept.also_in, passage.source_id, *passage.also_in))
    sources.pop(fuller.source_id)
    return replace(fuller, also_in=tuple(sources))


def sentence_keys(passage: Passage) -> Iterator[int]:
    """8-byte hashes of the three longest sentences, by which a passage is found again."""
    sentences = sorted((words_of(sentence.text) for sentence in split_sentences(passage.text)), key=len, reverse=True)
    for words in [words for words in sentences if words][:3]:
        yield int.from_bytes(blake2b(words.encode("utf-8", "replace"), digest_size=8).digest(), "big")
