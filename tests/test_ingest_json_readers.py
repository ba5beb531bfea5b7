"""JSON of any shape: questions, dialogues, texts and objects become sections, and no text of them is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers import read_source
from knowledge.errors import UnreadableSource
from tests.source_files import by_heading, read


def test_json_of_departments_described_names_each_department(tmp_path):
    records = [{"content": "心内科是诊治心脏疾病的科室。"}, {"content": "该科室负责女性疾病。妇科主要治疗月经病。"}]
    sections = read(tmp_path / "d.json", json.dumps(records)).sections
    assert [section.departments for section in sections] == [("cardiology",), ("gynaecology",)]


def test_json_of_drug_texts_has_a_section_for_each_drug(tmp_path):
    sections = read(
        tmp_path / "drug.json", json.dumps(["甲药\n剂型:片剂\n适应证:头痛。", "乙药\n剂型:针剂\n禁忌证:尚不明确。"])
    ).sections
    assert [section.heading for section in sections] == ["甲药", "乙药"] and sections[
        0
    ].text == "剂型:片剂\n适应证:头痛。"


@pytest.mark.parametrize(
    "record",
    [
        {"question": "胸痛怎么办", "answer": "去急诊。"},
        {"instruction": "胸痛", "input": "怎么办", "output": "去急诊。"},
        {"messages": [{"role": "user", "content": "胸痛怎么办"}, {"role": "assistant", "content": "去急诊。"}]},
        {"conversations": [{"from": "human", "value": "胸痛怎么办"}, {"from": "gpt", "value": "去急诊。"}]},
    ],
)
def test_questions_in_json_head_their_answers(record, tmp_path):
    for name, text in (("a.json", json.dumps({"data": [record]})), ("b.jsonl", json.dumps(record) + "\n")):
        (section,) = read(tmp_path / name, text).sections
        assert section.heading.replace(" ", "") == "胸痛怎么办" and section.text == "去急诊。"


def test_other_json_is_read_by_the_path_of_its_keys(tmp_path):
    record = {
        "name": "百日咳",
        "info": {"就诊科室": ["儿科", "小儿内科"], "传染": "有", "治疗": "对症治疗。多休息。"},
        "id": 7,
    }
    document = read(tmp_path / "k.json", json.dumps(record))
    assert by_heading(document)["百日咳 > info > 治疗"] == "对症治疗。多休息。"
    assert (
        "传染：有" in by_heading(document)["百日咳 > info"]
        and document.sections[0].departments[-1] == "general_paediatrics"
    )


def test_a_broken_line_of_jsonl_costs_that_line(tmp_path):
    document = read(tmp_path / "l.jsonl", '{"text": "发热要多喝水。"}\n{broken\n{"text": "胸痛去急诊。"}\n')
    assert (
        len(document.sections) == 2 and "line 2" in document.quarantined[0].reason and not document.quarantined[0].taken
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("胸痛发烧ab1。", max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("键名科室ab", min_size=1, max_size=4), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_no_text_value_of_any_json_is_lost(tmp_path_factory, value):
    def texts(part):
        if isinstance(part, dict):
            return [text for inner in part.values() for text in texts(inner)]
        return (
            [text for inner in part for text in texts(inner)]
            if isinstance(part, list)
            else [part]
            if isinstance(part, str)
            else []
        )

    path = tmp_path_factory.mktemp("json") / "v.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    wanted = [text for text in texts(value) if text.strip()]
    try:
        document = read_source(path, path.parent)
    except UnreadableSource:
        assert not wanted
        return
    everything = "\n".join(f"{section.heading}\n{section.text}" for section in document.sections)
    assert all(text.strip() in everything for text in wanted)
