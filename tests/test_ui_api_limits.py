"""Who may ask the API, how much, how many at once and for how long; no fault tells or logs what was said."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from knowledge.errors import IndexDamaged
from tests.api_client import KEY, ask, client_of, events_of, messages
from tests.fakes import SlowWriter
from ui.api import ApiSettings, make_api
from ui.api_limits import ApiLimits


def test_a_key_is_asked_for_below_v1_and_nowhere_else(assistant):
    with client_of(assistant, key=KEY, hosts=None) as client:
        for header in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": KEY},
            {"authorization": "Bearer ключ".encode()},
        ):
            refused = client.get("/v1/models", headers=header)
            assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
            assert refused.json()["error"]["code"] == "invalid_api_key"
        assert client.get("/v1/models", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
        assert client.get("/health").status_code == client.get("/docs").status_code == 200


def test_a_web_page_elsewhere_cannot_ask_under_its_own_name(client):
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/health", headers={"host": "localhost:8000"}).status_code == 200
    assert client.get("/health", headers={"host": "[::1]:8000"}).status_code == 200


def test_other_origins_may_ask_only_where_that_is_allowed(client, assistant):
    origin = {"origin": "http://localhost:3000"}
    assert "access-control-allow-origin" not in client.get("/health", headers=origin).headers
    with client_of(assistant, origins=["http://localhost:3000"]) as allowed:
        assert allowed.get("/health", headers=origin).headers["access-control-allow-origin"] == origin["origin"]
        other = allowed.get("/health", headers={"origin": "http://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        assert allowed.options("/v1/chat/completions", headers=asked).status_code == 200


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(assistant):
    with client_of(assistant, limits=ApiLimits(max_body_bytes=1000)) as client:
        said_so = client.post("/v1/triage", content=b"x" * 1001)
        streamed = client.post("/v1/triage", content=iter([b"x" * 600] * 2))
    assert said_so.status_code == streamed.status_code == 413
    assert said_so.json()["error"]["code"] == "body_too_large"


def test_too_many_at_once_are_asked_to_come_again(assistant):
    writer = SlowWriter()
    slow = replace(assistant, writer=writer)
    with client_of(slow, limits=ApiLimits(max_concurrent=1)) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, client, "膝盖疼，上下楼不舒服")
        assert writer.begun.wait(30)
        refused = ask(client, "头疼")
        writer.go_on.set()
        assert first.result().status_code == 200
        assert ask(client, "谢谢").status_code == 200
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    assert refused.json()["error"]["type"] == "rate_limit_error"


def test_an_answer_that_takes_too_long_ends_with_504_or_with_the_stream(assistant):
    writer = SlowWriter()
    slow = replace(assistant, writer=writer)
    with client_of(slow, limits=ApiLimits(seconds=1.5)) as client:
        assert ask(client, "谢谢").status_code == 200  # loads what is loaded once
        late = ask(client, "膝盖疼，上下楼不舒服")
        stream = ask(client, "膝盖疼，上下楼不舒服", stream=True)
        writer.go_on.set()
    assert late.status_code == 504 and late.json()["error"]["code"] == "timeout"
    if stream.status_code == 200:  # the urgency was out before the time was
        events = events_of(stream)
        assert events[1]["daozhen"]["triage"]["urgency"] and events[-1]["error"]["code"] == "timeout"


def test_a_fault_of_the_assistant_is_told_without_its_text_and_logged_without_the_words(assistant, caplog):
    class Broken:
        name, remote = "broken", False

        def write(self, evidence):
            raise ValueError(f"cannot read {evidence.question}")

    class Unreadable:
        name, remote = "unreadable", False

        def write(self, evidence):
            raise IndexDamaged("/home/nurse/index: damaged")

    caplog.set_level(logging.DEBUG)
    with client_of(replace(assistant, writer=Broken())) as client:
        whole = ask(client, "膝盖疼，上下楼不舒服")
        stream = events_of(ask(client, "膝盖疼，上下楼不舒服", stream=True))
        client.get("/v1/膝盖疼?膝盖=疼")
    with client_of(replace(assistant, writer=Unreadable())) as client:
        unavailable = ask(client, "膝盖疼，上下楼不舒服")
    assert whole.status_code == 500 and stream[-1]["error"]["code"] == "internal_error"
    assert unavailable.status_code == 503 and "nurse" not in unavailable.text
    ours = [
        record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ]  # the client's own
    logged = "\n".join(logging.Formatter().format(record) for record in ours)
    assert "ValueError in" in logged and "膝" not in logged and "%E8%86%9D" not in logged


def test_work_nobody_waits_for_ends_and_leaves_no_thread_busy(assistant):
    """A client that leaves while its answer is written, streamed and not."""
    import asyncio

    writer = SlowWriter()
    app = make_api(replace(assistant, writer=writer), ApiSettings())

    async def leave_early(stream: bool) -> None:
        body = json.dumps({"model": "daozhen", "messages": messages("膝盖疼，上下楼不舒服"), "stream": stream}).encode()
        gone, sent = asyncio.Event(), []
        incoming = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if incoming:
                return incoming.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
            "path": "/v1/chat/completions", "raw_path": b"", "query_string": b"", "root_path": "", "scheme": "http",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "state": {},
        }  # fmt: skip
        task = asyncio.create_task(app(scope, receive, send))
        await asyncio.to_thread(writer.begun.wait, 30)
        assert app.state.workers.running == 1
        gone.set()
        await asyncio.wait_for(task, 10)
        assert app.state.workers.running == 0

    for stream in (False, True):
        writer.begun.clear()
        writer.go_on.clear()
        asyncio.run(leave_early(stream))
        writer.go_on.set()
    app.state.workers.close()
    assert writer.ended.wait(30)
