"""What goes wrong in the API, in the form OpenAI's clients read: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from knowledge.errors import (
    AssistantError,
    IndexBusy,
    IndexDamaged,
    IndexMissing,
    InvalidConversation,
    InvalidQuestion,
)

_STATUS: dict[type[AssistantError], tuple[int, str]] = {
    InvalidQuestion: (400, "invalid_question"),
    InvalidConversation: (400, "invalid_conversation"),
    IndexMissing: (503, "index_unavailable"),
    IndexDamaged: (503, "index_unavailable"),
    IndexBusy: (503, "index_unavailable"),
}
_CODES = {400: "invalid_request", 404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}


class ApiFault(Exception):
    """A request that is answered with an error. message never repeats what a patient said."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The error as a client reads it."""
        kind = "server_error" if self.status >= 500 else _TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, self.headers)


_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


def fault_of(error: AssistantError) -> ApiFault:
    """A fault of the assistant; one that names files of this machine is told without them."""
    status, code = next((told for kind, told in _STATUS.items() if isinstance(error, kind)), (500, "internal_error"))
    if status < 500:
        return ApiFault(status, code, str(error))
    return ApiFault(status, code, "the assistant cannot answer just now; whoever runs the server finds why in its log")


def took_too_long() -> ApiFault:
    """What a client is told whose answer did not come in time."""
    return ApiFault(504, "timeout", "the answer took too long; ask again, or shorter", headers={"Retry-After": "5"})


def _of_api_fault(request: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, ApiFault)
    return fault.response()


def _of_assistant_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AssistantError)
    return fault_of(error).response()


def _of_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """The first thing wrong, by its place; the value itself is not sent back."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = "" if first["type"] == "json_invalid" else ".".join(str(part)[:40] for part in first["loc"][1:9])
    too_many = first["type"] == "too_long"  # a list; a text that is too long is another type
    message = f"{place or 'body'}: {_plain(first)}"
    return ApiFault(
        413 if too_many else 400, "too_long" if too_many else "invalid_request", message, place or None
    ).response()


def _plain(first: Mapping[str, Any]) -> str:
    """What is wrong, without the value; what a validator of ours raised says it in its own words."""
    return str(first["msg"]).splitlines()[0][:200].removeprefix("Value error, ")


def _of_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    return ApiFault(
        error.status_code, _CODES.get(error.status_code, "invalid_request"), message, None, error.headers
    ).response()


HANDLERS: dict[Any, Any] = {
    ApiFault: _of_api_fault,
    AssistantError: _of_assistant_error,
    RequestValidationError: _of_invalid_request,
    HTTPException: _of_http_exception,
}
