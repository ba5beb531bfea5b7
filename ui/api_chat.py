"""`/v1/chat/completions`: the assistant's reply in the form of OpenAI's chat completions, streamed or whole."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from knowledge.errors import AssistantError
from knowledge.records import Language
from knowledge.replies import AssistantReply, TriageDecision
from rag.assistant import Assistant
from rag.dialogue import checked, reply_language
from ui.api_content import ReplyContent, count_tokens, extension_of, triage_as_json
from ui.api_faults import ApiFault, fault_of
from ui.api_history import Histories
from ui.api_requests import ChatRequest, check_length, length_of, said_by
from ui.api_responses import GENERATION_HEADER
from ui.api_work import Wanted, Workers, unless_gone
from ui.reply_text import chosen

_SSE_HEADERS = {"X-Accel-Buffering": "no"}  # a proxy that buffers would hold the urgency back


class Serving(Protocol):
    """Whatever has the assistant to answer one request with: itself over one generation, or the newest of it."""

    def current(self) -> Assistant: ...


@dataclass(frozen=True)
class Said:
    """A piece of the reply's text; triage: with the piece that tells it; reply: with the last. tokens: of all so far.
    generation: of the index, one for the whole reply."""

    text: str
    tokens: int
    is_cut: bool
    generation: str
    triage: dict[str, Any] | None = None
    reply: AssistantReply | None = None

    @property
    def extension(self) -> dict[str, Any]:
        """What its chunk tells programs."""
        if self.reply is not None:
            return {"daozhen": extension_of(self.reply)}
        return {"daozhen": {"triage": self.triage}} if self.triage else {}


@dataclass(frozen=True)
class ChatDesk:
    """Answers chat requests. Holds no conversation but what `histories` remembers for a while."""

    serving: Serving
    histories: Histories
    workers: Workers
    seconds: float
    note_fault: Callable[[Exception], None]

    async def answer(self, asked: ChatRequest, request: Request) -> Response:
        """The completion, or the stream of its chunks. What goes wrong before the first word keeps its status code."""
        said = said_by(asked.messages)
        parts = self.workers.parts(lambda wanted: self._said(asked, said, wanted), self.seconds)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": asked.model}
        prompt_tokens = sum(count_tokens(text) for text in said)
        if not asked.stream:
            completion, generation = await unless_gone(request, _whole(parts, head, prompt_tokens))
            return JSONResponse(completion, headers={GENERATION_HEADER: generation})
        first = await unless_gone(request, anext(parts))
        with_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        chunks = self._chunks(first, parts, head, prompt_tokens if with_usage else None)
        headers = {**_SSE_HEADERS, GENERATION_HEADER: first.generation}
        return StreamingResponse(chunks, media_type="text/event-stream", headers=headers)

    def _said(self, asked: ChatRequest, said: list[str], wanted: Wanted) -> Iterator[Said]:
        """The reply to the last of the patient's words, after the talk before them. Runs in a worker thread."""
        extension = asked.daozhen
        language: Language | None = extension.language if extension else None
        carried = extension.conversation if extension else None
        if carried is not None:
            check_length(length_of(carried) + len(said[-1]))
        here = self.serving.current()  # one generation for the talk before, the reply and its citations
        before = carried if carried is not None else self.histories.after(here, said[:-1], language, wanted)
        text = checked(chosen(said[-1], before.pending))
        content = ReplyContent(language or reply_language(text, before), asked.token_limit)
        for part in here.stream(text, before, language):
            piece = content.of(part)
            if isinstance(part, AssistantReply):
                if carried is None:
                    self.histories.keep(here, said, language, part.conversation)
                yield Said(piece, content.tokens, content.is_cut, here.generation, reply=part)
            elif isinstance(part, TriageDecision):
                told = triage_as_json(part, content.language)
                yield Said(piece, content.tokens, content.is_cut, here.generation, told)
            elif piece:
                yield Said(piece, content.tokens, content.is_cut, here.generation)

    async def _chunks(
        self, first: Said, parts: AsyncGenerator[Said, None], head: dict[str, Any], prompt_tokens: int | None
    ) -> AsyncIterator[str]:
        """Server-sent events. A fault after the first word is told in the stream, which still ends as a stream does."""
        async with aclosing(parts):
            try:
                yield _chunk(head, {"role": "assistant", "content": ""})
                last = first
                yield _spoken(head, first)
                async for last in parts:
                    yield _spoken(head, last)
                yield _chunk(head, {}, "length" if last.is_cut else "stop", **last.extension)
                if prompt_tokens is not None:
                    yield _event({**_head(head), "choices": [], "usage": _usage(prompt_tokens, last.tokens)})
            except ApiFault as fault:
                yield _event(fault.body())
            except AssistantError as error:
                yield _event(fault_of(error).body())
            except Exception as error:
                self.note_fault(error)
                yield _event(ApiFault(500, "internal_error", "the answer broke off; ask again").body())
            yield "data: [DONE]\n\n"


async def _whole(
    parts: AsyncGenerator[Said, None], head: dict[str, Any], prompt_tokens: int
) -> tuple[dict[str, Any], str]:
    """The completion and the generation it is from."""
    async with aclosing(parts):
        said = [piece async for piece in parts]
    last = said[-1]
    if last.reply is None:
        raise RuntimeError("a stream of parts always ends with the reply")
    message = {"role": "assistant", "content": "".join(piece.text for piece in said), "refusal": None}
    finish = "length" if last.is_cut else "stop"
    completion = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": _usage(prompt_tokens, last.tokens),
        "daozhen": extension_of(last.reply),
    }
    return completion, last.generation


def _usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}


def _head(head: dict[str, Any]) -> dict[str, Any]:
    return {**head, "object": "chat.completion.chunk"}


def _chunk(head: dict[str, Any], delta: dict[str, str], finish: str | None = None, **more: Any) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**_head(head), "choices": [choice], **more})


def _spoken(head: dict[str, Any], said: Said) -> str:
    """The chunk of a piece; what belongs to the whole reply waits for the last chunk."""
    return _chunk(head, {"content": said.text}, **({} if said.reply else said.extension)) if said.text else ""


def _event(values: dict[str, Any]) -> str:
    return f"data: {json.dumps(values, ensure_ascii=False)}\n\n"
