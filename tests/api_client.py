"""A client of the API, and a talk as chat clients keep it."""

from __future__ import annotations

import json

from starlette.testclient import TestClient

from ui.api import ApiSettings, make_api

HERE = "http://127.0.0.1"
KEY = "k" * 32


def client_of(assistant, **changes) -> TestClient:
    return TestClient(make_api(assistant, ApiSettings(**changes)), base_url=HERE, raise_server_exceptions=False)


def messages(*texts: str) -> list[dict[str, str]]:
    """A history as chat clients keep it: what the patient said, with replies between."""
    talk = [({"role": "user", "content": text}, {"role": "assistant", "content": "…"}) for text in texts]
    return [message for pair in talk for message in pair][:-1]


def ask(client, *texts: str, **fields):
    return client.post("/v1/chat/completions", json={"model": "daozhen", "messages": messages(*texts), **fields})


def events_of(response) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]
