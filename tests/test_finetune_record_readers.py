"""Every shape of the field's data sets becomes records, or an error that names file and line."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune import json_rows
from finetune.dataset_entry import InvalidRegistry
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
from finetune.registry import load_registry
from finetune.row_files import rows_of
from finetune.rows import BadRow
from finetune.text_files import UnreadableData
from finetune.turns import alternating
from knowledge.errors import InvalidUsage

SHAPES = Path(__file__).parent / "data" / "finetune"
HEEL, ADVICE = "走路久了脚后跟疼怎么办？", "先少走远路，换一双软底的鞋；两周没有好转就去骨科看看。"
# file: (kinds, the first record's question, its first target)
EXPECTED = {
    "alpaca_history.json": (["dialogue"] * 2, HEEL, ADVICE),
    "alpaca_lines.jsonl": (["dialogue"], "我想知道别人的病历号。", "病历是别人的隐私，我不能帮您查。"),
    "alpaca_lists.json": (["dialogue"], HEEL, ADVICE),
    "alpaca_turns_inside.json": (["dialogue"], "体检说有脂肪肝，严重吗？", "多数轻度脂肪肝可以好转，您的体重怎么样？"),
    "alpaca_output_pair.json": (["preference"], HEEL, ADVICE),
    "persona.json": (["dialogue"], "你是谁？", "您好，我是 <NAME>，由 <AUTHOR> 开发的助手。"),
    "sharegpt.jsonl": (["dialogue"], HEEL, ADVICE),
    "messages.jsonl": (["dialogue"], HEEL, ADVICE),
    "lima.jsonl": (["dialogue"], HEEL, ADVICE),
    "moss.jsonl": (["dialogue"], HEEL, ADVICE),
    "webmedqa.txt": (["dialogue"], HEEL, ADVICE),
    "disc_conversation.jsonl": (["dialogue"], HEEL, ADVICE),
    "counselling.jsonl.xz": (["dialogue"], "最近总睡不着，白天没精神。", "听起来很累。这样多久了？"),
    "meddg.json": (["dialogue"], "肚子胀了三天", "大便正常吗？\n有没有发烧？"),
    "imcs.json": (["dialogue"] * 2, "孩子咳嗽两天，没有发烧。", "有痰吗？"),
    "mdcfnpc.jsonl": (["dialogue"], "胃疼。", "饭前疼还是饭后疼？"),
    "dialogue_turns.jsonl": (["dialogue"] * 2, HEEL, ADVICE),
    "huatuo_sft.jsonl": (["dialogue"], HEEL, ADVICE),
    "meddialog_processed.json": (["dialogue"], "脚后跟疼两周\n走路就疼。", "晨起第一步最疼吗？"),
    "bianque.csv": (["dialogue"], "肚子疼", "疼多久了？"),
    "toyhom_gbk.csv": (["dialogue"] * 2, "走路久了脚后跟疼，是怎么回事？", ADVICE),
    "query_response.jsonl.gz": (["dialogue"], HEEL, ADVICE),
    "huatuo_26m.jsonl": (["dialogue"] * 2, HEEL, ADVICE),
    "graded_answers.jsonl": (["dialogue"], HEEL, ADVICE),
    "caregpt_text_answer.json": (["dialogue"], HEEL, ADVICE),
    "guideline_pairs.json": (["dialogue"] * 2, "足跟痛要注意什么？", "少站立。"),
    "cmb_clin.json": (["dialogue"], "男，40岁，足跟痛。\n首先考虑什么？", "足底筋膜炎。"),
    "cmexam.jsonl": (["choice"] * 2, "正常成人的安静心率多在", "每分钟60～100次"),
    "cmb.json": (["choice"], "量体温前应先", "甩表"),
    "medqa.jsonl": (["choice"], "Which organ pumps blood?", "Heart"),
    "mlec.json": (["choice"], "皮肤最外层是", "表皮"),
    "medmcqa.jsonl": (["choice"], "Which is a bone?", "Femur"),
    "pubmedqa.json": (["choice"] * 2, "Forty people rested.\nDoes rest help heel pain?", "yes"),
    "pg_bench.jsonl": (["choice"], "患者：牙龈刷牙出血（女，30岁）", "牙周病专业"),
    "symptom_department.tsv": (["dialogue"], "流鼻血，应该挂哪个科？", "耳鼻咽喉科"),
    "vignettes.json": (["dialogue"] * 2, "My heel is sore after a long walk.", "Self-care at home"),
    "reward_responses.jsonl": (["preference"], HEEL, ADVICE),
    "preference_prompt.jsonl": (["preference"], HEEL, ADVICE),
    "preference_sharegpt.json": (["preference"], HEEL, ADVICE),
    "hh_rlhf.jsonl": (["preference"], "My heel hurts.\nTwo weeks.", "Rest it, and see a doctor if it stays."),
    "ultrafeedback_messages.jsonl": (["preference"], "My heel hurts.", "Rest it."),
    "kto.jsonl": (["dialogue"] * 2, HEEL, ADVICE),
    "pretraining.txt": (["text"] * 2, "足底筋膜连接脚跟和脚趾。", "足底筋膜连接脚跟和脚趾。"),
    "text_rows.jsonl": (["text"], "足底筋膜连接脚跟和脚趾。", "足底筋膜连接脚跟和脚趾。"),
    "department_guides.json": (
        ["text"],
        "骨科是诊治骨、关节和肌肉问题的科室。",
        "骨科是诊治骨、关节和肌肉问题的科室。",
    ),
    "department_list.txt": (["text"] * 2, "【外科：】骨科 手外科 足踝外科", "【外科：】骨科 手外科 足踝外科"),
}


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


def test_a_table_with_semicolons_is_a_table(tmp_path):
    (tmp_path / "a.csv").write_text('query;response\n脚疼;"看骨科;不急"\n', encoding="utf-8")
    assert [row.value for row in rows_of(tmp_path / "a.csv")] == [{"query": "脚疼", "response": "看骨科;不急"}]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=6), children, max_size=4),
    max_leaves=12,
)
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


@given(st.binary(max_size=60), st.sampled_from([".json", ".jsonl", ".csv", ".tsv", ".txt", ".jsonl.gz", ".json.xz"]))
def test_any_bytes_give_rows_or_a_told_error(tmp_path_factory, content, ending):
    path = tmp_path_factory.mktemp("bytes") / f"a{ending}"
    path.write_bytes(content)
    try:
        list(read_records(path, bad_row=lambda problem: None))
    except UnreadableData as fault:
        assert "a." in str(fault)


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


# registries


registry_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "alpaca", "sharegpt", "openai", "text", "label"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prompt", "response", "messages", "chosen", "role_tag", "images"]), children, max_size=4
        )
    ),
    max_leaves=6,
)
registry_keys = st.sampled_from(
    ["hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "file_name", "file_sha1", "formatting", "ranking", "columns", "tags", "subset", "split", "num_samples"]
)  # fmt: skip


@given(
    st.dictionaries(
        st.text(max_size=4), st.dictionaries(registry_keys, registry_values, max_size=6) | registry_values, max_size=3
    )
)
def test_any_dataset_info_gives_entries_or_a_located_error(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("info") / "dataset_info.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    try:
        registry = load_registry(path)
    except InvalidRegistry as fault:
        assert str(fault).startswith("dataset_info.json: ")
    else:
        assert list(registry) == list(table) and all(entry.where and entry.rules for entry in registry.values())


def test_a_dataset_info_in_the_form_of_openai_and_on_other_hubs_is_read(tmp_path):
    path = tmp_path / "dataset_info.json"
    rows = {
        "chat": {"file_name": "messages.jsonl", "formatting": "openai", "columns": {"messages": "messages"}, "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}},
        "lima": {"hf_hub_url": "llamafactory/lima", "formatting": "sharegpt"},
        "elsewhere": {"ms_hub_url": "deepctrl/deepctrl-sft-data"},
    }  # fmt: skip
    path.write_text(json.dumps(rows), encoding="utf-8")
    registry = load_registry(path)
    (located,) = read_records(SHAPES / "messages.jsonl", registry["chat"].rules)
    assert located.record.targets == (ADVICE,) and registry["lima"].reader == "conversations"
    assert registry["elsewhere"].where == "modelscope.cn/datasets/deepctrl/deepctrl-sft-data"


def test_a_dataset_info_of_caregpt_or_llama_factory_is_read_as_it_is():
    registry = load_registry(SHAPES / "dataset_info.json")
    read = {
        name: [located.record for located in read_records(SHAPES / registry[name].file, registry[name].rules)]
        for name in ("heel", "reward", "turns", "pairs", "thumbs", "words")
    }
    assert read["heel"][0].targets == (ADVICE,) and read["heel"][0].source == "heel"
    assert isinstance(read["reward"][0], PreferenceRecord) and isinstance(read["pairs"][0], PreferenceRecord)
    assert (
        len(read["turns"]) == 1 and read["turns"][0].system == "用短句回答。" and read["turns"][0].targets == (ADVICE,)
    )
    assert read["thumbs"][1].tags == ("disliked",) and kind_of(read["words"][0]) == "text"
    assert registry["on_hub"].where == "huggingface.co/datasets/example/heel (zh)" and registry["scripted"].needs_script
