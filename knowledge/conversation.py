"""A talk so far: what was said, of whom, what was asked; immutable, and to and from JSON for those who keep it for a patient."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema

from knowledge.errors import InvalidConversation
from knowledge.records import Language
from knowledge.urgency import UrgencyLevel

MAX_QUESTION_CHARS = 4000
MAX_JSON_CHARS = 400_000
NOT_SURE = {"zh": "不知道", "en": "Not sure"}
SELF = "self"
SAME_COMPLAINT = "intake_same_complaint"

MessageKind = Literal[
    "medical",
    "suicidal",
    "question",  # about what was told before; no evidence of its own for a department
    "reassurance",
    "greeting",
    "thanks",
    "who_are_you",
    "abusive",
    "test",
    "injection",
    "not_medical",
]
_Said = Annotated[str, Field(max_length=MAX_QUESTION_CHARS)]
_Short = Annotated[str, Field(max_length=400)]
_Who = Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
_Level = Annotated[
    UrgencyLevel,
    BeforeValidator(
        lambda level: level if isinstance(level, UrgencyLevel) else UrgencyLevel.from_label(str(level)[:20])
    ),
    PlainSerializer(lambda level: level.label),
    WithJsonSchema({"type": "string", "enum": [level.label for level in UrgencyLevel]}),
]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class FollowUp:
    """One closed question. options are what can be tapped; the last is always "not sure"; why: what the answer decides."""

    __pydantic_config__ = _STRICT

    question_id: _Short
    question: _Short
    options: Annotated[tuple[_Short, ...], Field(max_length=8)]
    why: _Short

    @property
    def is_about_trouble(self) -> bool:
        """Whether its answer tells the complaint itself: the same trouble as the former patient's."""
        return self.question_id.startswith(SAME_COMPLAINT)


@dataclass(frozen=True)
class Turn:
    """One thing the patient said.

    answers: the question it answered, if any. says: what it states where its text alone does not ("yes" says what was
    asked, "not sure" says nothing); None where the text speaks for itself.
    """

    __pydantic_config__ = _STRICT

    text: _Said
    answers: FollowUp | None = None
    says: _Said | None = None
    kind: MessageKind = "medical"

    @property
    def said(self) -> str:
        """What the rules read."""
        return self.text if self.says is None else self.says


@dataclass(frozen=True)
class Episode:
    """What was said of one patient. Nothing in it is read for another.

    who: `self`, or a key of rag.patient.RELATIONS. is_named: whether the words say so, or it is only assumed.
    urgency: the highest level reached so far; it never falls. flags: ids of the red flags raised so far. asked: ids of the questions put.
    topic: source id of the guide last spoken of; a question without a subject ("is it contagious?") is about that.
    """

    __pydantic_config__ = _STRICT

    who: _Who = SELF
    is_named: bool = False
    turns: Annotated[tuple[Turn, ...], Field(max_length=400)] = ()
    urgency: _Level = UrgencyLevel.HOME
    flags: Annotated[tuple[_Short, ...], Field(max_length=600)] = ()
    asked: Annotated[tuple[_Short, ...], Field(max_length=100)] = ()
    topic: _Short = ""

    def said(self) -> str:
        """Everything the rules read, one turn a line."""
        return "\n".join(turn.said for turn in self.turns if turn.said)

    def complaint(self) -> str:
        """What the patient told in words of their own; answers, questions about it and small talk are left out."""
        told = (turn for turn in self.turns if turn.kind in ("medical", "suicidal"))
        return "\n".join(turn.said for turn in told if turn.answers is None or turn.answers.is_about_trouble)

    def was_told(self) -> bool:
        """Whether anything was said about an illness."""
        return any(turn.kind in MEDICAL_KINDS for turn in self.turns)


MEDICAL_KINDS: frozenset[MessageKind] = frozenset({"medical", "suicidal", "question"})


@dataclass(frozen=True)
class Conversation:
    """Everything said so far, one episode for each patient spoken of; a reply hands back a new one.

    current: the place of the episode being talked about. pending: the question last asked.
    """

    __pydantic_config__ = _STRICT

    episodes: Annotated[tuple[Episode, ...], Field(min_length=1, max_length=20)] = (Episode(),)
    current: Annotated[int, Field(ge=0)] = 0
    language: Language | None = None
    pending: FollowUp | None = None

    @property
    def episode(self) -> Episode:
        """The episode of the patient being talked about."""
        return self.episodes[self.current]

    @property
    def turns(self) -> tuple[Turn, ...]:
        return self.episode.turns

    @property
    def urgency(self) -> UrgencyLevel:
        """The highest level reached for the patient being talked about."""
        return self.episode.urgency

    @property
    def asked(self) -> tuple[str, ...]:
        return self.episode.asked

    @property
    def others(self) -> tuple[Episode, ...]:
        """The episodes of the other patients spoken of."""
        return tuple(episode for place, episode in enumerate(self.episodes) if place != self.current)

    def said(self) -> str:
        """What was said of the patient being talked about, one turn a line."""
        return self.episode.said()

    def with_episode(self, episode: Episode) -> Conversation:
        """The same talk with the current episode replaced."""
        episodes = (*self.episodes[: self.current], episode, *self.episodes[self.current + 1 :])
        return replace(self, episodes=episodes)

    def as_json(self) -> dict[str, Any]:
        """The talk as plain values; `from_json` reads it back unchanged."""
        values: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return values

    @classmethod
    def from_json(cls, values: Any) -> Conversation:
        """A talk from `as_json`'s values, or from their JSON text. Raises InvalidConversation, in one line, for anything else."""
        try:
            if isinstance(values, (str, bytes)):
                if len(values) > MAX_JSON_CHARS:
                    raise InvalidConversation(f"conversation: longer than {MAX_JSON_CHARS:,} characters; {_BEGIN_ANEW}")
                values = json.loads(values)
            conversation = _ADAPTER.validate_python(values)
        except ValidationError as fault:
            first = fault.errors()[0]
            place = ".".join(str(part)[:40] for part in first["loc"][:8])
            raise InvalidConversation(
                f"conversation: {place or 'value'}: {first['msg'].splitlines()[0][:200]}; {_BEGIN_ANEW}"
            ) from None
        except (ValueError, RecursionError):
            raise InvalidConversation(f"conversation: not valid JSON; {_BEGIN_ANEW}") from None
        if conversation.current >= len(conversation.episodes):
            raise InvalidConversation(f"conversation: current: there is no such episode; {_BEGIN_ANEW}")
        return conversation


_BEGIN_ANEW = "hand back what the last reply gave, or begin anew without one"
_ADAPTER = TypeAdapter(Conversation)
