"""Sentences and passages: nothing lost, nothing cut where it may not be."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.documents import SourceDocument, SourceSection
from ingest.splitting import LONGEST_SENTENCE, language_of, passages_of
from ingest.tables import lines_of
from rag.sentences import split_sentences

TEXT = st.text(alphabet="胸痛发烧，。！？；、：”）abc ABC.?!;\n0123456789/℃% ", max_size=600)
MEASURES = ["140/90 mmHg", "38.5℃", "3.5 mmol/L", "98%", "120次", "2.5 cm", "1.5小时"]


def document(text: str, page: int | None = None) -> SourceDocument:
    return SourceDocument("leaflet.txt", "leaflet", "document", "0" * 64, (SourceSection(text, page=page),))


def marks_of(text: str) -> str:
    """All that is not blank, less the marks before the first word, which no passage may begin with."""
    text = re.sub(r"\A(?:\s*[，、；：。！？…,;:.!?%℃）」』”’/)])+", "", text)
    return re.sub(r"\s", "", text) if re.search(r"\w", text) else ""


def may_begin(text: str) -> bool:
    return text[0] not in "，、；：。！？…,;:.!?%℃）」』”’)"


@given(TEXT)
def test_sentences_keep_every_mark_in_order_at_their_offsets(text):
    sentences = split_sentences(text)
    assert re.sub(r"\s", "", "".join(sentence.text for sentence in sentences)) == marks_of(text)
    assert all(text[sentence.start : sentence.end] == sentence.text for sentence in sentences)
    assert all(may_begin(sentence.text) for sentence in sentences)


@given(TEXT)
def test_passages_keep_every_mark_in_order_without_overlap(text):
    passages = list(passages_of(document(text)))
    assert re.sub(r"\s", "", "".join(passage.text for passage in passages)) == marks_of(text)
    assert all(text[passage.start : passage.start + len(passage.text)] == passage.text for passage in passages)
    ends = [0, *(passage.start + len(passage.text) for passage in passages)]
    assert all(end <= passage.start for end, passage in zip(ends, passages, strict=False))
    assert len({passage.passage_id for passage in passages}) == len(passages)


@given(
    st.lists(
        st.sampled_from(["胸痛发热", "abc", "140/90 mmHg", "1,000 mL", "。", "，", " ", "；", "12.5", "e.g. ", "）"]),
        min_size=200,
        max_size=900,
    )
)
@settings(max_examples=40, deadline=None)
def test_text_without_an_end_is_cut_at_good_places(pieces):
    text = "".join(pieces).replace("。", "，")
    passages = list(passages_of(document(text)))
    assert re.sub(r"\s", "", "".join(passage.text for passage in passages)) == marks_of(text)
    assert all(may_begin(passage.text) for passage in passages)
    assert max((len(passage.text) for passage in passages), default=0) <= LONGEST_SENTENCE


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["血钾", "药名A", "甲。乙", "5～10 mmol/L"]),
        st.sampled_from(["高。马上来！", "2.5 mg, b.i.d. 饭后", "见说明", "1:2"]),
    ),
    min_size=1,
    max_size=40,
)


@given(ROWS)
def test_a_row_of_a_table_is_never_parted(rows):
    lines = list(lines_of([("项目", "说明"), *rows]))
    text = "\n".join(["下表列出说明。", *lines, "以上。"])
    held = [passage.text.split("\n") for passage in passages_of(document(text))]
    assert [line for passage in held for line in passage] == text.split("\n")
    assert [sentence.text for sentence in split_sentences(text)] == text.split("\n")


def test_two_sections_under_one_heading_have_passages_of_their_own():
    sections = (SourceSection("第一段。", "甲"), SourceSection("第二段。", "甲"))
    passages = list(passages_of(SourceDocument("a", "a", "document", "0", sections)))
    assert len({passage.passage_id for passage in passages}) == 2


def test_the_heading_is_embedded_but_is_no_text_to_quote():
    (passage,) = passages_of(SourceDocument("a", "高血压", "document", "0", (SourceSection("少盐。", "饮食"),)))
    assert passage.text == "少盐。" and passage.embedded_text() == "高血压 饮食\n少盐。"


def test_a_section_says_its_own_departments():
    section = SourceSection("少盐。", departments=("cardiology",))
    (passage,) = passages_of(SourceDocument("a", "a", "document", "0", (section,), ("emergency",)))
    assert passage.departments == ("cardiology",)


def test_a_number_and_its_unit_on_two_lines_stay_together():
    assert [one.text for one in split_sentences("血压140/\n90 mmHg。收缩压 140\nmmHg 以上。\n，然后就医。")] == [
        "血压140/\n90 mmHg。",
        "收缩压 140\nmmHg 以上。\n，然后就医。",
    ]


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
