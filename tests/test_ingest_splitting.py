"""Sentences and passages: nothing lost, nothing cut where it may not be."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.documents import SourceDocument, SourceSection
from ingest.splitting import LONGEST_SENTENCE, language_of, passages_of
from rag.sentences import split_sentences

TEXT = st.text(alphabet="胸痛发烧，。！？；、：”）abc ABC.?!;\n0123456789/℃% ", max_size=600)
MEASURES = ["140/90 mmHg", "38.5℃", "3.5 mmol/L", "98%", "120次", "2.5 cm", "1.5小时"]


def document(text: str, page: int | None = None) -> SourceDocument:
    return SourceDocument("leaflet.txt", "leaflet", "document", "0" * 64, (SourceSection(text, page=page),))


def words_of(text: str) -> str:
    return re.sub(r"\W", "", text)


@given(TEXT)
def test_sentences_keep_every_word_in_order_at_their_offsets(text):
    sentences = split_sentences(text)
    assert words_of("".join(sentence.text for sentence in sentences)) == words_of(text)
    assert all(text[sentence.start : sentence.end] == sentence.text for sentence in sentences)


@given(TEXT)
def test_passages_keep_every_word_and_their_offsets(text):
    passages = list(passages_of(document(text)))
    assert words_of("".join(passage.text for passage in passages)) == words_of(text)
    assert all(text[passage.start : passage.start + len(passage.text)] == passage.text for passage in passages)
    assert len({passage.passage_id for passage in passages}) == len(passages)


@given(st.lists(st.sampled_from(["血压", "体温是", "about", "测得", "，", "。", " ", *MEASURES]), max_size=400))
@settings(max_examples=60)
def test_a_number_is_never_parted_from_its_unit(pieces):
    text = "".join(pieces)
    joined = [passage.text for passage in passages_of(document(text))]
    for measure in MEASURES:
        assert sum(passage.count(measure) for passage in joined) == text.count(measure)


def test_passages_begin_and_end_with_whole_sentences():
    text = "".join(f"这是第{number}句话，说的是同一件事。" for number in range(60))
    passages = list(passages_of(document(text)))
    assert len(passages) > 1
    assert all(passage.text.endswith("。") and passage.text.startswith("这是第") for passage in passages)


def test_a_decimal_point_and_an_abbreviation_end_no_sentence():
    texts = [
        sentence.text for sentence in split_sentences("A fever of 38.5 is common, e.g. in flu. Dr. Li agrees. Rest.")
    ]
    assert texts == ["A fever of 38.5 is common, e.g. in flu.", "Dr. Li agrees.", "Rest."]


def test_text_without_sentence_marks_is_still_bounded():
    passages = list(passages_of(document("胸痛，" * 3000)))
    assert max(len(passage.text) for passage in passages) <= LONGEST_SENTENCE


def test_language_is_told_from_the_letters():
    assert (language_of("胸痛 chest"), language_of("chest pain (胸)"), language_of("12345")) == ("zh", "en", "en")
