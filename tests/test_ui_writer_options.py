"""`--model` and `--model-url`: kept if they can be had, and a server that would not answer is told at the start."""

from __future__ import annotations

import pytest

from rag.chat_models import load_writer
from rag.config import SETTINGS_FILE, load_settings
from rag.writers import ExtractiveWriter
from tests.served_model import NAME, ServedModel
from ui.cli import main
from ui.writer_options import keep_writer, warn_of


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    return tmp_path


def test_a_model_and_its_address_are_kept_and_the_documents_own_sentences_come_back(home):
    keep_writer(f"openai:{NAME}", None, "http://127.0.0.1:9/v1")
    assert load_writer(load_settings()).name == f"openai:{NAME}"
    keep_writer(None, None, "http://127.0.0.1:8/v1")
    assert (load_settings().model, load_settings().model_url) == (f"openai:{NAME}", "http://127.0.0.1:8/v1")
    keep_writer("extractive", None)
    assert isinstance(load_writer(load_settings()), ExtractiveWriter)


@pytest.mark.parametrize("command", ["serve", "chat"])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "openai:x", "--model-url", "https://models.example.org/v1"], "allow_remote_model"),
        (["--model", "openai:x", "--model-url", "127.0.0.1:8001"], "no address"),
        (["--model", "nothing-of-the-kind"], "no such folder"),
        (["--model", "openai:x", "--model-url", "http://127.0.0.1:9/v1", "--adapter", "a"], "takes it"),
    ],
)
def test_a_model_that_cannot_be_had_stops_the_start_in_one_line_and_is_not_kept(home, command, arguments, told, capsys):
    assert main([command, *arguments]) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1 and not (home / SETTINGS_FILE).exists()


def test_a_server_that_would_not_answer_is_told_at_the_start(capsys):
    with ServedModel() as server:
        keep_writer(f"openai:{NAME}", None, server.url)
        warn_of(load_writer(load_settings()))
        assert capsys.readouterr().err == ""
    warn_of(load_writer(load_settings()))
    warn_of(ExtractiveWriter())
    error = capsys.readouterr().err
    assert "does not answer" in error and "until then the documents' own sentences" in error and error.count("\n") == 1
