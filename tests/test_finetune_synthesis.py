"""A teacher that misbehaves costs nothing but its own rows, and what it writes is checked before it is kept."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from langchain_core.language_models import FakeListChatModel

from finetune.records import PreferenceRecord, dialogue
from finetune.synthesis import TASKS, Synthesis, guideline_pairs, preferences, rewritten, synthesise, two_agents
from finetune.synthesis_items import GraphRecord
from finetune.teacher import ReplyCache, Teacher
from finetune.teacher_replies import json_of, pairs_of
from finetune.text_readers import drug_label_of
from knowledge.prompts import ANSWER_SYSTEM
from tests.scripted_teacher import GOOD, PASSAGE, reply_of, teacher_that_says


def test_a_pair_is_kept_in_the_prompt_of_serving_with_its_citation(tmp_path):
    made = Synthesis()
    (record,) = guideline_pairs(PASSAGE, teacher_that_says(tmp_path, reply_of(GOOD)), made)
    assert (
        record.system == ANSWER_SYSTEM["zh"]
        and PASSAGE.text in record.asked
        and record.targets == ("多数人3个月内好转。[1]",)
    )
    assert not made.left_out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quote": "多数人很快好转"}, "its quote does not stand in the passage"),
        ({"quote": ""}, "its quote does not stand in the passage"),
        ({"answer": "多数人6个月内好转。"}, "a number that the passage does not have"),
        ({"answer": "换软底的鞋，建议口服布洛芬。"}, "starts, stops or changes a medicine"),
    ],
)
def test_a_pair_that_is_not_faithful_is_left_out_and_counted(tmp_path, change, reason):
    made = Synthesis()
    kept = list(guideline_pairs(PASSAGE, teacher_that_says(tmp_path, reply_of({**GOOD, **change}, GOOD)), made))
    assert len(kept) == 1 and made.left_out == Counter({reason: 1})


def test_a_quote_that_is_no_text_is_none(tmp_path):
    made = Synthesis()
    teacher = teacher_that_says(tmp_path, reply_of({**GOOD, "quote": ["多数人", 3]}))
    assert list(guideline_pairs(PASSAGE, teacher, made)) == []
    assert made.left_out == {"its quote does not stand in the passage": 1}


def test_of_a_reply_cut_in_the_middle_the_whole_pairs_are_kept():
    whole = reply_of(GOOD, GOOD)
    assert len(pairs_of(whole)) == 2
    assert len(pairs_of("```json\n" + whole[: len(whole) - 40])) == 1
    for reply in ("", "抱歉，我不能。", '{"qa_pairs": [', "[1, 2]", '{"qa_pairs": [{"question": "q"}]}'):
        with pytest.raises(ValueError, match="no "):
            pairs_of(reply)
    assert json_of('好的：\n```json\n{"better": "A"}\n```') == {"better": "A"}


def test_a_graph_record_gives_answers_that_hold_something_of_it(tmp_path):
    teacher = teacher_that_says(
        tmp_path,
        reply_of({"question": "胃炎看哪个科？", "answer": "看消化内科。"}, {"question": "q", "answer": "多喝水。"}),
    )
    made = Synthesis()
    kept = list(synthesise(TASKS["graph_instructions"], [GraphRecord("胃炎", {"所属科室": "消化内科"})], teacher, made))
    assert [record.targets[0] for record in kept] == ["看消化内科。"] and made.left_out[
        "nothing of the record in the answer"
    ] == 1


def test_a_label_gives_pairs_without_a_teacher_and_never_its_doses():
    label = drug_label_of(
        "示例口服液\n药品类型:示例类药\n适应证:用于鼻塞。\n用法用量:口服：每次10ml，每天3次。\n不良反应:尚不明确。\n注意事项:停药后复查。"
    )
    made = Synthesis()
    kept = list(synthesise(TASKS["drug_labels"], [label], None, made))
    assert [record.targets[0] for record in kept] == ["示例类药", "用于鼻塞。"] and made.left_out[
        "the label does not say"
    ] == 2
    assert not any("10ml" in record.targets[0] for record in kept)


def test_what_could_name_a_patient_is_masked_before_it_is_sent(tmp_path):
    seen: list[str] = []

    class Listening(FakeListChatModel):
        def _call(self, messages, *_, **__) -> str:
            seen.append(str(messages[-1].content))
            return '{"answer": "看骨科。"}'

    teacher = Teacher(Listening(responses=[""]), "listening", ReplyCache(tmp_path / "r.sqlite"))
    (record,) = rewritten(dialogue("我的手机是13812345678，脚疼。", "看骨科。"), teacher, Synthesis())
    assert "13812345678" not in seen[0] + record.asked


def test_two_agents_talk_until_the_patient_is_content(tmp_path):
    teacher = teacher_that_says(
        tmp_path, "患者：脚后跟疼", "医生：多久了？\n患者：两周", "两周了", "先换软底鞋，两周不好看骨科。", "谢谢医生。"
    )
    (record,) = two_agents("男，40岁，脚后跟疼两周", teacher, Synthesis())
    assert [message.content for message in record.messages] == [
        "脚后跟疼",
        "多久了？",
        "两周了",
        "先换软底鞋，两周不好看骨科。",
    ]


@pytest.mark.parametrize(
    ("verdicts", "chosen"),
    [(("A", "B"), "好回答"), (("B", "A"), "差回答"), (("A", "A"), None), (("equal", "equal"), None)],
)
def test_a_preference_counts_only_where_both_orders_agree(tmp_path, verdicts, chosen):
    teacher = teacher_that_says(
        tmp_path, "好回答", "差回答", *(json.dumps({"better": verdict}) for verdict in verdicts)
    )
    made = Synthesis()
    kept = list(preferences(dialogue("脚后跟疼怎么办？", "-"), teacher, made))
    assert [record.chosen for record in kept if isinstance(record, PreferenceRecord)] == ([chosen] if chosen else [])
    assert made.left_out["no clear preference"] == (chosen is None)
