"""What is trained on is every answer with the mark that ends it, and nothing else, whatever the chat template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.preview import previewed
from finetune.record_writer import write_records
from finetune.records import (
    ChoiceRecord,
    DialogueRecord,
    InvalidRecord,
    Message,
    PlainTextRecord,
    PreferenceRecord,
    dialogue,
)
from finetune.rendering import IGNORED, Template, marked_tokens, rendered_text, rendered_tokens
from tests.tiny_chat_model import CHATML

TURNS = DialogueRecord(
    (
        Message("user", "脚后跟疼"),
        Message("assistant", "多久了？"),
        Message("user", "两周"),
        Message("assistant", "看骨科。"),
    ),
    system="用短句。",
)
LLAMA3 = (
    "{{- bos_token -}}{%- for message in messages -%}{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}"
)
LLAMA2 = (
    "{%- for message in messages -%}{%- if message['role'] == 'user' -%}{{- '<s>[INST] ' + message['content'] + ' [/INST]' -}}"
    "{%- elif message['role'] == 'assistant' -%}{{- ' ' + message['content'] + ' </s>' -}}{%- else -%}{{- message['content'] -}}{%- endif -%}{%- endfor -%}"
)
THINKING = (  # writes an empty thinking block before the last answer only
    "{%- for message in messages -%}{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['role'] == 'assistant' and loop.last -%}{{- '<think>\n\n</think>\n\n' -}}{%- endif -%}{{- message['content'] + '<|im_end|>\n' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
TEMPLATES = {
    "chatml": (CHATML, "<|im_end|>"),
    "llama3": (LLAMA3, "<|eot_id|>"),
    "llama2": (LLAMA2, "</s>"),
    "thinking": (THINKING, "<|im_end|>"),
}


@pytest.fixture(scope="module")
def tokenizer_with():
    """A byte-pair tokenizer over bytes, made here, with the template asked for."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    marks = [
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<s>",
        "</s>",
    ]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=marks, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    core.train_from_iterator(["脚后跟疼多久了？看骨科。user assistant system"], trainer)

    def make(template: str | None):
        made = transformers.PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>", bos_token="<s>")
        made.chat_template = template
        return made

    return make


def trained(record, tokenizer, **options) -> str:
    tokens = rendered_tokens(record, tokenizer, **options)
    return tokenizer.decode([label for label in tokens.labels if label != IGNORED])


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_answer_and_its_end_is_trained_and_nothing_else(tokenizer_with, name):
    template, stop = TEMPLATES[name]
    told = trained(TURNS, tokenizer_with(template))
    assert [part.strip().removeprefix("<think>\n\n</think>\n\n") for part in told.split(stop)] == [
        "多久了？",
        "看骨科。",
        "",
    ]
    assert told.rstrip().endswith(stop)


@pytest.mark.parametrize("name", TEMPLATES)
def test_only_the_last_answer_is_trained_where_that_is_asked(tokenizer_with, name):
    told = trained(TURNS, tokenizer_with(TEMPLATES[name][0]), train_on="last")
    assert "看骨科。" in told and "多久了" not in told


def test_without_a_template_or_a_tokenizer_it_is_chatml(tokenizer_with):
    without = rendered_text(TURNS, Template())
    assert (
        without.text
        == rendered_text(TURNS, Template(tokenizer_with(CHATML))).text
        == rendered_text(TURNS, Template(tokenizer_with(None))).text
    )
    assert [text for text, is_trained in without.pieces() if is_trained] == ["多久了？<|im_end|>", "看骨科。<|im_end|>"]
    assert "".join(text for text, _ in without.pieces()) == without.text


def test_the_marks_of_the_template_itself_agree(tokenizer_with):
    tokenizer = tokenizer_with(CHATML)
    messages = [{"role": "system", "content": TURNS.system}, *(message.as_row() for message in TURNS.messages)]
    marked = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    ours = rendered_tokens(TURNS, tokenizer)
    assert list(ours.input_ids) == marked["input_ids"]
    assert [label != IGNORED for label in ours.labels] == [bool(mark) for mark in marked["assistant_masks"]]


def test_running_text_is_trained_whole_and_ends(tokenizer_with):
    assert trained(PlainTextRecord("脚后跟疼"), tokenizer_with(CHATML)) == "脚后跟疼<|endoftext|>"


def test_a_preference_shows_the_chosen_answer_and_a_choice_its_letter(tokenizer_with):
    tokenizer = tokenizer_with(CHATML)
    assert (
        trained(PreferenceRecord((Message("user", "脚疼"),), "看骨科。", "不知道"), tokenizer) == "看骨科。<|im_end|>"
    )
    assert trained(ChoiceRecord("哪个是骨科？", {"A": "骨科", "B": "眼科"}, ("A",)), tokenizer) == "A<|im_end|>"


def test_a_record_with_nothing_left_to_train_is_refused(tokenizer_with):
    with pytest.raises(InvalidRecord, match="an answer within 5 tokens"):
        rendered_tokens(TURNS, tokenizer_with(CHATML), max_tokens=5)
    with pytest.raises(InvalidRecord, match="own mark"):
        rendered_text(dialogue("q", "a<|im_end|>b"), Template())
    endless = "{%- for message in messages -%}{{- message['content'] -}}{%- endfor -%}"
    with pytest.raises(InvalidRecord, match="marks the end of an answer"):
        rendered_tokens(TURNS, tokenizer_with(endless))


said = st.text(alphabet=st.sampled_from("脚疼ab \n。，1?"), min_size=1, max_size=12).filter(str.strip)


@given(st.lists(st.tuples(said, said), min_size=1, max_size=4), st.sampled_from(sorted(TEMPLATES)))
def test_the_trained_text_is_the_answers_whatever_is_said(tokenizer_with, turns, name):
    template, stop = TEMPLATES[name]
    record = DialogueRecord(
        tuple(Message(role, text) for pair in turns for role, text in zip(("user", "assistant"), pair, strict=True))
    )
    pieces = [
        text for text, is_trained in rendered_text(record, Template(tokenizer_with(template))).pieces() if is_trained
    ]
    answers = [piece.removesuffix(stop).removeprefix("<think>\n\n</think>\n\n").strip() for piece in pieces]
    assert answers == [answer.strip() for _, answer in turns]


def test_the_preview_marks_tokens_and_characters(tokenizer_with, tmp_path):
    write_records([TURNS], tmp_path / "a.jsonl")
    (plain,) = previewed(tmp_path / "a.jsonl", tmp_path, 1)
    (tokens,) = previewed(tmp_path / "a.jsonl", tmp_path, 1, tokenizer_with(CHATML))
    assert [text for text, is_trained in plain.pieces if is_trained] == ["多久了？<|im_end|>", "看骨科。<|im_end|>"]
    assert "tokens trained" in tokens.summary and "characters trained" in plain.summary
    rendered = rendered_tokens(TURNS, tokenizer_with(CHATML))
    assert sum(mark for _, mark in marked_tokens(rendered, tokenizer_with(CHATML))) == sum(
        label >= 0 for label in rendered.labels
    )
