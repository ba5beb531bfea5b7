"""Sections into passages: whole sentences, short enough to embed and to quote."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.documents import SourceDocument, SourceSection
from rag.passages import Passage
from rag.sentences import Sentence, split_sentences

MAX_WEIGHT = 280  # of a passage; a Chinese character weighs 1, any other 0.4
LONGEST_SENTENCE = 1200  # characters; beyond it text without sentence marks is cut at a blank or comma

_CHINESE = re.compile(r"[\u3400-\u9fff]")


def passages_of(document: SourceDocument) -> Iterator[Passage]:
    """Every passage of a document, in order."""
    for section in document.sections:
        yield from _of_section(document, section)


def language_of(text: str) -> str:
    """zh where a fifth of the letters or more are Chinese, else en."""
    chinese = len(_CHINESE.findall(text))
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
        departments=document.departments,
        search_terms=section.search_terms,
        page_label=section.page_label,
    )


def _bounded(sentences: list[Sentence]) -> Iterator[Sentence]:
    for sentence in sentences:
        start = 0
        while len(sentence.text) - start > LONGEST_SENTENCE:
            cut = _last_break(sentence.text, start, start + LONGEST_SENTENCE)
            yield Sentence(sentence.text[start:cut], sentence.start + start)
            start = cut
        yield Sentence(sentence.text[start:], sentence.start + start)


def _last_break(text: str, start: int, limit: int) -> int:
    """Just behind the last blank or comma before the limit that stands inside no number; the limit where there is none."""
    for place in range(limit - 1, start, -1):
        if text[place] in " ，,、\t" and not (text[place - 1].isdigit() and text[place + 1 : place + 2].isalnum()):
            return place + 1
    return limit


def _weight(sentences: list[Sentence]) -> float:
    text = "".join(sentence.text for sentence in sentences)
    chinese = len(_CHINESE.findall(text))
    return chinese + 0.4 * (len(text) - chinese)
