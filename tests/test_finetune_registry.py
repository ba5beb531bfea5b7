"""Registries of data sets: our own, and a dataset_info.json of CareGPT or LLaMA-Factory."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from finetune.dataset_entry import InvalidRegistry
from finetune.record_readers import read_records
from finetune.records import (
    PreferenceRecord,
    kind_of,
)
from finetune.registry import load_registry
from tests.record_shapes import ADVICE, SHAPES

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
