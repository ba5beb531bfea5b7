"""Readers of preferences: two answers to one prompt, in the field's spellings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune.dialogue_readers import Turns, history_turns
from finetune.records import InvalidRecord, PreferenceRecord, shape_of
from finetune.row_fields import field, optional
from finetune.turns import hh_turns, listed_turns, prompting, spoken_text


def response_pair(row: Any) -> Iterator[PreferenceRecord]:
    """{"question": "头痛怎么办", "response_chosen": "先休息。", "response_rejected": "不知道。", "system": "", "history": []} (MedicalGPT)"""
    turns = [*history_turns(row.get("history")), ("user", spoken_text(field(row, "question"), "question"))]
    chosen, rejected = (spoken_text(field(row, name), name) for name in ("response_chosen", "response_rejected"))
    yield PreferenceRecord(prompting(turns), chosen, rejected, system=optional(row, "system"))


def chosen_rejected(row: Any) -> Iterator[PreferenceRecord]:
    """{"prompt": "头痛怎么办", "chosen": "先休息。", "rejected": "不知道。"}

    Also conversations, messages or instruction + input in place of prompt; chosen and rejected as a turn, {"from":
    "gpt", "value": …}, or as whole dialogues (UltraFeedback); HH-RLHF's two texts with `Human:` and `Assistant:`.
    """
    chosen, rejected = field(row, "chosen"), field(row, "rejected")
    if isinstance(chosen, str) and isinstance(rejected, str) and "\n\nHuman:" in chosen:
        turns, other = hh_turns(chosen), hh_turns(rejected)
        if not turns or not other:
            raise InvalidRecord("Human and Assistant turns in chosen and rejected, found none")
        yield PreferenceRecord(prompting(turns[:-1]), turns[-1][1], other[-1][1])
        return
    prompt, system = _prompt(row, chosen)
    yield PreferenceRecord(
        prompting(prompt), _answer(chosen), _answer(rejected), system=optional(row, "system") or system
    )


def _prompt(row: dict[str, Any], chosen: Any) -> tuple[Turns, str]:
    for name in ("conversations", "messages", "prompt"):
        if isinstance(row.get(name), list):
            turns, system = listed_turns(row[name])
            return [*turns], system
    for name in ("prompt", "instruction", "question"):
        if row.get(name):
            extra = optional(row, "input")
            asked = spoken_text(row[name], name)
            return [*history_turns(row.get("history")), ("user", f"{asked}\n{extra}" if extra else asked)], ""
    if isinstance(chosen, list):
        turns, system = listed_turns(chosen)
        return [*turns[:-1]], system
    raise InvalidRecord(f"prompt, conversations or instruction beside chosen and rejected, found {shape_of(row)}")


def _answer(value: Any) -> str:
    if isinstance(value, dict):
        turns, _ = listed_turns([value])
        return turns[0][1] if turns else ""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        turns, _ = listed_turns(value)
        return turns[-1][1] if turns else ""
    return spoken_text(value, "chosen and rejected")
