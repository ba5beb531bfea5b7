"""Files as rows: tables, lists and lines in whatever code they are written."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from finetune import json_rows
from finetune.record_readers import read_records
from finetune.row_files import rows_of
from finetune.rows import BadRow
from finetune.text_files import UnreadableData
from tests.record_shapes import json_values


def test_a_table_with_semicolons_is_a_table(tmp_path):
    (tmp_path / "a.csv").write_text('query;response\n脚疼;"看骨科;不急"\n', encoding="utf-8")
    assert [row.value for row in rows_of(tmp_path / "a.csv")] == [{"query": "脚疼", "response": "看骨科;不急"}]


@given(st.lists(json_values, max_size=6), st.integers(1, 40), st.sampled_from([None, 1]))
def test_a_json_list_is_the_same_read_in_blocks_of_any_size(tmp_path_factory, rows, block, indent):
    path = tmp_path_factory.mktemp("list") / "a.json"
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=indent), encoding="utf-8")
    whole, json_rows._BLOCK = json_rows._BLOCK, block
    try:
        read = list(json_rows._listed(path)) if rows else []
    finally:
        json_rows._BLOCK = whole
    assert not any(isinstance(row, BadRow) for row in read)
    assert [row.value for row in read] == rows


def test_encodings_are_told_apart(tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes("query,response\n脚后跟疼,看骨科\n".encode(encoding))
        assert [row.value for row in rows_of(path)] == [{"query": "脚后跟疼", "response": "看骨科"}], encoding


def test_traditional_characters_in_big5_and_accents_in_windows_latin_are_read(tmp_path):
    for encoding, said in (
        ("big5", "走路走得久了，腳後跟很疼，應該要看哪一科醫生呢？"),
        ("cp1252", "Ménière’s disease – is it serious?"),
    ):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(f'question,answer\n"{said}","{said}"\n'.encode(encoding))
        assert [row.value["answer"] for row in rows_of(path)] == [said], encoding
    path = tmp_path / "wide.csv"
    path.write_bytes("query,response\nheel,rest\n".encode("utf-16-le"))
    assert [row.value for row in rows_of(path)] == [{"query": "heel", "response": "rest"}]


@given(st.binary(max_size=60), st.sampled_from([".json", ".jsonl", ".csv", ".tsv", ".txt", ".jsonl.gz", ".json.xz"]))
def test_any_bytes_give_rows_or_a_told_error(tmp_path_factory, content, ending):
    path = tmp_path_factory.mktemp("bytes") / f"a{ending}"
    path.write_bytes(content)
    try:
        list(read_records(path, bad_row=lambda problem: None))
    except UnreadableData as fault:
        assert "a." in str(fault)
