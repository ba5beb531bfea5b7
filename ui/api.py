"""The API: OpenAI-compatible chat completions, triage, retrieval, health. Draws replies; decides nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI, Request, Security
from fastapi.responses import HTMLResponse, Response
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware

from knowledge.conversation import Conversation
from rag.facets import PassageFilter
from rag.writers import ExtractiveWriter
from ui.api_chat import ChatDesk, Serving
from ui.api_content import extension_of
from ui.api_docs import PAGE_HEADERS, docs_page
from ui.api_faults import HANDLERS, ApiFault
from ui.api_history import Histories
from ui.api_limits import LOOPBACK, ApiLimits, Guard, note_fault
from ui.api_requests import MODEL, ChatRequest, RetrieveRequest, TriageRequest, check_length, length_of
from ui.api_responses import (
    GENERATION_HEADER,
    Completion,
    ErrorForm,
    HealthResponse,
    ModelForm,
    ModelList,
    PassageForm,
    RetrieveResponse,
    TriageResponse,
)
from ui.api_work import Wanted, Workers, unless_gone
from ui.reply_text import chosen

DESCRIPTION = (
    "Medical triage guidance in Chinese and English: how urgent, which department, and what the guidance says, every "
    "statement cited. Guidance, not a diagnosis. Nothing that is said is stored or logged."
)
SWEEP_SECONDS = 30.0
_TELEMETRY: Any = {
    # FastAPI hands requests and faults, texts included, to any OpenTelemetry exporter it finds: never
    **{name: False for name in ("tracing", "metrics", "logs", "operation_spans", "auto_configure")},
    "exclude": lambda scope: True,
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorForm, "description": text}
    for status, text in {
        400: "Not a request this API takes.",
        401: "The key is missing or wrong.",
        404: "No such model, department or path.",
        408: "The body did not arrive in time.",
        413: "The body, the messages or the talk are too long.",
        415: "The body is not JSON.",
        421: "The Host header names another server.",
        429: "Too many requests at once; Retry-After says when to ask again.",
        500: "A fault of the server.",
        503: "The index cannot be read.",
        504: "The answer took too long.",
    }.items()
}
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Completion,
        "description": "The completion; with `stream`, its chunks as server-sent events, `data: [DONE]` last.",
        "content": {"text/event-stream": {"schema": {"description": "one chunk an event"}}},
    }
}


@dataclass(frozen=True)
class ApiSettings:
    """hosts: names the server answers to, None for any; key: asked for with every request below /v1; aliases: further
    model names; origins: web pages that may ask (CORS); threads: answers written at once."""

    limits: ApiLimits = field(default_factory=ApiLimits)
    hosts: frozenset[str] | None = LOOPBACK
    key: str | None = None
    aliases: Sequence[str] = ()
    origins: Sequence[str] = ()
    threads: int = 4


def make_api(serving: Serving, settings: ApiSettings = ApiSettings()) -> FastAPI:
    """The application over one assistant, or over one that takes up what changes (ServingAssistant)."""
    workers, histories, began = Workers(settings.threads), Histories(), int(time.time())
    desk = ChatDesk(serving, histories, workers, settings.limits.seconds, note_fault)
    names = (MODEL, *settings.aliases)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(histories))
        try:
            yield
        finally:
            sweeping.cancel()
            workers.close()

    app = FastAPI(
        title="daozhen",
        version=_version(),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        telemetry=_TELEMETRY,
    )
    app.state.workers, app.state.histories = workers, histories
    keyed: dict[str, Any] = {"dependencies": [Security(HTTPBearer(auto_error=False))]} if settings.key else {}

    @app.post("/v1/chat/completions", responses={**_STREAMED, **_ERRORS}, tags=["OpenAI"], **keyed)
    async def chat_completions(asked: ChatRequest, request: Request) -> Response:
        """The reply to the patient's last message: urgency first, then the cited answer, then a question or the card.

        The talk is rebuilt from the user messages, or carried in `daozhen.conversation`. Nothing in system and assistant
        messages is read. The `daozhen` object of the completion, or of the last chunk, holds the same for programs.
        The header X-Daozhen-Generation names the generation of the index that all of the reply is of.
        """
        _check_model(asked.model, names)
        return await desk.answer(asked, request)

    @app.get("/v1/models", responses=_of(401), tags=["OpenAI"], **keyed)
    async def models() -> ModelList:
        """The names the chat completions answer to."""
        return ModelList(data=[ModelForm(id=name, created=began) for name in names])

    @app.get("/v1/models/{model}", responses=_of(400, 401, 404), tags=["OpenAI"], **keyed)
    async def model(model: str) -> ModelForm:
        """One of them."""
        _check_model(model, names)
        return ModelForm(id=model, created=began)

    @app.post("/v1/triage", responses=_ERRORS, tags=["daozhen"], **keyed)
    async def triage(asked: TriageRequest, request: Request, response: Response) -> TriageResponse:
        """How urgent, which departments, why, and the next closed question; at the end the card. By rules alone."""

        def work(wanted: Wanted) -> tuple[dict[str, Any], str]:
            # the rules decide; what a language model would write is not asked for
            here = with_changes(serving.current(), writer=ExtractiveWriter())
            before = asked.conversation or Conversation()
            check_length(length_of(before) + len(asked.text))
            reply = here.reply(chosen(asked.text, before.pending), before, asked.language)
            told = extension_of(reply)
            if told["triage"] and not told["hand_off"]:
                told["hand_off"] = here.hand_off(reply.conversation, reply.language).as_json()
            return told, here.generation

        told, response.headers[GENERATION_HEADER] = await unless_gone(
            request, workers.done(work, settings.limits.seconds)
        )
        return TriageResponse(**{name: told[name] for name in TriageResponse.model_fields})

    @app.post("/v1/retrieve", responses=_ERRORS, tags=["daozhen"], **keyed)
    async def retrieve(asked: RetrieveRequest, request: Request, response: Response) -> RetrieveResponse:
        """The passages that fit a query, best first, with their relevance."""
        only = PassageFilter(asked.language, frozenset(asked.departments) if asked.departments else None)

        def work(wanted: Wanted) -> RetrieveResponse:
            here = serving.current()
            if not here.context.departments.keys() >= set(asked.departments or ()):
                raise ApiFault(404, "department_not_found", "no department has that id", "departments")
            generation, found = here.search.whole(
                lambda one: (one.index.manifest.generation, one.search(asked.query, asked.k, only, asked.min_score))
            )
            passages = [
                PassageForm(**{name: getattr(one.passage, name) for name in _PASSAGE_FIELDS}, score=one.score)
                for one in found
            ]
            return RetrieveResponse(generation=generation, passages=passages)

        found = await unless_gone(request, workers.done(work, settings.limits.seconds))
        response.headers[GENERATION_HEADER] = found.generation
        return found

    @app.get("/health", tags=["daozhen"])
    def health() -> HealthResponse:  # in a thread: taking up a new generation takes a moment
        """Whether the server answers, from which generation of the index, and who writes."""
        here = serving.current()
        return HealthResponse(
            status="ok",
            version=app.version,
            generation=here.generation,
            passages=here.search.index.manifest.passages,
            writer=here.writer.name,
        )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers=PAGE_HEADERS)

    _without_422(app)
    app.add_middleware(Guard, limits=settings.limits, key=settings.key, hosts=settings.hosts)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After", GENERATION_HEADER],
        )
    return app


def _version() -> str:
    try:
        return version("daozhen")
    except PackageNotFoundError:  # run from its folder
        return "0"


_PASSAGE_FIELDS = [name for name in PassageForm.model_fields if name != "score"]


def _of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _ERRORS[status] for status in statuses}


def _check_model(name: str, names: Sequence[str]) -> None:
    if name not in names:
        told = f"there is no such model here; there is {', '.join(names)}"
        raise ApiFault(404, "model_not_found", told, "model")


def _without_422(app: FastAPI) -> None:
    """FastAPI documents 422 for what is answered with 400 here, as OpenAI's clients expect it."""
    document = app.openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


async def _sweep(histories: Histories) -> None:
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            histories.forget_old()
