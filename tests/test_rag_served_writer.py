"""A model behind a server, over real HTTP: whatever the server does, a reply comes in time, whole and from the documents."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.errors import WriterUnavailable
from knowledge.replies import CitedAnswer
from rag.evidence import DraftSentence, Evidence
from rag.gates import Admitted, judge
from rag.model_writer import ModelWriter, said_aloud
from rag.passages import Passage, RetrievedPassage
from rag.served_writer import ServedWriter
from rag.writers import ExtractiveWriter
from tests.fakes import ScriptedChatModel
from tests.served_answers import (
    QUICK,
    SALT,
    asked_of,
    assert_every_sentence_stands,
    dangers_of,
    evidence_for,
    sayable,
    writer_at,
)
from tests.served_model import NAME, Plan, Request, ServedModel, answered, dies_after, ends_after, refuses, says, speak


@pytest.fixture(scope="module")
def evidence(assistant) -> Evidence:
    return evidence_for(assistant, SALT)


@pytest.fixture(scope="module")
def own(evidence) -> CitedAnswer:
    """The passages' own answer."""
    return answered(evidence, ExtractiveWriter())


@pytest.fixture(scope="module")
def said(evidence, own) -> list[str]:
    return sayable(evidence, own)


def test_what_a_server_writes_is_shown_under_its_name_and_what_to_hurry_for_is_added(evidence, own, said):
    answer, server = asked_of(evidence, says(said))
    assert answer.writer == f"openai:{NAME}" and not answer.note
    assert [sentence.text for sentence in answer.sentences][: len(said)] == said
    assert dangers_of(own) and dangers_of(answer) == dangers_of(own)
    assert server.asked[0].body["stream"] is True and server.asked[0].body["model"] == NAME


def test_one_good_sentence_is_an_answer(evidence, said):
    answer, _ = asked_of(evidence, says(said[:1]))
    assert answer.writer == f"openai:{NAME}" and answer.sentences[0].text == said[0] and not answer.note


@pytest.mark.parametrize(
    "more",
    [
        "每天吃盐10克也没事。[1]\n食盐没有坏处。[1]\n",
        "高血压可以不治。\n高血压不用管。\n高血压会自己好。\n血压高是小事。\n",
    ],
)
def test_one_good_sentence_among_several_that_were_refused_is_none(evidence, said, more):
    def plan(request: Request) -> None:
        request.begin()
        speak(request, "".join(request.quoted(said[:1])) + more)
        request.event({}, "stop")
        request.end()

    answer, _ = asked_of(evidence, plan)
    assert answer.writer == "extractive" and "没有通过核对" in answer.note


def test_a_true_sentence_beside_the_question_is_no_answer(evidence):
    beside = Passage("other", "g", "其他", "", None, 0, "洗手要用流动的水。", "zh", "document")
    found = replace(evidence, passages=(RetrievedPassage(beside, 0.5), *evidence.passages))
    writer = ModelWriter(ScriptedChatModel("洗手要用流动的水。[1]"), "scripted", remote=False, seconds=5)
    assert isinstance(judge(DraftSentence("洗手要用流动的水。", [beside]), found), Admitted)
    assert answered(found, writer).writer == "extractive"


def test_a_busy_server_is_asked_again_when_it_says(evidence, said):
    begun = time.monotonic()
    answer, server = asked_of(evidence, refuses(429, Retry_After="1"), says(said))
    assert answer.writer == f"openai:{NAME}" and len(server.asked) == 2
    assert time.monotonic() - begun >= 1.0


