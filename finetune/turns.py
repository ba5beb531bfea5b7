"""From however a data set writes its speakers to turns that alternate and end with the assistant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from finetune.records import DialogueRecord, InvalidRecord, Message, Role, shape_of

SPEAKERS: dict[str, Role] = {
    **dict.fromkeys(
        (
            "user",
            "human",
            "patient",
            "patients",
            "client",
            "prompter",
            "seeker",
            "usr",
            "病人",
            "患者",
            "用户",
            "咨询者",
            "求助者",
            "问",
            "0",
        ),
        "user",
    ),
    **dict.fromkeys(
        (
            "assistant",
            "gpt",
            "chatgpt",
            "bot",
            "model",
            "doctor",
            "counselor",
            "counsellor",
            "supporter",
            "sys",
            "医生",
            "专家",
            "助手",
            "咨询师",
            "答",
            "1",
        ),
        "assistant",
    ),
}
_SPOKEN = re.compile(
    r"^[ \t]*(?:<(user|bot)>|(patient|doctor|human|assistant|user|病人|患者|用户|医生|专家|问|答))[ \t]*[:：][ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_TAGGED = re.compile(r"<(user|bot)>\s*[:：]\s*")
_HH = re.compile(r"\n\n(Human|Assistant):\s?")


def speaker_of(name: Any) -> Role:
    """Whose turn it is, by how the field's data sets call their speakers."""
    role = SPEAKERS.get(str(name).strip().casefold())
    if role is None:
        raise InvalidRecord(f"a speaker such as user, assistant, human, gpt, 病人 or 医生, found {str(name)[:24]!r}")
    return role


def spoken_text(value: Any, what: str = "text") -> str:
    """A text, or a list's texts as lines."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        raise InvalidRecord(f"{what} to be text, found {shape_of(value)}")
    return value.strip()


def alternating(turns: Iterable[tuple[Role, str]]) -> tuple[Message, ...]:
    """Turns that begin with the user, alternate, and end with the assistant.

    Neighbouring turns of one speaker are joined by a line break; what the assistant says before the first question, and
    what stays unanswered at the end, is left out. Raises InvalidRecord where nothing is answered.
    """
    messages: list[Message] = []
    for role, text in turns:
        text = text.strip()
        if not text or (not messages and role == "assistant"):
            continue
        if messages and messages[-1].role == role:
            messages[-1] = Message(role, f"{messages[-1].content}\n{text}")
        else:
            messages.append(Message(role, text))
    if messages and messages[-1].role == "user":
        messages.pop()
    if not messages:
        raise InvalidRecord("a dialogue in which a question is answered, found none")
    return tuple(messages)


def prompting(turns: Iterable[tuple[Role, str]]) -> tuple[Message, ...]:
    """Turns that end with the user: a prompt."""
    said = [(role, text) for role, text in turns if text.strip()]
    if not said or said[-1][0] != "user":
        raise InvalidRecord("a prompt that ends with the user, found none")
    return (*alternating([*said, ("assistant", "…")])[:-1],)


def listed_turns(
    turns: Any, role_key: str | None = None, text_key: str | None = None
) -> tuple[list[tuple[Role, str]], str]:
    """The turns of a list of objects, and the system prompt among them. Keys are found by their usual names when not given."""
    if not isinstance(turns, list) or not turns:
        raise InvalidRecord(f"a list of turns, found {shape_of(turns)}")
    spoken: list[tuple[Role, str]] = []
    system = ""
    for turn in turns:
        if not isinstance(turn, dict):
            raise InvalidRecord(f"turns with a speaker and a text, found {shape_of(turn)}")
        role_name = role_key or _first_key(turn, ("role", "from", "speaker", "sender", "id"))
        text_name = text_key or _first_key(turn, ("content", "value", "sentence", "Sentence", "utterance", "text"))
        if role_name not in turn or text_name not in turn:
            raise InvalidRecord(f"turns with a speaker and a text, found {shape_of(turn)}")
        text = spoken_text(turn[text_name], text_name)
        if str(turn[role_name]).casefold() == "system":
            system = f"{system}\n{text}".strip()
        else:
            spoken.append((speaker_of(turn[role_name]), text))
    return spoken, system


def _first_key(turn: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in turn), "")


def marked_turns(text: str) -> list[tuple[Role, str]]:
    """The turns of one text in which speakers are named at the beginning of lines: `病人：…`, `Doctor: …`, `<user>: …`."""
    marks = list(_TAGGED.finditer(text)) or list(_SPOKEN.finditer(text))
    if not marks:
        raise InvalidRecord("speakers named such as 病人： or Doctor:, found none")
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [
        (speaker_of(next(name for name in mark.groups() if name)), text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=True)
    ]


def hh_turns(text: str) -> list[tuple[Role, str]]:
    """The turns of HH-RLHF's one text: `\\n\\nHuman: …\\n\\nAssistant: …`."""
    parts = _HH.split(text)
    return [(speaker_of(name), said) for name, said in zip(parts[1::2], parts[2::2], strict=True)]


def dialogue_of(turns: Iterable[tuple[Role, str]], system: str = "", tags: tuple[str, ...] = ()) -> DialogueRecord:
    """A dialogue of turns, made to alternate. Raises InvalidRecord where nothing is answered."""
    return DialogueRecord(alternating(turns), system=system, tags=tags)
