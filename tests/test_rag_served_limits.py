"""Where words go, who is named and masked, how long a server is waited for, and how all of that is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowledge.errors import WriterUnavailable
from rag.chat_models import load_chat_model, load_writer
from rag.config import SETTINGS_FILE, Settings
from rag.evidence import Evidence
from rag.model_writer import ModelWriter
from rag.served_writer import Rest, ServedLimits, ServedWriter
from rag.writers import ExtractiveWriter
from tests.served_answers import QUICK, SALT, asked_of, evidence_for, sayable, writer_at
from tests.served_model import NAME, ServedModel, answered, refuses, says
from ui.serve_command import threads_for


@pytest.fixture(scope="module")
def evidence(assistant) -> Evidence:
    return evidence_for(assistant, SALT)


@pytest.fixture(scope="module")
def said(evidence) -> list[str]:
    return sayable(evidence, answered(evidence, ExtractiveWriter()))


def test_words_are_masked_unless_the_server_is_the_hospitals_own(assistant):
    evidence = evidence_for(assistant, "我叫王小明，电话13812345678，高血压能不能吃咸菜")
    with ServedModel(refuses(400)) as server:
        answered(evidence, writer_at(server.url))
        here = writer_at(server.url)
        far = ServedWriter(here.chat_model, "far", remote=True, seconds=5, limits=QUICK)
        answered(evidence, far)
        own, masked = (request.prompt for request in server.asked)
    assert "13812345678" in own and "13812345678" not in masked and "王小明" not in masked


def test_words_go_to_the_server_that_was_named_and_no_other(evidence, monkeypatch):
    """No redirect is followed, and no proxy of the environment stands before a server of one's own."""
    with (
        ServedModel(refuses(500)) as other,
        ServedModel(refuses(307, Location=f"{other.url}/chat/completions")) as named,
    ):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, other.url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert answered(evidence, writer_at(named.url)).writer == "extractive"
    assert len(named.asked) == 1 and not other.asked


def test_a_key_of_the_environment_is_used(evidence, monkeypatch, said):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")
    _, server = asked_of(evidence, says(said))
    assert server.asked[0].headers["authorization"] == "Bearer sk-ours"


def test_no_server_may_ask_to_be_let_alone_for_ever():
    now = [0.0]
    rest = Rest(ServedLimits(), lambda: now[0])
    rest.asked_for(1e9)
    with pytest.raises(WriterUnavailable):
        rest.check()
    now[0] = 601.0
    rest.check()


def test_limits_of_a_served_model_stand_in_the_settings(tmp_path):
    config = tmp_path / SETTINGS_FILE
    config.write_text("[served]\nat_once = 3\nwait_seconds = 0\nfirst_seconds = 7\n")
    settings = Settings(tmp_path, model="openai:x", model_url="http://127.0.0.1:9/v1")
    writer = load_writer(settings)
    assert isinstance(writer, ModelWriter) and writer.places.number == 3 and writer.patience.first_seconds == 7.0
    timeout = writer.chat_model.root_client.timeout
    assert timeout.connect == ServedLimits().connect_seconds and timeout.read == 10.0  # the longest silence allowed
    assert threads_for(writer) == 4 + 3 and threads_for(ExtractiveWriter()) == 4
    for wrong in ("at_once = 0", "tries = true", "patience = 3", "stall_seconds = -1", "first_seconds = inf"):
        config.write_text(f"[served]\n{wrong}\n")
        with pytest.raises(Exception, match=r"served\.") as told:
            load_writer(settings)
        assert "\n" not in str(told.value)


def test_a_server_that_would_not_answer_is_told_in_one_line_with_the_remedy():
    with ServedModel(refuses(500)) as server:
        assert writer_at(server.url).reachable_fault() == ""
        other = load_writer(Settings(Path("/nonexistent"), model="openai:typo", model_url=server.url))
        assert f"has no model 'typo'; it has {NAME}" in other.reachable_fault()
        server.key = "right"
        assert "set OPENAI_API_KEY" in writer_at(server.url).reachable_fault()
    told = writer_at(server.url).reachable_fault()
    assert "start it, or mend model_url" in told and "\n" not in told


def test_a_judge_may_take_its_time_and_is_asked_again_by_its_client():
    settings = Settings(Path("/nonexistent"), model=f"openai:{NAME}", model_url="http://127.0.0.1:9/v1")
    client = load_chat_model(settings).root_client
    assert client.timeout.read == settings.writer_seconds and client.max_retries == 2