def test_a_broken_server_is_asked_again_a_few_times(evidence, said):
    answer, server = asked_of(evidence, refuses(500), refuses(503), says(said))
    assert answer.writer == f"openai:{NAME}" and len(server.asked) == 3
    answer, server = asked_of(evidence, refuses(500))
    assert answer.writer == "extractive" and "暂时用不了" in answer.note and len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_asked_again_and_is_logged_without_a_word_of_it(evidence, status, caplog):
    answer, server = asked_of(evidence, refuses(status))
    assert answer.writer == "extractive" and len(server.asked) == 1
    ours = [record for record in caplog.records if record.name.startswith("daozhen")]
    logged = "\n".join(logging.Formatter().format(record) for record in ours)
    assert str(status) in logged and "高血压" not in logged and "盐" not in logged


def test_who_asks_for_an_hour_is_let_alone_for_a_while(evidence):
    with ServedModel(refuses(429, Retry_After="3600")) as server:
        writer = writer_at(server.url)
        begun = time.monotonic()
        assert all(answered(evidence, writer).writer == "extractive" for _ in range(3))
        assert len(server.asked) == 1 and time.monotonic() - begun < 3


def test_a_server_that_keeps_failing_is_let_alone_and_asked_again_later(evidence, said):
    now = [0.0]
    limits = replace(QUICK, rest_after=2, tries=1)
    with ServedModel(refuses(500), refuses(500), says(said)) as server:
        made = writer_at(server.url)
        writer = ServedWriter(made.chat_model, made.name, remote=False, seconds=5, limits=limits, clock=lambda: now[0])
        assert [answered(evidence, writer).writer for _ in range(4)] == ["extractive"] * 4
        assert len(server.asked) == 2
        now[0] = limits.rest_seconds + 1
        assert answered(evidence, writer).writer == f"openai:{NAME}"


def test_nobody_waits_long_where_no_server_is(evidence):
    with ServedModel() as gone:
        url = gone.url
    begun = time.monotonic()
    assert answered(evidence, writer_at(url)).writer == "extractive"
    assert time.monotonic() - begun < 4


def half_json(request: Request) -> None:
    request.begin()
    request.raw('data: {"choices": [{"delta": {"con')
    request.end()


def half_json_after(sentences: list[str]) -> Plan:
    def plan(request: Request) -> None:
        request.begin()
        speak(request, "".join(request.quoted(sentences)) + "高血压患者")
        request.raw('data: {"choices": [{"delta": {"con\n\n')
        request.end()

    return plan


def no_stream_at_all(request: Request) -> None:
    request.refuse(200)


@pytest.mark.parametrize(
    "plan", [half_json, no_stream_at_all, dies_after([], "高血压"), ends_after([], "高血压患者每天")]
)
def test_an_answer_that_never_came_is_the_documents_own(evidence, own, plan):
    answer, _ = asked_of(evidence, plan, limits=replace(QUICK, tries=1))
    assert answer.writer == "extractive" and answer.sentences == own.sentences and answer.note


@pytest.mark.parametrize("kind", ["reset", "closed", "half JSON", "cut at a length", "silent"])
def test_a_server_that_dies_in_mid_answer_leaves_whole_sentences_and_what_to_hurry_for(evidence, own, said, kind):
    half = "高血压患者每天食盐"
    gate = threading.Event()

    def silent(request: Request) -> None:
        request.begin()
        speak(request, "".join(request.quoted(said[:2])) + half)
        gate.wait(5)

    def cut(request: Request) -> None:
        request.begin()
        speak(request, "".join(request.quoted(said[:2])) + half)
        request.event({}, "length")
        request.end()

    plans = {
        "reset": dies_after(said[:2], half),
        "closed": ends_after(said[:2], half),
        "half JSON": half_json_after(said[:2]),
        "cut at a length": cut,
        "silent": silent,
    }
    answer, server = asked_of(evidence, plans[kind])
    gate.set()
    texts = [sentence.text for sentence in answer.sentences]
    assert answer.writer == f"openai:{NAME}" and texts[:2] == said[:2] and "没有写完" in answer.note
    assert not any(text.startswith(half) and text not in [one.text for one in own.sentences] for text in texts)
    assert dangers_of(answer) == dangers_of(own) and len(server.asked) == 1
    assert len(texts) == len(set(texts))
    assert_every_sentence_stands(answer, own)


