"""The rows a stage learns from, out of JSON Lines: our own records, or the columns the field's trainers read.

    pt     {"text"}
    sft    {"messages"}, or {"prompt", "completion"}, or an exam question of ours ({"kind": "choice", ...})
    rm dpo {"prompt", "chosen", "rejected"}
    kto    {"prompt", "completion", "label"}: label is the thumb, true or false; or a dialogue of ours with the tag
           liked or disliked
    grpo ppo {"prompt"}, or {"question", "options", "answers"}, or {"messages"} whose last answer is left out

A prompt is text or messages; "system" may stand beside any. Files may be compressed (.gz, .xz).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from finetune.exam_prompt import exam_prompt
from finetune.records import DISLIKED, LIKED, ChoiceRecord, InvalidRecord, from_row, shape_of
from finetune.rendering import choice_messages
from finetune.row_files import rows_of
from finetune.rows import BadRow
from knowledge.errors import TrainingFailed

Messages = list[dict[str, str]]


class _Unexpected(ValueError):
    """A row of another shape; the text says what was expected."""


@dataclass(frozen=True)
class StageRow:
    """One row as a stage's trainer wants it. where: "file:line"."""

    where: str
    values: dict[str, Any]


def read_rows(stage: str, files: Iterable[str], data_dir: Path) -> Iterator[StageRow]:
    """The rows of all files in order. Raises TrainingFailed naming file and line."""
    shape = SHAPES[stage]
    for name in files:
        path = data_dir / name
        for row in rows_of(path):
            where = f"{path.name}:{row.line}"
            if isinstance(row, BadRow):
                raise TrainingFailed(f"{where}: {row.problem}")
            try:
                if not isinstance(row.value, dict):
                    raise InvalidRecord(f"an object, found {shape_of(row.value)}")
                if "kind" in row.value:
                    from_row(row.value)
                yield StageRow(where, shape(row.value))
            except _Unexpected as fault:
                raise TrainingFailed(f"{where}: stage {stage} expects {fault}, found {shape_of(row.value)}") from None
            except InvalidRecord as fault:
                raise TrainingFailed(f"{where}: expected {fault}") from None


def require_files(files: Iterable[str], data_dir: Path) -> None:
    """Raises TrainingFailed naming every file that is not there."""
    absent = [name for name in files if not (data_dir / name).is_file()]
    if absent:
        raise TrainingFailed(f"{data_dir}: {', '.join(absent)} not there; give the folder with --data")


def data_fingerprints(files: Iterable[str], data_dir: Path) -> dict[str, str]:
    """SHA-256 of each file, by its name in the config."""
    prints = {}
    for name in files:
        with (data_dir / name).open("rb") as file:
            prints[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return prints


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _Unexpected(f"{key} to be text that says something")
    return value


def _messages(value: Any, system: Any = "") -> Messages:
    if not isinstance(value, list) or not value:
        raise _Unexpected("messages: a list of {role, content}")
    messages = []
    for turn in value:
        if (
            not isinstance(turn, dict)
            or turn.get("role") not in ("system", "user", "assistant")
            or not isinstance(turn.get("content"), str)
        ):
            raise _Unexpected("turns of {role: system, user or assistant; content: text}")
        messages.append({"role": turn["role"], "content": turn["content"]})
    if isinstance(system, str) and system.strip() and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _prompt(row: dict[str, Any]) -> Messages:
    value = row.get("prompt")
    if isinstance(value, str) and value.strip():
        value = [{"role": "user", "content": value}]
    elif not isinstance(value, list):
        raise _Unexpected("prompt: text, or a list of {role, content}")
    messages = _messages(value, row.get("system", ""))
    if messages[-1]["role"] != "user":
        raise _Unexpected("a prompt that ends with the user")
    return messages


def _answer(row: dict[str, Any], key: str) -> Messages:
    value = row.get(key)
    if isinstance(value, list):
        answer = _messages(value)
        if [turn["role"] for turn in answer] != ["assistant"]:
            raise _Unexpected(f"{key}: text, or one turn of the assistant")
        value = answer[0]["content"]
    if not isinstance(value, str) or not value.strip():
        raise _Unexpected(f"{key} to be text that says something")
    return [{"role": "assistant", "content": value}]


def _pt(row: dict[str, Any]) -> dict[str, Any]:
    return {"text": _text(row, "text")}


def _sft(row: dict[str, Any]) -> dict[str, Any]:
    if DISLIKED in _thumbs(row):
        raise _Unexpected("answers worth learning: one with a thumb down is for stage kto")
    if row.get("kind") == "choice":
        asked, answer = choice_messages(cast(ChoiceRecord, from_row(row)))
        return {"messages": [asked.as_row(), answer.as_row()]}
    if "messages" in row:
        return {"messages": _messages(row["messages"], row.get("system", ""))}
    if "prompt" in row and "completion" in row:
        return {"messages": _prompt(row) + _answer(row, "completion")}
    raise _Unexpected("messages, or prompt and completion")


def _pair(row: dict[str, Any]) -> dict[str, Any]:
    if not {"prompt", "chosen", "rejected"} <= set(row):
        raise _Unexpected("prompt, chosen and rejected")
    return {"prompt": _prompt(row), "chosen": _answer(row, "chosen"), "rejected": _answer(row, "rejected")}


def _thumbs(row: dict[str, Any]) -> set[str]:
    """The thumb one of our own dialogues bears as a tag."""
    return {LIKED, DISLIKED} & set(row.get("tags", ())) if row.get("kind") == "dialogue" else set()


def _thumb(row: dict[str, Any]) -> dict[str, Any]:
    if thumbs := _thumbs(row):
        *prompt, answer = _messages(row["messages"], row.get("system", ""))
        return {"prompt": prompt, "completion": [answer], "label": LIKED in thumbs}
    if not isinstance(row.get("label"), bool):
        raise _Unexpected("prompt, completion and label (true or false)")
    return {"prompt": _prompt(row), "completion": _answer(row, "completion"), "label": row["label"]}


def _asked(row: dict[str, Any]) -> dict[str, Any]:
    if "question" in row and "options" in row:
        answers, options = row.get("answers"), row["options"]
        if not isinstance(options, dict) or not isinstance(answers, list) or not answers:
            raise _Unexpected("question, options ({letter: text}) and answers (letters)")
        prompt = exam_prompt(_text(row, "question"), options)
        return {"prompt": _messages(prompt), "answers": [str(answer) for answer in answers], "passages": []}
    if "messages" in row:
        messages = _messages(row["messages"], row.get("system", ""))
        while messages and messages[-1]["role"] != "user":
            messages.pop()
        if not messages:
            raise _Unexpected("messages in which the user says something")
    else:
        messages = _prompt(row)
    answers, passages = row.get("answers", []), row.get("passages", [])
    if not isinstance(answers, list) or not isinstance(passages, list):
        raise _Unexpected("answers and passages, where given, to be lists of texts")
    return {"prompt": messages, "answers": [str(one) for one in answers], "passages": [str(one) for one in passages]}


SHAPES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "pt": _pt,
    "sft": _sft,
    "rm": _pair,
    "dpo": _pair,
    "kto": _thumb,
    "grpo": _asked,
    "ppo": _asked,
}
