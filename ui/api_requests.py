"""What the API takes, as types that check it: a request that is not of its form is refused by its first fault."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from knowledge.conversation import MAX_QUESTION_CHARS, Conversation
from knowledge.records import Language
from ui.api_faults import ApiFault

MODEL = "daozhen"
MAX_MESSAGES = 400
MAX_SAID_CHARS = 8000  # of one patient's talk: the time a reply takes grows with it
MAX_PASSAGES = 50

Said = Annotated[
    str,
    Field(max_length=MAX_QUESTION_CHARS, pattern=r"\S", description="What the patient says."),
]
CarriedConversation = Annotated[
    Conversation,
    BeforeValidator(Conversation.from_json),
    Field(description="What the last reply gave under `conversation`, handed back unchanged."),
]


class Strict(BaseModel):
    """A form of our own: a misspelt field is a fault."""

    model_config = ConfigDict(extra="forbid")


class Lenient(BaseModel):
    """A form of OpenAI's: clients send fields we have no use for."""

    model_config = ConfigDict(extra="ignore")


class TextPart(Lenient):
    """A piece of a message. Pictures and sound are not read."""

    type: Literal["text"]
    text: str = Field(max_length=MAX_QUESTION_CHARS)


class UserMessage(Lenient):
    """What the patient said."""

    role: Literal["user"]
    content: Annotated[str, Field(max_length=MAX_QUESTION_CHARS)] | Annotated[list[TextPart], Field(max_length=64)]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class OtherMessage(Lenient):
    """Instructions and earlier replies. They are read by nobody: only the patient's own words decide."""

    role: Literal["system", "developer", "assistant"]
    content: Any = None


class StreamOptions(Lenient):
    include_usage: bool | None = None


class Extension(Strict):
    """What OpenAI's form has no place for."""

    language: Language | None = Field(None, description="Of the reply; by default that of the patient's words.")
    conversation: CarriedConversation | None = None


class ChatRequest(Lenient):
    """A chat completion as OpenAI's clients ask for it; sampling fields are taken and have no effect."""

    model: str = Field(max_length=200, examples=[MODEL])
    messages: list[Annotated[UserMessage | OtherMessage, Field(discriminator="role")]] = Field(
        min_length=1, max_length=MAX_MESSAGES, description="The talk so far; the patient's words last."
    )
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, description="The urgency is said whole whatever this is.")
    max_completion_tokens: int | None = Field(None, ge=1, description="As max_tokens, and before it.")
    n: Literal[1] | None = 1
    tool_choice: Literal["none", "auto"] | None = Field(None, description="There are no tools to call.")
    response_format: ResponseFormat | None = None
    daozhen: Extension | None = None

    @field_validator("messages", mode="before")
    @classmethod
    def _no_tool_results(cls, messages: Any) -> Any:
        """Words that no patient said are not to pass for theirs, nor to be passed over in silence."""
        roles = [message.get("role") for message in messages if isinstance(message, dict)] * isinstance(messages, list)
        if any(role in ("tool", "function") for role in roles):
            raise ValueError("messages of tools and functions are not read; send the patient's words alone")
        return messages

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


class ResponseFormat(Lenient):
    type: Literal["text"]


ChatRequest.model_rebuild()


class TriageRequest(Strict):
    text: Said
    language: Language | None = Field(None, description="Of the reply; by default that of the text.")
    conversation: CarriedConversation | None = None


class RetrieveRequest(Strict):
    query: Said
    k: int = Field(5, ge=1, le=MAX_PASSAGES, description="How many passages at most.")
    language: Language | None = None
    departments: list[Annotated[str, Field(min_length=1, max_length=100)]] | None = Field(
        None, min_length=1, max_length=200, description="Ids; passages of any of them."
    )
    min_score: float = Field(0.0, ge=0.0, le=1.0)


def said_by(messages: list[UserMessage | OtherMessage]) -> list[str]:
    """What the patient said, in order. Raises ApiFault where that is nothing, or more than one talk may hold."""
    said = [message.text for message in messages if isinstance(message, UserMessage) and message.text.strip()]
    if not said:
        raise ApiFault(400, "invalid_question", "no message of the patient's (role user) says anything", "messages")
    check_length(sum(map(len, said)))
    return said


def length_of(conversation: Conversation) -> int:
    """Characters that the rules read of a carried talk."""
    return sum(len(turn.text) + len(turn.says or "") for episode in conversation.episodes for turn in episode.turns)


def check_length(characters: int) -> None:
    """Raises ApiFault 413 where a talk is longer than may be read at once."""
    if characters > MAX_SAID_CHARS:
        raise ApiFault(
            413,
            "talk_too_long",
            f"the patient's words have {characters:,} characters in all; at most {MAX_SAID_CHARS:,}: begin a new talk",
            "messages",
        )
