"""Sections into passages: whole sentences, short enough to embed and to quote."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from ingest.documents import SourceDocument, SourceSection
from knowledge.script import chinese_characters
from rag.passages import Passage
from rag.sentences import Sentence, split_sentences

MAX_WEIGHT = 280  # of a passage; a Chinese character weighs 1, any other 0.4
LONGEST_SENTENCE = 1200  # characters; beyond it text without sentence marks is cut at a blank or comma


def passages_of(document: SourceDocument) -> Iterator[Passage]:
    """Every passage of a document, in order."""
    seen: Counter[str] = Counter()
    for section in document.sections:
        for passage in _of_section(document, section):
            seen[passage.passage_id] += 1
            again = seen[passage.passage_id]  # two sections of a page may stand under one heading
            yield passage if again == 1 else replace(passage, passage_id=f"{passage.passage_id}#{again}")


def language_of(text: str) -> str:
    """zh where a fifth of the letters or more are Chinese, else en."""
    chinese = len(chinese_characters(text))
    letters = sum(character.isalpha() for character in text)
    return "zh" if letters and chinese / letters >= 0.2 else "en"


def _of_section(document: SourceDocument, section: SourceSection) -> Iterator[Passage]:
    group: list[Sentence] = []
    for sentence in _bounded(split_sentences(section.text)):
        if group and (_weight(group) + _weight([sentence]) > MAX_WEIGHT or sentence.text.startswith("### ")):
            yield _passage(document, section, group)
            group = []
        group.append(sentence)
    if group:
        yield _passage(document, section, group)


def _passage(document: SourceDocument, section: SourceSection, group: list[Sentence]) -> Passage:
    start, end = group[0].start, group[-1].end
    text = section.text[start:end]
    return Passage(
        passage_id=f"{document.source_id}:p{section.page or 0}:{section.language or ''}{section.heading}:{start}",
        source_id=document.source_id,
        title=document.title,
        section=section.heading,
        page=section.page,
        start=start,
        text=text,
        language=section.language or language_of(text),
        kind=document.kind,
        departments=section.departments or document.departments,
        search_terms=section.search_terms,
        page_label=section.page_label,
    )


def _bounded(sentences: list[Sentence]) -> Iterator[Sentence]:
    """The sentences, those beyond any measure cut: a sentence of a thousand characters is a list or a table's row."""
    for sentence in sentences:
        start = 0
        while len(sentence.text) - start > LONGEST_SENTENCE:
            cut = _last_break(sentence.text, start, start + LONGEST_SENTENCE)
            yield _trimmed(sentence, start, cut)
            start = cut
        yield _trimmed(sentence, start, len(sentence.text))


def _trimmed(sentence: Sentence, start: int, end: int) -> Sentence:
    piece = sentence.text[start:end]
    return Sentence(piece.strip(), sentence.start + start + len(piece) - len(piece.lstrip()))


_BREAKS = (re.compile(r"[。！？!?；;]\s*"), re.compile(r"[，,、：:\t ]\s*"))  # the first kind that is there is used
_CANNOT_BEGIN = re.compile(r"[，、；：。！？…,;:.!?%％℃）)\]】」』”’/]")


def _last_break(text: str, start: int, limit: int) -> int:
    """Just behind the last mark, comma or blank before the limit that stands inside no number; else before the last word."""
    for pattern in _BREAKS:
        ends = [
            found.end()
            for found in pattern.finditer(text, start + 1, limit)
            if _may_part(text, found.start(), found.end())
        ]
        if ends:
            return ends[-1]
    place = limit
    while place > start + 1 and (_is_joined(text[place - 1], text[place]) or _CANNOT_BEGIN.match(text[place])):
        place -= 1
    return place if place > start + 1 else limit


def _may_part(text: str, mark: int, end: int) -> bool:
    """Whether a text may be cut behind a mark: not inside "1,000", "140/90 mmHg" or "e.g. x", not before another mark."""
    before, after = text[mark - 1 : mark], text[end : end + 1]
    if not after or _CANNOT_BEGIN.match(after):
        return False
    return not (before.isdigit() and after.isalnum()) and not (before in ("/", "~", "～", ".", "-") and after.isalnum())


def _is_joined(before: str, after: str) -> bool:
    """Whether two characters belong to one number, measure or word."""
    joined = "0123456789./%℃～~-+<>≤≥×^°μ"
    return (before in joined or (before.isascii() and before.isalnum())) and (
        after in joined or (after.isascii() and after.isalnum())
    )


def _weight(sentences: list[Sentence]) -> float:
    text = "".join(sentence.text for sentence in sentences)
    chinese = len(chinese_characters(text))
    return chinese + 0.4 * (len(text) - chinese)
