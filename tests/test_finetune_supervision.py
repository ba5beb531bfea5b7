"""What a model learns from a row: the assistant's words and the stop token behind them, whole turns only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.record_writer import write_records
from finetune.records import ChoiceRecord, DialogueRecord, Message
from finetune.stage_rows import StageRow, read_rows
from finetune.supervision import IGNORED, SupervisedTokens, TokenCount, dialogue_tokens, fitted, supervised_dialogue
from knowledge.errors import TrainingFailed

TURNS = [
    {"role": "system", "content": "你是导诊台"},
    {"role": "user", "content": "发烧三天"},
    {"role": "assistant", "content": "多喝水。"},
    {"role": "user", "content": "还咳嗽"},
    {"role": "assistant", "content": "Rest, and see a doctor."},
]


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from finetune.base_model import load_tokenizer
    from finetune.chat_template import ensure_training_template
    from finetune.stage_config import BaseSettings

    loaded = load_tokenizer(BaseSettings(model=str(tiny_base)))
    ensure_training_template(loaded, "", "tiny")
    return loaded


def learnt(tokens: SupervisedTokens, tokenizer: Any) -> str:
    return tokenizer.decode([label for label in tokens.labels if label != IGNORED])


def test_the_loss_falls_on_every_answer_and_its_stop_token_and_on_nothing_else(tokenizer: Any) -> None:
    tokens = supervised_dialogue(StageRow("a:1", {"messages": TURNS}), tokenizer)
    assert learnt(tokens, tokenizer) == "多喝水。<|im_end|>Rest, and see a doctor.<|im_end|>"
    assert all(label in (IGNORED, token) for token, label in zip(tokens.input_ids, tokens.labels, strict=True))


def test_what_is_trained_is_what_the_preview_marks(tokenizer: Any) -> None:
    from finetune.records import DialogueRecord, Message
    from finetune.rendering import rendered_tokens

    record = DialogueRecord(
        tuple(Message(turn["role"], turn["content"]) for turn in TURNS[1:]), system=TURNS[0]["content"]
    )
    preview = rendered_tokens(record, tokenizer)
    tokens = supervised_dialogue(StageRow("a:1", {"messages": TURNS}), tokenizer)
    assert (list(preview.input_ids), list(preview.labels)) == (tokens.input_ids, tokens.labels)


def test_a_row_too_long_keeps_the_whole_turns_that_fit(tokenizer: Any) -> None:
    whole = supervised_dialogue(StageRow("a:1", {"messages": TURNS}), tokenizer)
    first = fitted(whole, len(whole.input_ids) - 3)
    assert first is not None and learnt(first, tokenizer) == "多喝水。<|im_end|>"
    assert fitted(whole, 8) is None
    count = TokenCount()
    assert (
        list(dialogue_tokens([StageRow("a:1", {"messages": TURNS})], tokenizer, 8, count)) == [] and count.too_long == 1
    )


@pytest.mark.parametrize("turns", [TURNS[:2], [*TURNS[:2], {"role": "assistant", "content": ""}]])
def test_a_row_with_nothing_to_learn_is_named_by_its_line(turns: list, tokenizer: Any) -> None:
    with pytest.raises(TrainingFailed, match=r"rows\.jsonl:7"):
        supervised_dialogue(StageRow("rows.jsonl:7", {"messages": turns}), tokenizer)


def test_a_template_that_marks_nothing_or_leaves_out_the_stop_token_is_refused(tokenizer: Any) -> None:
    import copy

    from finetune.chat_template import ensure_training_template
    from tests.tiny_chat_model import CHATML, CHATML_WITHOUT_MARKERS

    other = copy.deepcopy(tokenizer)
    stop_outside = CHATML.replace("+ '<|im_end|>' }}{% endgeneration %}", "}}{% endgeneration %}{{ '<|im_end|>' }}")
    for template, said in (
        (CHATML_WITHOUT_MARKERS, "does not mark"),
        (stop_outside, "stop"),
        (None, "no chat template"),
        ("{{ raise_exception('no system') }}{% generation %}{% endgeneration %}", "cannot render"),
    ):
        other.chat_template = template
        with pytest.raises(TrainingFailed, match=said):
            ensure_training_template(other, "", "tiny")
    ensure_training_template(other, "plain", "tiny")
    assert learnt(supervised_dialogue(StageRow("a:1", {"messages": TURNS}), other), other).startswith(
        "多喝水。<|im_end|>"
    )


@pytest.mark.parametrize(
    ("stage", "row", "said"),
    [
        ("pt", {"txt": "a"}, "text"),
        ("sft", {"instruction": "a", "output": "b"}, "messages"),
        ("sft", {"messages": [{"from": "human", "value": "a"}]}, "role"),
        ("sft", {"messages": []}, "messages"),
        ("dpo", {"prompt": "a", "chosen": "b"}, "rejected"),
        ("rm", {"prompt": "a", "chosen": "", "rejected": "b"}, "chosen"),
        ("rm", {"prompt": [{"role": "assistant", "content": "a"}], "chosen": "b", "rejected": "c"}, "user"),
        ("kto", {"prompt": "a", "completion": "b", "label": "yes"}, "label"),
        ("grpo", {"question": "a", "options": ["b"]}, "options"),
        ("ppo", {"messages": [{"role": "assistant", "content": "a"}]}, "user"),
        ("sft", {"kind": "dialogue", "messages": [{"role": "user", "content": "a"}]}, "alternate"),
        ("sft", 3, "object"),
    ],
)
def test_a_row_of_another_shape_is_named_with_file_line_and_what_is_expected(
    stage: str, row: Any, said: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text("\n" + json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(TrainingFailed) as failure:
        list(read_rows(stage, ["rows.jsonl"], tmp_path))
    assert said in str(failure.value) and "rows.jsonl:2" in str(failure.value) and "\n" not in str(failure.value)


def test_our_own_records_and_the_trainers_columns_both_train(tmp_path: Path) -> None:
    rows = [
        {
            "kind": "preference",
            "prompt": [{"role": "user", "content": "a"}],
            "chosen": "b",
            "rejected": "c",
            "system": "s",
        },
        {"prompt": "a", "chosen": [{"role": "assistant", "content": "b"}], "rejected": "c"},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    first, second = (row.values for row in read_rows("dpo", ["rows.jsonl"], tmp_path))
    assert first["prompt"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]
    assert second["prompt"] == first["prompt"][1:] and second["chosen"] == first["chosen"]


def test_an_exam_row_becomes_a_prompt_with_its_answers(tmp_path: Path) -> None:
    row = {"kind": "choice", "question": "见于", "options": {"A": "喉炎", "B": "百日咳"}, "answers": ["B"]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (asked,) = (one.values for one in read_rows("grpo", ["rows.jsonl"], tmp_path))
    assert asked["answers"] == ["B"] and "B. 百日咳" in asked["prompt"][0]["content"]


def test_own_records_with_a_thumb_and_exam_questions_are_rows_of_their_stages(tmp_path):
    asked = DialogueRecord(
        (
            Message("user", "脚疼"),
            Message("assistant", "多久了？"),
            Message("user", "两天"),
            Message("assistant", "不知道。"),
        ),
        system="用短句。",
        tags=("disliked",),
    )
    write_records([asked], tmp_path / "thumbs.jsonl")
    (row,) = read_rows("kto", ["thumbs.jsonl"], tmp_path)
    assert row.values["label"] is False and row.values["completion"][0]["content"] == "不知道。"
    assert [turn["role"] for turn in row.values["prompt"]] == ["system", "user", "assistant", "user"]
    with pytest.raises(TrainingFailed, match="thumbs.jsonl:1: .*stage kto"):
        list(read_rows("sft", ["thumbs.jsonl"], tmp_path))
    write_records([ChoiceRecord("正常心率是", {"A": "60～100", "B": "200"}, ("A",))], tmp_path / "exam.jsonl")
    (row,) = read_rows("sft", ["exam.jsonl"], tmp_path)
    assert row.values["messages"][1]["content"] == "A" and "B. 200" in row.values["messages"][0]["content"]