@pytest.fixture(scope="module")
def at_hand(evidence, own, said):
    return lambda: (evidence, own, said)  # a function is short where hypothesis prints what it was given


@given(cut=st.integers(0, 200), fault=st.sampled_from([ConnectionError("lost"), WriterUnavailable("late"), None]))
@settings(max_examples=15, deadline=None)
def test_wherever_an_answer_breaks_off_no_half_sentence_is_shown_and_no_danger_lost(at_hand, cut, fault):
    evidence, own, said = at_hand()

    class Dying(ScriptedChatModel):
        def stream(self, messages):
            numbered = messages[-1].content
            text = "".join(
                f"{one}[{numbered.partition(one)[0].rpartition(chr(10) + '[')[2].partition(']')[0]}]" for one in said
            )
            self.pieces = (*text[:cut], *([fault] if fault else []))
            yield from super().stream(messages)

    answer = answered(evidence, ServedWriter(Dying(), "far", remote=False, seconds=5, limits=replace(QUICK, tries=1)))
    assert_every_sentence_stands(answer, own)
    assert set(dangers_of(own)) <= set(dangers_of(answer)) and answer.note


def slow_to_begin(request: Request) -> None:
    time.sleep(1.2)
    request.refuse(500)


@pytest.mark.parametrize(
    ("plan", "limits", "seconds"),
    [
        (slow_to_begin, replace(QUICK, first_seconds=0.3), 5.0),
        (says(["高血压患者" * 40], pause=0.05), replace(QUICK, first_seconds=5), 0.6),
    ],
    ids=["slow to begin", "slow to end"],
)
def test_a_slow_server_is_left_behind_in_time(evidence, plan, limits, seconds):
    begun = time.monotonic()
    answer, _ = asked_of(evidence, plan, limits=limits, seconds=seconds)
    assert answer.writer == "extractive" and time.monotonic() - begun < 2.5


def test_a_steady_writer_of_long_sentences_does_not_stall(evidence, said):
    answer, _ = asked_of(
        evidence, says(said, pause=0.05, piece_chars=2), limits=replace(QUICK, stall_seconds=0.5), seconds=20
    )
    assert answer.writer == f"openai:{NAME}" and not answer.note


def test_no_more_are_asked_for_at_once_than_allowed_and_the_others_do_not_wait(evidence, said):
    gate = threading.Event()

    def waiting(request: Request) -> None:
        gate.wait(10)
        says(said)(request)

    with ServedModel(waiting) as server:
        writer = writer_at(server.url, replace(QUICK, at_once=2, wait_seconds=0.2, first_seconds=15), seconds=20)
        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(answered, evidence, writer) for _ in range(8)]
            deadline = time.monotonic() + 20
            while sum(one.done() for one in running) < 6 and time.monotonic() < deadline:
                time.sleep(0.02)
            early = [one.result() for one in running if one.done()]
            gate.set()
            writers = sorted(one.result().writer for one in running)
        assert len(early) == 6 and all(one.writer == "extractive" and one.note for one in early)
        assert writers == ["extractive"] * 6 + [f"openai:{NAME}"] * 2
        assert server.most_at_once == 2
        assert answered(evidence, writer).writer == f"openai:{NAME}"  # being busy is no failure


@given(st.lists(st.text("<think>/ 好a", max_size=9), max_size=8), st.text("好a ", max_size=6))
def test_what_a_model_thinks_is_not_said_however_it_arrives(pieces, thought):
    text = "".join(pieces)
    expected, rest = "", text
    while "<think>" in rest:
        before, _, rest = rest.partition("<think>")
        expected += before
        if "</think>" not in rest:
            rest = ""
        rest = rest.partition("</think>")[2]
    assert "".join(said_aloud(pieces)) == expected + rest
    assert "".join(said_aloud([*f"<think>{thought}</think>", "好"])) == "好"
