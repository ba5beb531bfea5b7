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

from fastapi import APIRouter, FastAPI, Request, Security
from fastapi.responses import HTMLResponse, Response
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware

from knowledge.conversation import Conversation
from rag.assistant import Assistant
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
    HealthResponse,
    ModelForm,
    ModelList,
    PassageForm,
    RetrieveResponse,
    TriageResponse,
)
from ui.api_statuses import ERRORS, STREAMED, errors_of
from ui.api_work import Workers, unless_gone
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
    workers, histories = Workers(settings.threads), Histories()

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
    desk = ChatDesk(serving, histories, workers, settings.limits.seconds, note_fault)
    keyed = [Security(HTTPBearer(auto_error=False))] if settings.key else []
    app.include_router(_as_openai(desk, (MODEL, *settings.aliases)), dependencies=keyed)
    app.include_router(_by_rules(serving, workers, settings.limits.seconds), dependencies=keyed)
    app.include_router(_about(app, serving))
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


def _as_openai(desk: ChatDesk, names: Sequence[str]) -> APIRouter:
    """What OpenAI's clients ask for. names: of the model."""
    routes, began = APIRouter(tags=["OpenAI"]), int(time.time())

    @routes.post("/v1/chat/completions", responses={**STREAMED, **ERRORS})
    async def chat_completions(asked: ChatRequest, request: Request) -> Response:
        """The reply to the patient's last message: urgency first, then the cited answer, then a question or the card.

        The talk is rebuilt from the user messages, or carried in `daozhen.conversation`. Nothing in system and assistant
        messages is read. The `daozhen` object of the completion, or of the last chunk, holds the same for programs.
        The header X-Daozhen-Generation names the generation of the index that all of the reply is of.
        """
        _check_model(asked.model, names)
        return await desk.answer(asked, request)

    @routes.get("/v1/models", responses=errors_of(401))
    async def models() -> ModelList:
        """The names the chat completions answer to."""
        return ModelList(data=[ModelForm(id=name, created=began) for name in names])

    @routes.get("/v1/models/{model}", responses=errors_of(400, 401, 404))
    async def model(model: str) -> ModelForm:
        """One of them."""
        _check_model(model, names)
        return ModelForm(id=model, created=began)

    return routes


def _by_rules(serving: Serving, workers: Workers, seconds: float) -> APIRouter:
    """What no language model has a part in: triage and retrieval, each done within so many seconds."""
    routes = APIRouter(tags=["daozhen"])

    @routes.post("/v1/triage", responses=ERRORS)
    async def triage(asked: TriageRequest, request: Request, response: Response) -> TriageResponse:
        """How urgent, which departments, why, and the next closed question; at the end the card. By rules alone."""
        work = workers.done(lambda wanted: _triaged(serving.current(), asked), seconds)
        told, response.headers[GENERATION_HEADER] = await unless_gone(request, work)
        return TriageResponse(**{name: told[name] for name in TriageResponse.model_fields})

    @routes.post("/v1/retrieve", responses=ERRORS)
    async def retrieve(asked: RetrieveRequest, request: Request, response: Response) -> RetrieveResponse:
        """The passages that fit a query, best first, with their relevance."""
        work = workers.done(lambda wanted: _retrieved(serving.current(), asked), seconds)
        found = await unless_gone(request, work)
        response.headers[GENERATION_HEADER] = found.generation
        return found

    return routes


def _triaged(assistant: Assistant, asked: TriageRequest) -> tuple[dict[str, Any], str]:
    """(what the reply tells programs, the generation it is of). What a language model would write is not asked for."""
    here = with_changes(assistant, writer=ExtractiveWriter())
    before = asked.conversation or Conversation()
    check_length(length_of(before) + len(asked.text))
    reply = here.reply(chosen(asked.text, before.pending), before, asked.language)
    told = extension_of(reply)
    if told["triage"] and not told["hand_off"]:
        told["hand_off"] = here.hand_off(reply.conversation, reply.language).as_json()
    return told, here.generation


def _retrieved(assistant: Assistant, asked: RetrieveRequest) -> RetrieveResponse:
    """Raises ApiFault where no department has one of the ids asked for."""
    if not assistant.context.departments.keys() >= set(asked.departments or ()):
        raise ApiFault(404, "department_not_found", "no department has that id", "departments")
    only = PassageFilter(asked.language, frozenset(asked.departments) if asked.departments else None)
    generation, found = assistant.search.whole(
        lambda one: (one.index.manifest.generation, one.search(asked.query, asked.k, only, asked.min_score))
    )
    passages = [
        PassageForm(**{name: getattr(one.passage, name) for name in _PASSAGE_FIELDS}, score=one.score) for one in found
    ]
    return RetrieveResponse(generation=generation, passages=passages)


def _about(app: FastAPI, serving: Serving) -> APIRouter:
    """What is asked about the server itself, without a key."""
    routes = APIRouter()

    @routes.get("/health", tags=["daozhen"])
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

    @routes.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers=PAGE_HEADERS)

    return routes


def _version() -> str:
    try:
        return version("daozhen")
    except PackageNotFoundError:  # run from its folder
        return "0"


_PASSAGE_FIELDS = [name for name in PassageForm.model_fields if name != "score"]


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
