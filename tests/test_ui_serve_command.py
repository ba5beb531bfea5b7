"""`daozhen serve`: on a real port, with the clients people use, and with those that misbehave."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.fakes import SlowWriter
from ui.api import ApiSettings, make_api
from ui.api_limits import ApiLimits
from ui.api_server import TimedProtocol, server_for
from ui.cli import main
from ui.ports import check_free, listen

KEY = "a-key-for-the-tests-0123456789"


@contextmanager
def serving(assistant, **changes):
    """A server on a free port, stopped at the end."""
    listening = listen("127.0.0.1", 0)
    server = server_for(make_api(assistant, ApiSettings(**changes)), 600, stop_seconds=20)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield listening.getsockname()[1], server
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def port(assistant):
    with serving(assistant, key=KEY) as (port, _):
        yield port


@pytest.fixture
def client(port):
    from openai import OpenAI

    return OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0)


def test_the_openai_client_streams(client):
    messages = [{"role": "user", "content": "膝盖疼，上下楼不舒服"}]
    chunks = list(
        client.chat.completions.create(
            model="daozhen", messages=messages, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("【非急症") and "[1]" in text
    assert chunks[-1].usage.completion_tokens > 0 and chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-2].model_extra["daozhen"]["triage"]["urgency"] == "IV"


def test_the_openai_client_keeps_a_talk_and_hands_on_our_fields(client):
    first = client.chat.completions.create(model="daozhen", messages=[{"role": "user", "content": "肚子疼两天了"}])
    told = first.model_extra["daozhen"]
    second = client.chat.completions.create(
        model="daozhen",
        messages=[{"role": "user", "content": told["follow_up"]["options"][0]}],
        extra_body={"daozhen": {"conversation": told["conversation"]}},
    )
    turns = second.model_extra["daozhen"]["conversation"]["episodes"][0]["turns"]
    assert [turn["text"] for turn in turns] == ["肚子疼两天了", told["follow_up"]["options"][0]]


def test_the_openai_client_knows_our_faults(port, client):
    import openai

    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "头疼"}])
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="wrong", max_retries=0).models.list()
    assert [model.id for model in client.models.list()] == ["daozhen"]


def test_langchains_chat_model_answers_and_streams(port):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="daozhen", base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0)
    whole = model.invoke([("system", "Be brief."), ("human", "my knee hurts on the stairs")])
    streamed = "".join(chunk.text for chunk in model.stream("my knee hurts on the stairs"))
    assert whole.content == streamed and whole.usage_metadata["output_tokens"] > 0


def test_a_running_stream_is_finished_when_the_server_stops(assistant):
    from openai import OpenAI

    writer = SlowWriter()
    with serving(replace(assistant, writer=writer)) as (port, server):
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
        stream = client.chat.completions.create(
            model="daozhen", messages=[{"role": "user", "content": "膝盖疼，上下楼不舒服"}], stream=True
        )
        assert writer.begun.wait(30)
        server.should_exit = True
        writer.go_on.set()
        chunks = list(stream)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_connections_that_dawdle_are_closed(assistant, monkeypatch):
    monkeypatch.setattr(TimedProtocol, "head_seconds", 0.3)
    with serving(assistant, limits=ApiLimits(body_seconds=0.3)) as (port, server):
        with socket.create_connection(("127.0.0.1", port), 10) as silent:
            silent.sendall(b"POST /v1/triage HT")
            assert silent.recv(100) == b""
        with socket.create_connection(("127.0.0.1", port), 10) as trickling:
            trickling.sendall(b"POST /v1/triage HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
            assert trickling.recv(1000).startswith(b"HTTP/1.1 408")
            while trickling.recv(1000):
                pass  # the rest of the answer, then the end
        state, deadline = server.server_state, time.monotonic() + 10
        while (state.connections or state.tasks) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not state.connections and not state.tasks


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--host", "0.0.0.0"], "needs a key"),
        (["--allow-origin", "*"], "needs a key"),
        (["--allow-origin", "localhost:3000"], "an origin is"),
        (["--key-file", "KEYFILE"], "16 letters"),
        (["--key-file", "/nonexistent/key"], "cannot be read"),
    ],
)
def test_a_way_to_serve_that_is_not_safe_is_refused_in_one_line(arguments, told, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("DAOZHEN_API_KEY", raising=False)
    (tmp_path / "key").write_text("short\n")
    arguments = [str(tmp_path / "key") if part == "KEYFILE" else part for part in arguments]
    assert main(["serve", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error


@pytest.mark.parametrize("command", [["serve"], ["chat"], ["chat", "--staff"]])
def test_a_port_in_use_is_told_in_one_line_with_its_remedy(command, built_home, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(built_home))
    monkeypatch.setattr("ui.chat_command._ready_password", lambda asked: None)
    with listen("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]
        assert main([*command, "--port", str(number)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"127.0.0.1 port {number}" in told and "--port" in told


def test_a_free_port_is_left_free():
    with listen("127.0.0.1", 0) as once:
        number = once.getsockname()[1]
    check_free("127.0.0.1", number, "choose another")
    with listen("127.0.0.1", number):
        pass


def test_a_key_comes_from_the_file_or_the_environment(tmp_path, monkeypatch):
    from ui.serve_command import read_key

    monkeypatch.setenv("DAOZHEN_API_KEY", KEY)
    (tmp_path / "key").write_text(KEY[::-1] + "\n")
    assert read_key(None) == KEY and read_key(tmp_path / "key") == KEY[::-1]
    monkeypatch.delenv("DAOZHEN_API_KEY")
    assert read_key(None) is None


def test_what_the_readme_shows_of_the_api_works(assistant, capsys):
    import re
    import shlex
    from pathlib import Path

    import httpx

    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```py\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    requests = [shlex.split(line) for line in readme.splitlines() if line.startswith("curl ")]
    with serving(assistant) as (port, _):
        names: dict[str, object] = {}
        exec(compile(code.replace(":8000", f":{port}"), "README.md", "exec"), names)
        for _, address, *options in requests:
            address, body = address.replace(":8000", f":{port}"), options[-1] if "-d" in options else None
            headers = {"Content-Type": "application/json"}
            answer = httpx.post(address, content=body, headers=headers) if body else httpx.get(address)
            assert answer.status_code == 200 and answer.json()
    assert names["urgency"] == "IV" and "[1]" in capsys.readouterr().out and len(requests) == 3
