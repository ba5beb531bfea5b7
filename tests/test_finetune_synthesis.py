"""A teacher that misbehaves costs nothing but its own rows, and what it writes is checked before it is kept."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from finetune.records import PreferenceRecord, dialogue
from finetune.synthesis import TASKS, Synthesis, guideline_pairs, preferences, rewritten, synthesise, two_agents
from finetune.synthesis_items import GraphRecord, SourcePassage
from finetune.teacher import Budget, BudgetSpent, ReplyCache, Teacher, TeacherFailed, load_teacher
from finetune.teacher_replies import json_of, pairs_of
from finetune.text_readers import drug_label_of
from knowledge.prompts import ANSWER_SYSTEM

PASSAGE = SourcePassage(
    "足底筋膜炎的人早上下床第一步最疼。换软底的鞋并拉伸小腿，多数人3个月内好转。两周没有好转要看骨科。",
    "足底筋膜炎",
    "骨科",
)
GOOD = {"question": "脚后跟疼多久能好？", "answer": "多数人3个月内好转。", "quote": "多数人3个月内好转"}


def reply_of(*pairs: dict) -> str:
    return json.dumps({"qa_pairs": list(pairs)}, ensure_ascii=False)


def teacher_that_says(tmp_path: Path, *replies: str, **options) -> Teacher:
    return Teacher(
        FakeListChatModel(responses=list(replies)),
        "scripted",
        ReplyCache(tmp_path / "replies.sqlite"),
        pause=lambda seconds: None,
        **options,
    )


# what is kept


def test_a_pair_is_kept_in_the_prompt_of_serving_with_its_citation(tmp_path):
    made = Synthesis()
    (record,) = guideline_pairs(PASSAGE, teacher_that_says(tmp_path, reply_of(GOOD)), made)
    assert (
        record.system == ANSWER_SYSTEM["zh"]
        and PASSAGE.text in record.asked
        and record.targets == ("多数人3个月内好转。[1]",)
    )
    assert not made.left_out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quote": "多数人很快好转"}, "its quote does not stand in the passage"),
        ({"quote": ""}, "its quote does not stand in the passage"),
        ({"answer": "多数人6个月内好转。"}, "a number that the passage does not have"),
        ({"answer": "换软底的鞋，建议口服布洛芬。"}, "starts, stops or changes a medicine"),
    ],
)
def test_a_pair_that_is_not_faithful_is_left_out_and_counted(tmp_path, change, reason):
    made = Synthesis()
    kept = list(guideline_pairs(PASSAGE, teacher_that_says(tmp_path, reply_of({**GOOD, **change}, GOOD)), made))
    assert len(kept) == 1 and made.left_out == Counter({reason: 1})


def test_a_quote_that_is_no_text_is_none(tmp_path):
    made = Synthesis()
    teacher = teacher_that_says(tmp_path, reply_of({**GOOD, "quote": ["多数人", 3]}))
    assert list(guideline_pairs(PASSAGE, teacher, made)) == []
    assert made.left_out == {"its quote does not stand in the passage": 1}


def test_of_a_reply_cut_in_the_middle_the_whole_pairs_are_kept():
    whole = reply_of(GOOD, GOOD)
    assert len(pairs_of(whole)) == 2
    assert len(pairs_of("```json\n" + whole[: len(whole) - 40])) == 1
    for reply in ("", "抱歉，我不能。", '{"qa_pairs": [', "[1, 2]", '{"qa_pairs": [{"question": "q"}]}'):
        with pytest.raises(ValueError, match="no "):
            pairs_of(reply)
    assert json_of('好的：\n```json\n{"better": "A"}\n```') == {"better": "A"}


def test_a_graph_record_gives_answers_that_hold_something_of_it(tmp_path):
    teacher = teacher_that_says(
        tmp_path,
        reply_of({"question": "胃炎看哪个科？", "answer": "看消化内科。"}, {"question": "q", "answer": "多喝水。"}),
    )
    made = Synthesis()
    kept = list(synthesise(TASKS["graph_instructions"], [GraphRecord("胃炎", {"所属科室": "消化内科"})], teacher, made))
    assert [record.targets[0] for record in kept] == ["看消化内科。"] and made.left_out[
        "nothing of the record in the answer"
    ] == 1


def test_a_label_gives_pairs_without_a_teacher_and_never_its_doses():
    label = drug_label_of(
        "示例口服液\n药品类型:示例类药\n适应证:用于鼻塞。\n用法用量:口服：每次10ml，每天3次。\n不良反应:尚不明确。\n注意事项:停药后复查。"
    )
    made = Synthesis()
    kept = list(synthesise(TASKS["drug_labels"], [label], None, made))
    assert [record.targets[0] for record in kept] == ["示例类药", "用于鼻塞。"] and made.left_out[
        "the label does not say"
    ] == 2
    assert not any("10ml" in record.targets[0] for record in kept)


def test_what_could_name_a_patient_is_masked_before_it_is_sent(tmp_path):
    seen: list[str] = []

    class Listening(FakeListChatModel):
        def _call(self, messages, *_, **__) -> str:
            seen.append(str(messages[-1].content))
            return '{"answer": "看骨科。"}'

    teacher = Teacher(Listening(responses=[""]), "listening", ReplyCache(tmp_path / "r.sqlite"))
    (record,) = rewritten(dialogue("我的手机是13812345678，脚疼。", "看骨科。"), teacher, Synthesis())
    assert "13812345678" not in seen[0] + record.asked


def test_two_agents_talk_until_the_patient_is_content(tmp_path):
    teacher = teacher_that_says(
        tmp_path, "患者：脚后跟疼", "医生：多久了？\n患者：两周", "两周了", "先换软底鞋，两周不好看骨科。", "谢谢医生。"
    )
    (record,) = two_agents("男，40岁，脚后跟疼两周", teacher, Synthesis())
    assert [message.content for message in record.messages] == [
        "脚后跟疼",
        "多久了？",
        "两周了",
        "先换软底鞋，两周不好看骨科。",
    ]


@pytest.mark.parametrize(
    ("verdicts", "chosen"),
    [(("A", "B"), "好回答"), (("B", "A"), "差回答"), (("A", "A"), None), (("equal", "equal"), None)],
)
def test_a_preference_counts_only_where_both_orders_agree(tmp_path, verdicts, chosen):
    teacher = teacher_that_says(
        tmp_path, "好回答", "差回答", *(json.dumps({"better": verdict}) for verdict in verdicts)
    )
    made = Synthesis()
    kept = list(preferences(dialogue("脚后跟疼怎么办？", "-"), teacher, made))
    assert [record.chosen for record in kept if isinstance(record, PreferenceRecord)] == ([chosen] if chosen else [])
    assert made.left_out["no clear preference"] == (chosen is None)


# the teacher


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


# a server that misbehaves


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
