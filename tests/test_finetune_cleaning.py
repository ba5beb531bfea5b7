"""Cleaning removes what must not be trained on, says why, and keeps everything else as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.cleaning import CleaningRules, cleaned, prescribing
from finetune.cleaning_run import clean_files
from finetune.record_writer import write_records
from finetune.records import ChoiceRecord, DialogueRecord, Message, PlainTextRecord, PreferenceRecord, dialogue
from finetune.splitting import part_of, split_records
from finetune.text_defects import (
    filled_placeholders,
    has_placeholder,
    is_garbled,
    is_no_text,
    mended_encoding,
    repeats,
    without_boilerplate,
    without_markup,
)
from rag.medicines import may_be_shown

RULES = CleaningRules(near_duplicates=0.8)
ADVICE = "先少走远路，换一双软底的鞋；两周没有好转就去骨科看看。"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("疼的时候疼的时候疼的时候疼的时候疼的时候疼的时候。", "repeats itself"),
        ("好好好好好好好好好好好好好", "repeats itself"),
        ("这个问题锟斤拷锟斤拷锟斤拷要看医生。", "wrong encoding"),
        ("☆★○●◎◇◆□■△▲※→←↑↓〓", "no text"),
        ("".join(chr(65 + number * number % 26) + str(number) for number in range(60)), "no text"),
        ("我是由OpenAI训练的语言模型，不能看病。", "speaks as another assistant"),
        ("您好，我是<NAME>，由<AUTHOR>开发。", "persona not filled"),
        ("布洛芬每次0.2g，每天3次。", "gives a dose"),
        ("建议您马上停用阿司匹林。", "starts, stops or changes a medicine"),
        ("希望我的回答对您有所帮助，满意请采纳！", "nothing is left of it"),
        ("。", "too short"),
    ],
)
def test_what_must_not_be_trained_on_is_removed_with_its_reason(answer, reason):
    outcome = cleaned(dialogue("脚后跟疼怎么办？", answer), RULES)
    assert outcome.record is None and outcome.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        ADVICE,
        "哈哈，没事。孩子一天拉了3次，先观察精神和尿量。",
        "血压130/80 mmHg在正常范围。\n\n| 项目 | 值 |\n|---|---|\n| 血压 | 130/80 |",
        "Ménière's disease causes vertigo, and hearing may come and go. See a doctor if it happens again.",
        "```python\nfor i in range(10):\n    print(i)\n```",
        "一定要按时复查，一定要坚持锻炼，一定要保持心情愉快，一定要清淡饮食。",
        "吃什么药要由医生决定，不要自己停药。",
    ],
)
def test_ordinary_answers_stay_as_they_are(text):
    outcome = cleaned(dialogue("怎么办？", text), RULES)
    assert outcome.record is not None and outcome.record.targets == (text,) and outcome.changes == ()


def test_set_phrases_markup_and_personal_data_go_and_the_advice_stays():
    said = f"问题分析：{ADVICE}&nbsp;<br/>祝您早日康复！感谢您的咨询，希望我的回答对你有所帮助。"
    outcome = cleaned(dialogue("我的手机是13812345678，脚后跟疼。", said), RULES)
    assert outcome.record.targets == (ADVICE,) and "13812345678" not in outcome.record.asked
    assert set(outcome.changes) == {"markup removed", "boilerplate removed", "personal data masked"}


@pytest.mark.parametrize("wrong", ["latin-1", "gb18030"])
def test_utf8_read_as_something_else_is_read_again(wrong):
    meant = "先少走远路，换一双软底的鞋。"
    try:
        broken = meant.encode("utf-8").decode(wrong)
    except UnicodeDecodeError:
        broken = meant.encode("utf-8").decode(wrong, errors="replace")
    if broken.encode(wrong, errors="replace").decode("utf-8", errors="replace") == meant:
        assert mended_encoding(broken) == meant


@given(st.text(alphabet=st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=60))
def test_mending_twice_changes_nothing_more(text):
    for mend in (mended_encoding, without_markup, without_boilerplate):
        once = mend(text)
        assert mend(once) == once or mend is mended_encoding
    for judge in (is_garbled, repeats, is_no_text, has_placeholder):
        judge(text)


def test_a_dialogue_keeps_what_came_before_an_answer_that_prescribes():
    turns = (
        Message("user", "脚后跟疼"),
        Message("assistant", ADVICE),
        Message("user", "吃什么药"),
        Message("assistant", "布洛芬每次0.2g，每天3次。"),
    )
    outcome = cleaned(DialogueRecord(turns), RULES)
    assert outcome.record.messages == turns[:2] and outcome.changes == ("cut before an answer that gives a dose",)


def test_a_rejected_answer_may_prescribe_and_a_chosen_one_not():
    asked, dose = (Message("user", "脚后跟疼"),), "布洛芬每次0.2g，每天3次。"
    assert cleaned(PreferenceRecord(asked, ADVICE, dose), RULES).record is not None
    assert cleaned(PreferenceRecord(asked, dose, ADVICE), RULES).reason == "gives a dose"


def test_an_examination_question_loses_the_explanation_that_gives_a_dose():
    record = ChoiceRecord("正常心率是", {"A": "60～100", "B": "200"}, ("A",), "阿托品每次0.5mg静注。")
    assert cleaned(record, RULES).record.explanation == ""
    assert cleaned(PlainTextRecord("布洛芬每次0.2g，每天3次。"), RULES).reason == "gives a dose"


SENTENCES = [
    "建议口服布洛芬。", "可以用点眼药水。", "停药观察。", "遵医嘱用药。", "先吃两片。", "每日三次。", "外涂红霉素软膏。", "空腹服。", "加用维生素B族。",
    "换成二甲双胍。", "一天吃三顿饭。", "多喝水。", "给予静脉滴注青霉素。", "睡前1粒", "推荐剂量见说明书", "Take ibuprofen twice a day.", "Stop taking aspirin.",
    "You should rest.", "See a doctor.", "青霉素U/kg", "服用半片", "來一片止痛藥", "腰疼贴膏药。", "滴3滴", "减量维持", "嚼服阿司匹林", "血压140/90",
]  # fmt: skip


@given(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4).map("".join))
def test_the_quick_look_passes_over_nothing_that_the_full_check_finds(text):
    assert (prescribing(text) == "") == may_be_shown(text)


def test_a_persona_is_filled_where_it_introduces_itself_and_nowhere_else():
    assert filled_placeholders("我是 NAME，由 AUTHOR 开发", "小诊", "某医院") == "我是 小诊，由 某医院 开发"
    assert filled_placeholders("我是<NAME>", "小诊", "") == "我是小诊"
    code = "CREATE TABLE t (NAME text, AUTHOR text)"
    assert filled_placeholders(code, "小诊", "某医院") == code and not has_placeholder(code)


# whole files


def written(path: Path, *answers: str) -> Path:
    write_records(
        (dialogue(f"第{number}个问题：脚后跟疼怎么办？", answer) for number, answer in enumerate(answers)), path
    )
    return path


LONG = "脚后跟疼多半是足底筋膜炎，走路多、站得久、鞋底硬的人容易得，早上下床第一步最疼，走一会儿会好一些，先换软底的鞋，再慢慢拉伸小腿，两周不好就看骨科。"


def test_duplicates_overlaps_and_defects_are_counted_and_listed(tmp_path):
    path = tmp_path / "a.jsonl"
    write_records(
        [
            dialogue("脚后跟疼怎么办？", LONG),
            dialogue("脚后跟 疼，怎么办", LONG),  # the same but for blanks and marks
            dialogue("脚后跟疼怎么办？", LONG.replace("看骨科", "去骨科")),  # nearly the same
            dialogue("正常成人安静时的心率一般在什么范围之内呢？", "六十到一百。"),
            dialogue("手上起小水泡怎么办？", "布洛芬每次0.2g，每天3次。"),
            dialogue("手上起小水泡怎么办？", "少碰洗涤剂。"),
        ],
        path,
    )
    exam = tmp_path / "exam.jsonl"
    write_records([ChoiceRecord("正常成人安静时的心率一般在什么范围之内", {"A": "一", "B": "二"}, ("A",))], exam)
    report = clean_files([path], tmp_path / "out.jsonl", RULES, against=[exam], report_to=tmp_path / "removed.txt")
    assert dict(report.removed) == {
        "exact duplicate": 1,
        "near duplicate": 1,
        "overlaps an evaluation set": 1,
        "gives a dose": 1,
    }
    assert (report.read, report.kept) == (6, 2)
    assert set((tmp_path / "removed.txt").read_text(encoding="utf-8").splitlines()) == {
        "a.jsonl:2: exact duplicate",
        "a.jsonl:3: near duplicate",
        "a.jsonl:4: overlaps an evaluation set",
        "a.jsonl:5: gives a dose",
    }
    kept = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["messages"][0]["content"] for row in kept] == ["脚后跟疼怎么办？", "手上起小水泡怎么办？"]


def test_cleaning_what_is_clean_changes_nothing_and_every_row_is_accounted_for(tmp_path):
    source = written(
        tmp_path / "a.jsonl",
        *(f"{LONG}{number * 7919}号病例，{'复查' * (number % 2 + 1)}。" for number in range(20)),
        "好好好好好好好好好好好好",
    )
    first = clean_files([source], tmp_path / "one.jsonl", CleaningRules(near_duplicates=0))
    again = clean_files([tmp_path / "one.jsonl"], tmp_path / "two.jsonl", CleaningRules(near_duplicates=0))
    assert first.read == first.kept + sum(first.removed.values()) == 21
    assert (
        again.kept == again.read == first.kept
        and (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    )


def test_processes_give_the_same_file_as_one_alone(tmp_path):
    source = written(tmp_path / "a.jsonl", *(f"第{number}条：{ADVICE}" for number in range(2100)))
    clean_files([source], tmp_path / "one.jsonl", CleaningRules(near_duplicates=0))
    clean_files([source], tmp_path / "two.jsonl", CleaningRules(near_duplicates=0), workers=2)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_nothing_is_left_behind_when_cleaning_is_stopped(tmp_path):
    source = written(tmp_path / "a.jsonl", ADVICE, ADVICE)

    def stop(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean_files([source], tmp_path / "out.jsonl", RULES, report_to=tmp_path / "removed.txt", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


# splits


def test_a_question_is_always_in_the_same_part(tmp_path):
    records = [dialogue(f"第{number}个问题", "答") for number in range(400)]
    counts = split_records(records, tmp_path, validation=0.1, test=0.2)
    assert sum(counts.values()) == 400 and 50 <= counts["test"] <= 110 and 20 <= counts["validation"] <= 65
    assert all(
        part_of(dialogue(record.asked + "？", "另一个回答"), 0.1, 0.2) == part_of(record, 0.1, 0.2)
        for record in records
    )
