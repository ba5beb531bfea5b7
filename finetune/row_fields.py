"""The fields of a row, under whatever names and in whatever case a data set has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune.records import DISLIKED, LIKED, InvalidRecord, shape_of
from finetune.turns import spoken_text


def field(row: dict[str, Any], *names: str) -> Any:
    """The value under the first of the names that the row has, whatever the case of its letters."""
    lower = {str(key).casefold(): value for key, value in row.items()}
    for name in names:
        if lower.get(name.casefold()) is not None:
            return lower[name.casefold()]
    raise InvalidRecord(f"the field {' or '.join(names)}, found {shape_of(row)}")


def optional(row: dict[str, Any], *names: str) -> str:
    """The text under the first of the names that the row has; "" where it has none."""
    for name in names:
        if row.get(name):
            return spoken_text(row[name], name)
    return ""


def opinion_tags(row: dict[str, Any]) -> tuple[str, ...]:
    """KTO's thumb up or down, as a tag."""
    verdict = row.get("kto_tag", row.get("label"))
    return ((LIKED if verdict else DISLIKED),) if isinstance(verdict, bool) else ()


def department_tags(row: dict[str, Any]) -> tuple[str, ...]:
    """The departments a row names, as tags."""
    names = [row.get(name) for name in ("department", "cate1", "cate2", "departments")]
    return tuple(
        dict.fromkeys(f"department:{name.strip()}" for name in names if isinstance(name, str) and name.strip())
    )


def renamed(row: Any, columns: Mapping[str, str], tags: Mapping[str, str]) -> Any:
    """A row under the names the readers know: the columns and turn tags of a dataset_info.json applied."""
    if not isinstance(row, dict):
        return row
    taken = {theirs: ours for ours, theirs in columns.items() if theirs}
    row = {taken.get(name, name): value for name, value in row.items() if name not in _unwanted(columns, taken)}
    turns = row.get("conversations")
    if tags and isinstance(turns, list):
        row["conversations"] = [_turn(turn, tags) for turn in turns]
        for name in ("chosen", "rejected"):
            if isinstance(row.get(name), dict):
                row[name] = _turn(row[name], tags)
    return row


def _unwanted(columns: Mapping[str, str], taken: Mapping[str, str]) -> set[str]:
    """Columns of the row that go by a name of ours but are said to be no such thing."""
    return {ours for ours, theirs in columns.items() if not theirs and ours not in taken} - set(taken)


def _turn(turn: Any, tags: Mapping[str, str]) -> Any:
    if not isinstance(turn, dict):
        return turn
    role, text = tags.get("role_tag", "from"), tags.get("content_tag", "value")
    if role not in turn or text not in turn:
        return turn
    speakers = {
        tags.get("user_tag", "human"): "human",
        tags.get("assistant_tag", "gpt"): "gpt",
        tags.get("system_tag", "system"): "system",
    }
    return {
        "from": speakers.get(turn[role], turn[role]) if isinstance(turn[role], str) else turn[role],
        "value": turn[text],
    }
