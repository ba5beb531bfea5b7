"""What the API gives, as types: the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from knowledge.conversation import MessageKind
from knowledge.records import Language

GENERATION_HEADER = "X-Daozhen-Generation"  # of the index: all a reply cites is of this one

LevelLabel = Literal["I", "II", "III", "IV", "home"]


class RankedDepartmentForm(BaseModel):
    id: str
    name_zh: str
    name_en: str
    score: float = Field(description="Share of belief, 0 to 1 over all departments.")
    why: str


class TriageForm(BaseModel):
    urgency: LevelLabel
    instruction: str = Field(description="What the patient is told to do, in one line.")
    reasons: list[str]
    departments: list[RankedDepartmentForm] = Field(
        description="Best first, at most three; those the patient is shown."
    )
    red_flags: list[str] = Field(description="Ids.")


class FollowUpForm(BaseModel):
    question: str
    options: list[str] = Field(description="Send one back as the next text; the last is always `not sure`.")
    why: str


class TriageResponse(BaseModel):
    """triage is null as long as nothing about an illness was told; that is no level."""

    triage: TriageForm | None
    language: Language
    kind: MessageKind
    message: str | None = Field(description="Calm words for what is no complaint, or for despair.")
    follow_up: FollowUpForm | None
    card: dict[str, Any] | None = Field(description="Once nothing is left to ask.")
    hand_off: dict[str, Any] | None = Field(description="The note for the nurse; null while nothing was told.")
    conversation: dict[str, Any] = Field(description="To be handed back with the next text.")


class PassageForm(BaseModel):
    passage_id: str
    score: float = Field(description="Relevance, 0 to 1.")
    title: str
    section: str
    page: int | None
    source_id: str
    language: str
    kind: str
    departments: list[str]
    text: str


class RetrieveResponse(BaseModel):
    generation: str
    passages: list[PassageForm]


class HealthResponse(BaseModel):
    status: Literal["ok"]
    version: str
    generation: str = Field(description="Of the index that serves now.")
    passages: int
    writer: str


class ModelForm(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["daozhen"] = "daozhen"


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelForm]


class CompletionMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class CompletionChoice(BaseModel):
    index: Literal[0] = 0
    message: CompletionMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class Usage(BaseModel):
    """Chinese characters, words of other scripts, and marks; no model's own count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage
    daozhen: dict[str, Any] = Field(description="triage, citations, follow_up, card, hand_off, conversation.")


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorForm(BaseModel):
    error: ErrorDetail
