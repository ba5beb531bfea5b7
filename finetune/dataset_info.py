"""CareGPT's and LLaMA-Factory's `dataset_info.json`, read as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from finetune.dataset_entry import DatasetEntry, InvalidRegistry
from finetune.record_readers import AUTO
from finetune.records import shape_of

ALPACA_COLUMNS = {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}
SHAREGPT_COLUMNS = {"messages": "conversations"}
COLUMNS = {
    **ALPACA_COLUMNS,
    **SHAREGPT_COLUMNS,
    "system": "system",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "kto_tag",
}
_LEFT_OUT = ("images", "videos", "audios", "tools")
_READERS = {"alpaca": "alpaca", "sharegpt": "conversations", "openai": "conversations"}
_HUBS = {"ms_hub_url": "modelscope.cn/datasets", "om_hub_url": "modelers.cn/datasets"}  # beside Hugging Face's


def dataset_info(path: Path, text: str) -> dict[str, DatasetEntry]:
    """The data sets of a `dataset_info.json` by name. Raises InvalidRegistry."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InvalidRegistry(f"{path.name}: {fault}") from None
    if not isinstance(table, dict) or not all(isinstance(row, dict) for row in table.values()):
        raise InvalidRegistry(
            f"{path.name}: expected an object that maps names to data sets, as CareGPT and LLaMA-Factory write it"
        )
    return {name: _entry(f"{path.name}: {name}", name, row) for name, row in table.items()}


def _entry(place: str, name: str, row: dict[str, Any]) -> DatasetEntry:
    formatting = row.get("formatting", "alpaca")
    if not isinstance(formatting, str) or formatting not in _READERS:
        raise InvalidRegistry(f"{place}: formatting {formatting!r:.40}; known: {', '.join(_READERS)}")
    columns, tags = _named_texts(place, row, "columns"), _named_texts(place, row, "tags")
    at_most = row.get("num_samples")
    if not (at_most is None or (type(at_most) is int and at_most > 0)):
        raise InvalidRegistry(f"{place}: expected num_samples to be a number of rows, found {at_most!r:.40}")
    is_ranking = bool(row.get("ranking"))
    is_text = formatting == "alpaca" and not is_ranking and bool(columns.get("prompt")) and not columns.get("response")
    if is_text:
        reader, renaming = "plain_text", {"text": columns["prompt"]}
    else:
        renaming = {COLUMNS[ours]: theirs for ours, theirs in columns.items() if ours in COLUMNS}
        reader = "chosen_rejected" if is_ranking and columns.get("chosen") else _READERS[formatting]
        if formatting == "alpaca" and not columns:
            reader = AUTO  # nothing is said of its columns: hub sets differ
    left_out = [kind for kind in _LEFT_OUT if columns.get(kind)]
    return DatasetEntry(
        name=name,
        stage="pretraining" if is_text else "reward" if is_ranking else "supervised",
        hub=_text(place, row, "hf_hub_url"),
        subset=_text(place, row, "subset"),
        split=_text(place, row, "split"),
        url=next((f"{site}/{where}" for key, site in _HUBS.items() if (where := _text(place, row, key))), ""),
        file=_text(place, row, "file_name"),
        sha1=_text(place, row, "file_sha1"),
        reader=reader,
        columns=renaming,
        tags=tags,
        at_most=at_most,
        needs_script="script_url" in row,
        note=f"has {', '.join(left_out)}, which are left out" if left_out else "",
    )


def _text(place: str, row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not (value is None or isinstance(value, str)):
        raise InvalidRegistry(f"{place}: expected {key} to be text, found {shape_of(value)}")
    return value or ""


def _named_texts(place: str, row: dict[str, Any], key: str) -> dict[str, str]:
    """An object of texts; a name that is null or "" is said to be there under no name."""
    value = row.get(key) or {}
    if not isinstance(value, dict) or not all(text is None or isinstance(text, str) for text in value.values()):
        raise InvalidRegistry(f"{place}: expected {key} to be an object of names, found {shape_of(value)}")
    return {name: text or "" for name, text in value.items()}
