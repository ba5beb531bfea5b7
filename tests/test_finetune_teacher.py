"""A teacher that misbehaves costs nothing but its own rows; nothing is asked twice, and never more than the budget."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from finetune.synthesis import TASKS, Synthesis, synthesise
from finetune.synthesis_items import SourcePassage
from finetune.teacher import Budget, BudgetSpent, ReplyCache, Teacher, TeacherFailed, load_teacher
from finetune.teacher_replies import pairs_of
from tests.scripted_teacher import GOOD, PASSAGE, reply_of, teacher_that_says


def test_nothing_is_asked_twice_and_a_run_goes_on_where_it_stopped(tmp_path):
    passages = [SourcePassage(f"{PASSAGE.text}（第{number}段）", "足底筋膜炎") for number in range(6)]
    first = teacher_that_says(tmp_path, reply_of(GOOD), budget=Budget(requests=3), at_once=1)
    kept = []
    with pytest.raises(BudgetSpent, match="budget of 3 requests"):
        kept.extend(synthesise(TASKS["guideline_pairs"], passages, first, Synthesis()))
    again = teacher_that_says(tmp_path, reply_of(GOOD), at_once=1)
    assert len(list(synthesise(TASKS["guideline_pairs"], passages, again, Synthesis()))) == 6
    assert (again.usage.cached, again.usage.requests) == (3, 3)


def test_the_budget_in_tokens_counts_what_the_server_says(tmp_path):
    used = {"input_tokens": 60, "output_tokens": 40, "total_tokens": 100}
    model = GenericFakeChatModel(
        messages=iter([AIMessage("一", usage_metadata=used), AIMessage("二", usage_metadata=used)])
    )
    teacher = Teacher(model, "counted", ReplyCache(tmp_path / "r.sqlite"), Budget(tokens=150))
    assert (teacher.ask("a"), teacher.ask("b")) == ("一", "二")
    with pytest.raises(BudgetSpent, match="150 tokens"):
        teacher.ask("c")


def test_a_reply_that_cannot_be_used_is_asked_for_again_and_not_remembered(tmp_path):
    teacher = teacher_that_says(tmp_path, "说不好", "{", reply_of(GOOD))
    assert len(teacher.ask("p", pairs_of)) == 1 and teacher.usage.retries == 2
    hopeless = teacher_that_says(tmp_path, "说不好")
    with pytest.raises(TeacherFailed, match="unusable reply"):
        hopeless.ask("q", pairs_of)
    assert hopeless.usage.requests == hopeless.attempts and hopeless.usage.failed == 1


class Server:
    """An OpenAI-compatible endpoint on this machine; `plan` says what each request gets, by its number."""

    def __init__(self, plan: Callable[[int], str]) -> None:
        self.plan, self.requests, self._lock = plan, 0, threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with owner._lock:
                    number, owner.requests = owner.requests, owner.requests + 1
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.answer(self, owner.plan(number), asked)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def answer(self, handler: BaseHTTPRequestHandler, what: str, asked: dict) -> None:
        if what == "disconnect":
            handler.close_connection = True
            handler.connection.close()
            return
        if what == "hang":
            threading.Event().wait(1.5)
        status = {"busy": 429, "broken": 500, "refused": 401}.get(what, 200)
        message = {
            "role": "assistant",
            "content": reply_of(GOOD) if what not in ("half", "empty") else ("" if what == "empty" else '{"qa_pa'),
        }
        body = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
             "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}} if status == 200 else {"error": {"message": what}}
        ).encode()  # fmt: skip
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(body) if what != "short" else len(body) + 50))
            if what == "busy":
                handler.send_header("Retry-After", "7")
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass  # the client has given up


@pytest.fixture
def served(tmp_path, monkeypatch) -> Iterator[Callable[[Callable[[int], str]], tuple[Server, Teacher, list[float]]]]:
    pytest.importorskip("langchain_openai")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    servers: list[Server] = []

    def start(
        plan: Callable[[int], str], budget: Budget = Budget(), at_once: int = 1
    ) -> tuple[Server, Teacher, list[float]]:
        server, pauses = Server(plan), list[float]()
        servers.append(server)
        teacher = load_teacher(
            "openai:test", server.url, tmp_path / "replies.sqlite", budget, at_once, timeout_seconds=0.5
        )
        teacher.pause = pauses.append
        return server, teacher, pauses

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


@pytest.mark.parametrize("fault", ["busy", "broken", "disconnect", "hang", "half", "empty"])
def test_each_misbehaviour_is_waited_out(served, fault):
    server, teacher, pauses = served(lambda number: fault if number < 2 else "well")
    assert len(teacher.ask("问", pairs_of)) == 1
    assert server.requests == 3 and teacher.usage.retries == 2
    asks_to_wait, unusable = fault == "busy", fault in ("half", "empty")
    assert pauses == ([7.0, 7.0] if asks_to_wait else [] if unusable else [1.0, 2.0])


def test_a_refused_key_is_told_at_once_and_not_tried_again(served):
    server, teacher, _ = served(lambda number: "refused")
    with pytest.raises(TeacherFailed, match="AuthenticationError"):
        teacher.ask("问")
    assert server.requests == 1


def test_a_server_that_fails_for_some_costs_only_those(served):
    _, teacher, _ = served(
        lambda number: ("busy", "half", "well", "disconnect", "well", "broken")[number % 6], at_once=3
    )
    teacher.attempts = 8
    passages = [SourcePassage(f"{PASSAGE.text}（第{number}段）") for number in range(12)]
    made = Synthesis()
    kept = list(synthesise(TASKS["guideline_pairs"], passages, teacher, made))
    assert len(kept) + made.left_out["the teacher failed"] == 12 and len(kept) >= 10
    assert teacher.usage.requests > 12


def test_the_budget_holds_with_several_requests_in_flight(served):
    server, teacher, _ = served(lambda number: "well", Budget(requests=5), at_once=4)
    passages = [SourcePassage(f"{PASSAGE.text}（第{number}段）") for number in range(12)]
    kept = []
    with pytest.raises(BudgetSpent):
        kept.extend(synthesise(TASKS["guideline_pairs"], passages, teacher, Synthesis()))
    assert server.requests == 5
