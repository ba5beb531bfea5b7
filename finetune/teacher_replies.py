"""What a teacher's reply holds, also behind a fence or cut off in the middle, and whether it is faithful to its passage."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def new_numbers(text: str, known: str) -> set[str]:
    """The numbers of a text that what it is made from does not have."""
    return set(_NUMBER.findall(text)) - set(_NUMBER.findall(known))


def json_of(reply: str) -> Any:
    """The JSON value in a reply, also behind a fence or a sentence. Raises ValueError where there is none."""
    text = _FENCE.sub("", reply.strip())
    decoder = json.JSONDecoder(strict=False)
    for match in re.finditer(r"[\[{]", text):
        try:
            return decoder.raw_decode(text, match.start())[0]
        except ValueError:
            continue
    raise ValueError("no whole JSON in it")


def pairs_of(reply: str) -> list[dict[str, str]]:
    """question, answer and quote ("" where none is given) of each pair of a reply; of a reply cut off, the pairs that are whole."""
    try:
        value = json_of(reply)
    except ValueError:
        value = None
    items = value.get("qa_pairs", [value]) if isinstance(value, dict) else value if isinstance(value, list) else []
    if not items or not all(isinstance(item, dict) for item in items):
        items = [found for match in re.finditer(r"\{[^{}]*\}", reply) if isinstance(found := _object(match[0]), dict)]
    pairs = [
        {"question": item["question"], "answer": item["answer"], "quote": _text(item, "quote")}
        for item in items
        if isinstance(item, dict) and _text(item, "question").strip() and _text(item, "answer").strip()
    ]
    return list(usable(pairs, "question with an answer"))


def _text(item: dict[str, Any], key: str) -> str:
    return value if isinstance(value := item.get(key), str) else ""


def _object(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return None


def unfaithful(answer: str, quote: str, passage: str) -> str:
    """Why an answer may not be said to come from a passage; "" where it may. The quote must stand there, the answer's numbers too."""
    if not quote or squeezed(quote) not in squeezed(passage):
        return "its quote does not stand in the passage"
    if new_numbers(answer, passage):
        return "a number that the passage does not have"
    return ""


def squeezed(text: str) -> str:
    """Letters and digits alone: what a quote must share with its passage."""
    return re.sub(r"[\W_]+", "", text).casefold()


def turn_of(speaker: str, reply: str) -> str:
    """The one turn of a speaker that a reply holds. Raises ValueError where it holds none, or an essay."""
    text = re.sub(rf"^{speaker}\s*[:：]\s*", "", reply.strip()).split("\n患者：")[0].split("\n医生：")[0].strip()
    if not text or len(text) > 1000:
        raise ValueError("no single turn")
    return text


def answer_of(reply: str) -> str:
    """The text under `answer`. Raises ValueError where there is none."""
    value = json_of(reply)
    if not isinstance(value, dict) or not isinstance(value.get("answer"), str) or not value["answer"].strip():
        raise ValueError("no answer in it")
    return str(value["answer"]).strip()


def better_of(reply: str) -> str:
    """A, B or equal. Raises ValueError for any other verdict."""
    value = json_of(reply)
    better = str(value.get("better", "")).strip() if isinstance(value, dict) else ""
    if better not in ("A", "B", "equal"):
        raise ValueError("no verdict in it")
    return better


def usable(values: Sequence[Any], what: str) -> Sequence[Any]:
    """The values, if there are any."""
    if not values:
        raise ValueError(f"no {what} in it")
    return values
