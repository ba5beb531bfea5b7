"""Every shape of the field's data sets becomes records, or an error that names file and line."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.record_readers import FILE_READERS, READERS, ReadingRules, read_records
from finetune.record_writer import write_records
from finetune.records import (
    ChoiceRecord,
    DialogueRecord,
    InvalidData,
    InvalidRecord,
    PreferenceRecord,
    as_row,
    from_row,
    kind_of,
)
from finetune.text_files import UnreadableData
from finetune.turns import alternating
from knowledge.errors import InvalidUsage
from tests.record_shapes import ADVICE, EXPECTED, SHAPES, json_values


def records_of(path: Path, **rules) -> list:
    return [located.record for located in read_records(path, ReadingRules(**rules))]


@pytest.mark.parametrize("name", EXPECTED)
def test_each_shape_is_recognised_and_read(name):
    kinds, asked, target = EXPECTED[name]
    records = records_of(SHAPES / name)
    assert [kind_of(record) for record in records] == kinds
    first = records[0]
    assert (first.messages[0].content if isinstance(first, DialogueRecord) else first.asked) == asked
    assert first.targets[0] == target


def test_no_fixture_is_without_its_expectation():
    unread = {"README.md", "dataset_info.json", "drug_labels.json", "meddialog_raw.txt", "tagged_turns.json"}
    assert {path.name for path in SHAPES.iterdir() if path.is_file()} == set(EXPECTED) | unread


def test_every_reader_shows_a_row_of_its_shape():
    assert all(reader.expected for reader in READERS.values())
    assert all((reader.read.__doc__ or "").strip() for reader in FILE_READERS.values())


def test_a_medicine_label_keeps_its_headings():
    (record,) = records_of(SHAPES / "drug_labels.json")
    assert (
        record.text.startswith("示例口服液\n药品类型：示例类药") and "不良反应：尚不明确。\n偶有口干。" in record.text
    )


def test_a_raw_consultation_begins_with_its_description_and_one_without_an_answer_is_named():
    bad: list[str] = []
    (located,) = read_records(SHAPES / "meddialog_raw.txt", bad_row=bad.append)
    assert located.line == 1
    assert located.record.messages[0].content == "疾病： 脚后跟疼\n病情描述： 走路久了脚后跟疼两周。"
    assert located.record.targets[-1] == "像足底筋膜炎，少走远路，看骨科。"
    assert bad == ["meddialog_raw.txt:19: expected a dialogue in which a question is answered, found none"]


def test_joined_tables_give_dialogues_and_preferences_and_name_missing_ids():
    bad: list[str] = []
    answers = list(read_records(SHAPES / "cmedqa2" / "answer.csv", bad_row=bad.append))
    assert [located.record.targets[0] for located in answers] == [ADVICE]
    assert bad == ["answer.csv:3: expected ids of question.csv and answer.csv, found '9'"]
    (pair,) = records_of(SHAPES / "cmedqa2" / "train_candidates.txt")
    assert isinstance(pair, PreferenceRecord) and pair.chosen == ADVICE


def test_departments_verdicts_and_choices_become_tags_and_letters():
    toyhom = records_of(SHAPES / "toyhom_gbk.csv")
    assert toyhom[1].tags == ("department:皮肤科",) and toyhom[1].asked == "手上起小水泡"
    assert [record.tags for record in records_of(SHAPES / "kto.jsonl")] == [("liked",), ("disliked",)]
    both = records_of(SHAPES / "cmexam.jsonl")[1]
    assert isinstance(both, ChoiceRecord) and both.answers == ("A", "C") and both.options["B"] == "骨折"
    assert list(records_of(SHAPES / "cmb.json")[0].options) == ["A", "B", "D"]  # an option without text is none


def test_turns_of_one_speaker_join_and_the_dialogue_ends_with_the_assistant():
    messages = alternating(
        [("assistant", "您好"), ("user", "疼"), ("user", "很疼"), ("assistant", "哪里？"), ("user", "脚")]
    )
    assert [(message.role, message.content) for message in messages] == [("user", "疼\n很疼"), ("assistant", "哪里？")]


# wrong rows


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("a.jsonl", '{"instruction": "q", "output": "a"}\n{"instruction": "q"}\n', 2, "found {instruction}"),
        ("a.jsonl", '{"instruction": "q", "output": "a"}\nnot json\n', 2, "expected one JSON value a line"),
        ("a.json", '[\n{"instruction": "q", "output": "a"},\n{"instruction": "q", "output": 5}\n]', 3, "expected output to be text, found a number"),
        ("a.json", '[{"query": "q", "response": "a"}, {"query": ', 1, "its end missing"),
        ("a.csv", "department,title,ask,answer\n骨科,a,b,c\n骨科,a,b\n", 3, "expected 4 columns, found 3"),
        ("a.jsonl", '{"conversations": [{"from": "function_call", "value": "x"}]}\n', 1, "a speaker such as"),
        ("a.jsonl", '{"kind": "dialogue", "messages": [{"role": "user", "content": "q"}]}\n', 1, "turns that alternate"),
        ("a.jsonl", '{"question": "q", "options": {"A": "x", "B": "y"}, "answer": "C"}\n', 1, "an answer among A, B, found 'C'"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_by_file_and_line_with_what_was_expected(tmp_path, name, text, line, says):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidData) as fault:
        list(read_records(path))
    assert str(fault.value).startswith(f"{name}:{line}: ") and says in str(fault.value)


def test_wrong_rows_that_are_skipped_leave_the_others(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"query": "q", "response": "a"}\n{"query": 1}\n{"query": "r", "response": "b"}\n', encoding="utf-8"
    )
    bad: list[str] = []
    assert [located.line for located in read_records(path, bad_row=bad.append)] == [1, 3]
    assert len(bad) == 1 and bad[0].startswith("a.jsonl:2: ")


def test_an_unknown_reader_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(InvalidUsage, match="no reader 'alpacca'; known: auto, own"):
        ReadingRules("alpacca")
    with pytest.raises(UnreadableData, match="no such file"):
        list(read_records(tmp_path / "nothing.json"))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"query": "q", "response": "a"}\n')[:-9])
    with pytest.raises(UnreadableData, match="damaged archive"):
        list(read_records(tmp_path / "cut.jsonl.gz"))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"", "expected rows, found none"),
        ("a.json", b"[]", "expected rows, found none"),
        ("a.csv", b"question,answer\n", "expected rows, found none"),
        ("a.csv", b'question,answer\n"never closed,b\nc,d\n', "is a quotation mark not closed?"),
        ("a.json", b'{"train": [{"query": "q"}], "test": [{"query": "r"}]}', "found 2: train, test; write each to a file of its own"),
        ("a.jsonl", b'{"query": "q", "resp', "found a text without its end at column 16"),
        ("a.jsonl", b"PK\x03\x04\x14\x00\x06\x00\x08\x00" * 30 + bytes(range(256)) * 4, "no text"),
        ("a.txt.xz", b"no archive", "damaged archive"),
    ],
)  # fmt: skip
def test_what_holds_no_rows_is_told_as_what_it_is(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((InvalidData, UnreadableData), match=says.replace("?", "\\?")):
        list(read_records(tmp_path / name))


def test_a_folder_is_told_as_one(tmp_path):
    with pytest.raises(UnreadableData, match="a folder; name the files in it"):
        list(read_records(tmp_path))


field_names = st.sampled_from(
    ["kind", "messages", "prompt", "chosen", "rejected", "text", "question", "options", "option", "answer", "answers", "instruction", "input", "output", "history", "conversations", "system", "data", "query", "response", "questions", "dialogue", "departments", "candidates", "qa_pairs", "target", "utterances", "dialogue_turns", "content", "label", "cop", "opa", "opb", "long_answer", "final_decision", "gold_standard_triage", "gold_standard_label", "title", "ask", "department", "症状", "某科室"]
)  # fmt: skip


@given(st.lists(st.dictionaries(field_names, json_values, max_size=6) | json_values, max_size=4))
def test_any_json_gives_records_or_a_located_error(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("any") / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    bad: list[str] = []
    for located in read_records(path, bad_row=bad.append):
        assert from_row(as_row(located.record)) == located.record
    assert all(problem.startswith("a.jsonl:") and "expected" in problem for problem in bad)


# one form on disk


def test_records_are_the_same_after_writing_and_reading(tmp_path):
    records = [record for name in EXPECTED for record in records_of(SHAPES / name)]
    for ending in (".jsonl", ".jsonl.gz", ".jsonl.xz"):
        assert write_records(records, tmp_path / f"all{ending}") == len(records)
        assert records_of(tmp_path / f"all{ending}") == records
    with lzma.open(tmp_path / "all.jsonl.xz") as packed:
        assert packed.read() == (tmp_path / "all.jsonl").read_bytes()


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("old", encoding="utf-8")

    def breaking():
        yield records_of(SHAPES / "messages.jsonl")[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(breaking(), out)
    assert out.read_text(encoding="utf-8") == "old" and [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_record_that_says_nothing_is_none():
    with pytest.raises(InvalidRecord):
        from_row({"kind": "text", "text": "  "})
    with pytest.raises(InvalidRecord, match="two different answers"):
        from_row({"kind": "preference", "prompt": [{"role": "user", "content": "q"}], "chosen": "a", "rejected": "a"})
