"""A running assistant takes up settings, learned routing and index with the next question, and survives what is broken."""

from __future__ import annotations

import logging
import re
import shutil

import pytest
from starlette.testclient import TestClient

from ingest.pipeline import rebuild_index
from knowledge.conversation import Conversation
from rag import load_assistant
from rag.case_features import Reader
from rag.config import SETTINGS_FILE, Settings, keep_settings
from rag.embedder import load_embedder
from rag.generations import point_at
from rag.learned_routing import fit
from rag.learned_store import folder_of, forget, pointer_of, save
from rag.serving_assistant import ServingAssistant
from rag.solved_cases import SolvedCase
from rag.writers import ExtractiveWriter
from tests.replicas import MARKS, write_guides
from ui.api import make_api

HELP = "我不想活了"


@pytest.fixture(scope="module")
def home(built_home, tmp_path_factory):
    copied = tmp_path_factory.mktemp("running") / "home"
    shutil.copytree(built_home, copied)
    return copied


@pytest.fixture(scope="module")
def running(home):
    return ServingAssistant(load_assistant(Settings(home)))


@pytest.fixture(scope="module")
def sheets(tmp_path_factory):
    """A folder of the hospital's own; a folder once added stays in the index."""
    return tmp_path_factory.mktemp("sheets")


@pytest.fixture(autouse=True)
def as_before(home, running):
    yield
    (home / SETTINGS_FILE).unlink(missing_ok=True)
    forget(home)
    running.current()


def test_a_setting_holds_from_the_next_question(home, running):
    before = running.current().reply(HELP).answer.text
    keep_settings(home, {"locale": "en-GB", "passages_per_answer": 3})
    here = running.current()
    assert here.settings.locale == "en-GB" and here.settings.passages_per_answer == 3
    assert running.current().matcher is here.matcher  # loaded once
    assert here.reply(HELP).answer.text != before  # the helplines of another country


def test_another_writer_is_taken_up_and_given_back(home, running):
    keep_settings(home, {"model": "openai:some-model", "model_url": "http://127.0.0.1:9/v1"})
    assert running.current().writer.name == "openai:some-model"
    keep_settings(home, {"model": "", "model_url": ""})
    assert running.current().writer.name == "extractive"


@pytest.mark.parametrize(
    "text", ["locale = ", 'no_such = "x"', 'model = "openai:far-away"', "locale = 3", "[served]\nat_once = 0\n"]
)
def test_settings_that_cannot_be_used_leave_everything_as_it_was(home, running, text, caplog):
    before = running.current().settings
    if text.startswith("[served]"):
        text = f'model = "openai:x"\nmodel_url = "http://127.0.0.1:9/v1"\n{text}'
    (home / SETTINGS_FILE).write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert running.current().settings == before and running.current().settings == before
    told = [record.getMessage() for record in caplog.records if record.name == "daozhen.settings"]
    assert len(told) == 1 and "\n" not in told[0]


def test_another_embedder_waits_for_the_next_start_and_the_rest_does_not(home, running, caplog):
    keep_settings(home, {"embedder": "/some/where", "passages_per_answer": 4})
    with caplog.at_level(logging.WARNING):
        here = running.current()
    assert here.settings.embedder == "" and here.settings.passages_per_answer == 4
    assert "embedder changed; restart" in caplog.text


def learned_from(here, department: str):
    complaints = [f"{word}疼了{days}天" for word in ("膝盖", "耳朵", "牙", "胃") for days in range(1, 7)]
    cases = [SolvedCase(text, (department if "膝" in text else "内科",)) for text in complaints]
    reader = Reader(here.routing, here.search.embedder)
    return fit(cases, reader, {"康复科": ("rehabilitation",), "内科": ("general_internal_medicine",)}), cases


def test_learned_routing_is_taken_up_replaced_and_forgotten(home, running):
    here = running.current()
    assert here.learned is None
    save(home, *learned_from(here, "康复科"), {}, "now")
    learned = running.current().learned
    assert learned is not None and running.current().learned is learned
    save(home, *learned_from(here, "骨科"), {}, "later")
    assert running.current().learned is not learned
    forget(home)
    assert running.current().learned is None


def test_damaged_learned_routing_is_told_once_and_the_general_one_serves(home, running, caplog):
    folder_of(home).mkdir(exist_ok=True)
    pointer_of(home).write_text("nothing of the kind\n")
    with caplog.at_level(logging.WARNING):
        assert running.current().learned is None and running.current().learned is None
    assert caplog.text.count("the general routing serves") == 1


def test_a_reply_its_pages_and_its_guides_are_of_one_generation_while_another_takes_over(home, running, tmp_path):
    (tmp_path / "a.txt").write_text("探视时间是每天下午三点。", encoding="utf-8")
    before = running.current()
    rebuild_index(home / "index", load_embedder(), [tmp_path])
    reply = before.reply("膝盖疼，上下楼不舒服")  # begun before
    after = running.current()
    assert before.generation != after.generation and before.search.index.folder.name == before.generation
    assert after.dialogue.index is after.search.index and after.dialogue is running.current().dialogue
    again = after.reply("膝盖疼，上下楼不舒服", Conversation())
    assert [one.quote for one in again.answer.citations] == [one.quote for one in reply.answer.citations]
    for citation in reply.answer.citations:
        assert before.search.index.page_text(citation.source_id, citation.page, citation.section, citation.quote)


@pytest.mark.parametrize("stream", [False, True])
def test_the_generation_a_reply_names_is_the_one_it_cites_though_another_takes_over_in_mid_answer(home, sheets, stream):
    class Switching:
        """A writer during whose work an update is published."""

        name, remote = "switching", False

        def write(self, evidence):
            point_at(home / "index", newer)
            assert assistant.current().generation == newer  # taken up at once by whoever asks now
            switched.append(True)
            yield from ExtractiveWriter().write(evidence)

    switched: list[bool] = []
    names = []
    for mark in MARKS[:2]:
        write_guides(sheets, mark)
        rebuild_index(home / "index", load_embedder(), [sheets])
        names.append((home / "index" / "CURRENT").read_text().strip())
    older, newer = names
    assistant = ServingAssistant(load_assistant(Settings(home), Switching()))
    body = {"model": "daozhen", "messages": [{"role": "user", "content": "探视住院病人有什么规定"}], "stream": stream}
    with TestClient(make_api(assistant), base_url="http://127.0.0.1") as client:
        for generation, mark in ((older, MARKS[0]), (newer, MARKS[1])):
            point_at(home / "index", generation)
            response = client.post("/v1/chat/completions", json=body)
            assert response.headers["x-daozhen-generation"] == generation
            assert set(re.findall(rf"([{MARKS}])版", response.text)) == {mark}
    assert len(switched) == 2
