"""What the API's document says of each HTTP status it answers with."""

from __future__ import annotations

from typing import Any

from ui.api_responses import Completion, ErrorForm

ERRORS: dict[int | str, dict[str, Any]] = {
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
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Completion,
        "description": "The completion; with `stream`, its chunks as server-sent events, `data: [DONE]` last.",
        "content": {"text/event-stream": {"schema": {"description": "one chunk an event"}}},
    }
}


def errors_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those of ERRORS."""
    return {status: ERRORS[status] for status in statuses}
