"""A base from scratch: a tokenizer that loses nothing, windows by weight, a run that goes on, a folder others train on."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.altered_words import altered
from finetune.base_corpus import TextSource, as_chat, documents_of, ready_corpus, records_of, stories_of
from finetune.base_tokenizer import ASSISTANT, END, USER, train_base_tokenizer
from finetune.copying_tasks import Told, copying_tasks
from finetune.record_writer import write_records
from finetune.records import DialogueRecord, Message, dialogue
from knowledge.errors import TrainingFailed
from knowledge.prompts import ABSTAINS

TEXTS = [
    "发烧要多休息，多喝水。体温39.5℃要看医生。" * 3,
    "Rest while you have a fever, and drink water. " * 3,
    "\n\t  x＝1",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_base_tokenizer(TEXTS * 4, 400)


@given(text=st.text(max_size=60))
def test_every_text_comes_back_as_it_was(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    ("sentence", "around"),
    [
        ("体温39.5℃要看医生。", "资料：{}[2]然后"),
        ("Rest while you have a fever, and drink water. ", "Drink tea. {}[2] Rest."),
        ("Rest while you have a fever, and drink water. ", "\n{}Drink tea."),
    ],
)
def test_a_sentence_has_the_same_tokens_wherever_it_stands(tokenizer, sentence, around):
    alone, within = tokenizer.encode(sentence).ids, tokenizer.encode(around.format(sentence)).ids
    assert any(within[at : at + len(alone)] == alone for at in range(len(within)))


def test_a_dialogue_is_read_in_the_form_of_the_chat_template():
    assert as_chat(dialogue("头疼", "去神经内科。")) == f"{USER}头疼{END}{ASSISTANT}去神经内科。{END}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "prose.txt").write_text(
        "\n".join(f"第{n}段：天气很好，大家都去公园散步了。" for n in range(400)), "utf-8"
    )
    write_records([dialogue(f"头疼{n}天了", "先休息，再看神经内科。") for n in range(300)], folder / "asked.jsonl")
    return folder


SOURCES = (
    TextSource("prose", "prose.txt", "MIT", "here"),
    TextSource("asked", "asked.jsonl", "MIT", "here", late_weight=9.0),
)


def test_a_corpus_is_made_once_and_holds_back_a_share(data, tmp_path):
    told: list[str] = []
    corpus = ready_corpus(tmp_path / "corpus", data, SOURCES, 300, 0.05, told.append)
    again = ready_corpus(tmp_path / "corpus", data, SOURCES, 300, 0.05, told.append)
    assert told.count("tokenizer …") == 1
    assert all(np.array_equal(corpus.streams[name], again.streams[name]) for name in ("prose", "asked"))
    assert 0 < len(corpus.held_out["prose"]) < 0.2 * len(corpus.streams["prose"])


def test_a_text_held_back_as_it_is_is_held_back_in_tasks_too(tmp_path):
    texts = [f"第{n}位病人昨天来过。第{n}位病人说夜里咳得睡不着。第{n}位病人的体温是三十八度。" for n in range(300)]
    (tmp_path / "told.txt").write_text("\n".join(texts), "utf-8")
    source = TextSource("told", "told.txt", "MIT", "here")
    _, held_back = documents_of(source, tmp_path, 0.2)
    tasks, _ = documents_of(replace(source, copying=1), tmp_path, 0.2)
    assert held_back and tasks
    assert not any(text[:12] in task for text in held_back for task in tasks)


def test_a_file_that_is_not_there_is_named_and_without_any_the_run_fails(data, tmp_path):
    told: list[str] = []
    absent = TextSource("gone", "gone.txt", "MIT", "here")
    ready_corpus(tmp_path / "corpus", data, (*SOURCES, absent), 300, 0.05, told.append)
    assert any("gone.txt" in line for line in told)
    with pytest.raises(TrainingFailed, match=r"gone\.txt"):
        ready_corpus(tmp_path / "other", data, (absent,), 300, 0.05, told.append)


def test_a_row_a_base_cannot_read_is_named_by_file_and_line(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        '{"kind": "preference", "prompt": [{"role": "user", "content": "a"}], "chosen": "b", "rejected": "c"}\n'
    )
    with pytest.raises(TrainingFailed, match=r"pairs\.jsonl:1"):
        list(records_of(file))


def tiny_config(**changes):
    from finetune.stages.base import BaseConfig, BaseShape, BaseSteps

    config = BaseConfig(
        name="tiny",
        training=BaseSteps(steps=24, learning_rate=5e-3, rows=4, guard_share=1.0, least_fall=0.02),
        texts=SOURCES,
        shape=BaseShape(layers=2, width=32, heads=2, key_heads=1, inner=64, window=48),
        vocabulary=300,
        held_out_share=0.05,
    )
    return replace(config, **changes)


def test_a_tiny_base_learns_and_other_stages_can_load_it(data, tmp_path):
    pytest.importorskip("transformers")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from finetune.stages.base import train_base

    figures = train_base(tiny_config(), data, tmp_path / "base")
    assert figures["perplexity_after"]["asked"] < figures["perplexity_before"]["asked"]
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "base"))
    shown = tokenizer.apply_chat_template(
        [{"role": "user", "content": "头疼"}], tokenize=False, add_generation_prompt=True
    )
    assert shown == f"{USER}头疼{END}{ASSISTANT}" and tokenizer.eos_token == END
    model = AutoModelForCausalLM.from_pretrained(str(tmp_path / "base"))
    assert model.config.tie_word_embeddings and sum(one.numel() for one in model.parameters()) == figures["parameters"]
    assert json.loads((tmp_path / "base" / "recipe.json").read_text())["stage"] == "base"


def test_a_run_whose_loss_does_not_fall_is_stopped(data, tmp_path):
    pytest.importorskip("transformers")
    from finetune.stages.base import BaseSteps, train_base

    still = BaseSteps(steps=24, learning_rate=0.0, rows=4, guard_share=1.0, least_fall=0.5)
    with pytest.raises(TrainingFailed, match="did not fall"):
        train_base(tiny_config(training=still), data, tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_attention_over_whole_windows_is_what_the_library_computes(data, tmp_path):
    pytest.importorskip("transformers")
    import torch

    from finetune.stages.base import new_model

    corpus = ready_corpus(tmp_path / "corpus", data, SOURCES, 300, 0.05, lambda _: None)
    torch.manual_seed(0)
    model = new_model(tiny_config().shape, corpus.figures["vocabulary"], tmp_path / "corpus" / "tokenizer.json").eval()
    ids = torch.randint(5, 290, (2, 40))
    with torch.no_grad():
        ours = model(input_ids=ids).logits
        model.set_attn_implementation("eager")
        theirs = model(input_ids=ids).logits
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_late_in_a_run_windows_are_drawn_by_the_late_weights(data, tmp_path):
    pytest.importorskip("torch")
    import torch

    from finetune.stages.base import Windows

    corpus = ready_corpus(tmp_path / "corpus", data, SOURCES, 300, 0.05, lambda _: None)
    config = tiny_config(texts=(SOURCES[0], replace(SOURCES[1], weight=0.0, late_weight=1.0)))
    windows = Windows(
        replace(config, texts=(replace(SOURCES[0], late_weight=0.0), config.texts[1])), corpus, torch.device("cpu")
    )
    prose = set(corpus.streams["prose"].tolist())
    early, late = windows.of_step(0), windows.of_step(23)
    assert set(early.flatten().tolist()) <= prose and not set(late.flatten().tolist()) <= prose
    assert torch.equal(windows.of_step(3), windows.of_step(3))


LONG = "".join(f"第{n}天他走了{n + 3}里路，晚上住在镇上的客店里。店主说明天要下雨，最好多住一天。" for n in range(40))
STORY = " ".join(
    f"On day {n} she walked {n + 3} miles, and slept at the inn. The host said rain was near." for n in range(40)
)


def test_a_copying_task_asks_for_a_sentence_that_stands_in_the_passage_it_cites():
    tasks = list(copying_tasks([Told(LONG), Told(STORY)], seed=3, rounds=4))
    assert len(tasks) > 5
    for task in tasks:
        if task.targets[0].rstrip("。.") not in ABSTAINS.values():
            assert_every_sentence_stands_where_it_is_cited(task)


def assert_every_sentence_stands_where_it_is_cited(task):
    shown = dict(re.findall(r"^\[(\d)\] .*\n(.+)$", task.asked, re.MULTILINE))
    cited = re.findall(r"(.+?)\s?\[(\d)\]\s?", task.targets[0])
    assert cited
    for sentence, key in cited:
        assert sentence.strip() in shown[key]


def test_a_text_told_in_answer_to_a_question_is_asked_for_by_it(tmp_path):
    file = tmp_path / "asked.jsonl"
    write_records([dialogue(f"老人摔了第{n}次怎么办", LONG[40 * n : 40 * n + 160]) for n in range(20)], file)
    stories = list(stories_of(file))
    assert stories[3].question == "老人摔了第3次怎么办"
    tasks = list(copying_tasks(stories, seed=1, rounds=3))
    assert sum("老人摔了第" in task.asked for task in tasks) > len(tasks) / 3


def test_a_name_in_chinese_makes_no_english_text_chinese():
    tasks = list(copying_tasks([Told(STORY + " She said 好. " + STORY)], seed=1, rounds=2))
    assert tasks and all("Passages" in task.asked for task in tasks)


CITED = DialogueRecord(
    (
        Message("user", "资料:\n\n[1] 晕车\n坐车前睡够12小时，晕车会轻一些。坐在前排看远处。\n\n患者说: 晕车怎么办"),
        Message("assistant", "坐车前睡够12小时，晕车会轻一些。[1]坐在前排看远处。[1]"),
    ),
    passages=("坐车前睡够12小时，晕车会轻一些。坐在前排看远处。",),
)


@given(seed=st.integers(0, 10_000))
def test_altered_words_are_exchanged_in_passage_and_answer_alike(seed):
    other = altered(CITED, random.Random(seed))
    assert_every_sentence_stands_where_it_is_cited(other)
    assert other.targets != CITED.targets and "12小时" not in other.targets[0]
    assert other.passages[0] in other.asked and re.findall(r"\[\d\]", other.asked) == ["[1]"]


def test_an_abstention_is_not_altered():
    abstention = dialogue("资料:\n\n[1] 晕车\n坐在前排看远处。\n\n患者说: 头疼", "资料不足。")
    assert altered(abstention, random.Random(1)) is abstention


def test_the_tokens_of_an_answer_are_those_after_the_assistants_mark_up_to_the_end_mark():
    torch = pytest.importorskip("torch")
    from finetune.base_measures import answer_tokens

    _pad, end, system, user, assistant = range(5)
    row = [9, 9, end, system, 8, end, user, 8, 8, end, assistant, 7, 7, end, 9, user, 8, end, assistant, 7]
    told = [at for at, inside in enumerate(answer_tokens(torch.tensor([row]))[0].tolist()) if inside]
    assert told == [11, 12, 13, 19]


def test_tasks_are_the_same_for_the_same_seed_and_others_in_another_round():
    once = [task.asked for task in copying_tasks([Told(LONG)], seed=3, rounds=2)]
    assert once == [task.asked for task in copying_tasks([Told(LONG)], seed=3, rounds=2)]
    assert len(set(once)) == len(once)


def test_a_source_can_be_read_as_copying_tasks(data, tmp_path):
    (data / "long.txt").write_text("\n".join([LONG, LONG[::-1] + "。"]), encoding="utf-8")
    source = TextSource("copied", "long.txt", "MIT", "here", copying=2)
    corpus = ready_corpus(tmp_path / "corpus", data, (source,), 300, 0.05, lambda _: None)
    assert corpus.figures["characters"]["copied"] > 2 * len(LONG)
