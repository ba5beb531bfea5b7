"""The records everything in training is made of, and their one form on disk: JSON Lines, one object a line.

Every line holds `kind` and the fields of that kind; empty fields are left out.

    {"kind": "dialogue", "messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}],
     "system": "...", "source": "...", "licence": "...", "tags": ["..."]}
    {"kind": "preference", "prompt": [messages], "chosen": "...", "rejected": "...", "system": "...", ...}
    {"kind": "text", "text": "...", ...}
    {"kind": "choice", "question": "...", "options": {"A": "..."}, "answers": ["A"], "explanation": "...", ...}

`source`, `licence` and `tags` belong to every kind. Files may be compressed (.gz, .xz).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from knowledge.errors import AssistantError

LIKED, DISLIKED = "liked", "disliked"  # tags: the thumb an answer was given
Role = Literal["user", "assistant"]


class InvalidData(AssistantError):
    """Training data is not what it should be; the text names file, line, what was expected and what was found."""


class InvalidRecord(ValueError):
    """A row is not of the expected shape; whoever knows the file and line turns it into InvalidData."""


@dataclass(frozen=True)
class Message:
    """One turn of a dialogue."""

    role: Role
    content: str

    def as_row(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


def _said_by(role: Role, messages: Iterable[Message]) -> str:
    return "\n".join(message.content for message in messages if message.role == role)


@dataclass(frozen=True)
class DialogueRecord:
    """Alternating turns that begin with the user and end with the assistant, who is the one that is trained.

    tags say what the row is, such as `ask`, `advise`, `grounded`, `abstains`, `department:心内科`. passages: what the last
    answer may rest on, as they stand in the prompt: rewards that can be verified hold an answer against them.
    """

    messages: tuple[Message, ...]
    system: str = ""
    source: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        roles = [message.role for message in self.messages]
        if len(roles) < 2 or len(roles) % 2 or roles != ["user", "assistant"] * (len(roles) // 2):
            raise InvalidRecord(f"turns that alternate user, assistant, found {', '.join(roles[:6]) or 'none'}")
        if not all(message.content.strip() for message in self.messages):
            raise InvalidRecord("turns that say something, found an empty one")

    @property
    def asked(self) -> str:
        return _said_by("user", self.messages)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(message.content for message in self.messages if message.role == "assistant")


@dataclass(frozen=True)
class PreferenceRecord:
    """Two answers to one prompt, the better one and the worse one. prompt: ends with the user."""

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    system: str = ""
    source: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.prompt or self.prompt[-1].role != "user" or not self.asked.strip():
            raise InvalidRecord("a prompt that ends with the user")
        if not self.chosen.strip() or not self.rejected.strip():
            raise InvalidRecord("a chosen and a rejected answer, found an empty one")
        if self.chosen.strip() == self.rejected.strip():
            raise InvalidRecord("two different answers, found the same twice")

    @property
    def asked(self) -> str:
        return _said_by("user", self.prompt)

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.chosen,)


@dataclass(frozen=True)
class PlainTextRecord:
    """Running text, for continued pretraining: all of it is trained."""

    text: str
    source: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidRecord("a text, found an empty one")

    @property
    def asked(self) -> str:
        return self.text

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.text,)


@dataclass(frozen=True)
class ChoiceRecord:
    """A question with lettered options. answers: the letters that are right, one or several."""

    question: str
    options: Mapping[str, str]
    answers: tuple[str, ...]
    explanation: str = ""
    source: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.question.strip() or len(self.options) < 2:
            raise InvalidRecord(f"a question with two options or more, found {len(self.options)}")
        if not self.answers or any(answer not in self.options for answer in self.answers):
            raise InvalidRecord(
                f"answers among the options {', '.join(self.options)}, found {', '.join(self.answers) or 'none'}"
            )

    @property
    def asked(self) -> str:
        return self.question

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(text for text in (*(self.options[answer] for answer in self.answers), self.explanation) if text)


TrainingRecord: TypeAlias = DialogueRecord | PreferenceRecord | PlainTextRecord | ChoiceRecord
KINDS: dict[str, type[Any]] = {
    "dialogue": DialogueRecord,
    "preference": PreferenceRecord,
    "text": PlainTextRecord,
    "choice": ChoiceRecord,
}
_KIND_OF = {kind: name for name, kind in KINDS.items()}
_PLAIN_TYPES = {type(None): "nothing", str: "text", bool: "true or false", int: "a number", float: "a number"}


def kind_of(record: TrainingRecord) -> str:
    """Its name among KINDS."""
    return _KIND_OF[type(record)]


def as_row(record: TrainingRecord) -> dict[str, Any]:
    """The record as its line on disk holds it."""
    row: dict[str, Any] = {"kind": kind_of(record)}
    for name, value in vars(record).items():
        if name in ("messages", "prompt"):
            row[name] = [message.as_row() for message in value]
        elif isinstance(value, Mapping):
            row[name] = dict(value)
        elif value:
            row[name] = list(value) if isinstance(value, tuple) else value
    return row


def from_row(row: Any) -> TrainingRecord:
    """The record of a line. Raises InvalidRecord saying what was expected and found."""
    if not isinstance(row, dict) or row.get("kind") not in KINDS:
        raise InvalidRecord(f"an object with kind one of {', '.join(KINDS)}, found {shape_of(row)}")
    values = {name: value for name, value in row.items() if name != "kind"}
    for name in ("messages", "prompt"):
        if name in values:
            values[name] = messages_of(values[name])
    for name in ("tags", "answers", "passages"):
        if name in values:
            values[name] = texts_of(values[name], name)
    if "options" in values and not (
        isinstance(values["options"], dict) and all(isinstance(text, str) for text in values["options"].values())
    ):
        raise InvalidRecord(f"options that map letters to texts, found {shape_of(values['options'])}")
    for name in ("text", "question", "explanation", "chosen", "rejected", "system", "source", "licence"):
        if not isinstance(values.get(name, ""), str):
            raise InvalidRecord(f"{name} to be text, found {shape_of(values[name])}")
    try:
        record: TrainingRecord = KINDS[row["kind"]](**values)
    except TypeError as fault:
        raise InvalidRecord(f"the fields of kind {row['kind']} ({str(fault).split('() ')[-1]})") from None
    return record


def messages_of(value: Any) -> tuple[Message, ...]:
    """Messages in our own spelling."""
    if not isinstance(value, list):
        raise InvalidRecord(f"a list of {{role, content}}, found {shape_of(value)}")
    messages = []
    for turn in value:
        if not (
            isinstance(turn, dict)
            and turn.get("role") in ("user", "assistant")
            and isinstance(turn.get("content"), str)
        ):
            raise InvalidRecord(f"turns {{role: user or assistant, content: text}}, found {shape_of(turn)}")
        messages.append(Message(turn["role"], turn["content"]))
    return tuple(messages)


def texts_of(value: Any, name: str) -> tuple[str, ...]:
    """A list of texts as the field `name` holds it. Raises InvalidRecord."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise InvalidRecord(f"{name} to be a list of texts, found {shape_of(value)}")
    return tuple(value)


def shape_of(value: Any) -> str:
    """What a value is, short enough for one line: its keys or its type, never what it says."""
    if isinstance(value, dict):
        keys = ", ".join(str(key)[:24] for key in list(value)[:8])
        return f"{{{keys}{', …' if len(value) > 8 else ''}}}"
    if isinstance(value, list):
        return f"a list of {len(value)}" + (f" starting with {shape_of(value[0])}" if value else "")
    return "an empty text" if value == "" else _PLAIN_TYPES.get(type(value), "something else")


def dialogue(question: str, answer: str, **fields: Any) -> DialogueRecord:
    """A dialogue of one question and one answer."""
    return DialogueRecord((Message("user", question), Message("assistant", answer)), **fields)


def with_origin(record: TrainingRecord, source: str = "", licence: str = "") -> TrainingRecord:
    """The record with its source and licence, where it names none itself."""
    if (record.source or not source) and (record.licence or not licence):
        return record
    return replace(record, source=record.source or source, licence=record.licence or licence)
