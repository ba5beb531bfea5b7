"""The `daozhen` command: what it prints, what it leaves, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ui.cli import COMMANDS, main


@pytest.fixture
def home(built_home, monkeypatch):
    monkeypatch.setenv("DAOZHEN_HOME", str(built_home))
    return built_home


def test_ask_prints_the_documented_json(home, capsys):
    assert main(["ask", "我胸口疼，冒冷汗", "--json"]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert set(reply) == {"urgency", "departments", "answer", "citations", "abstained", "red_flags", "follow_up"}
    assert reply["urgency"]["level"] == "I" and reply["urgency"]["reasons"]
    assert set(reply["departments"][0]) == {"id", "name_zh", "name_en", "score", "why"}
    assert set(reply["citations"][0]) == {"key", "title", "section", "page", "source_id", "language", "quote"}
    assert reply["abstained"] is False and reply["red_flags"] and reply["follow_up"] is None


def test_an_everyday_question_may_come_with_a_closed_one(home, capsys):
    assert main(["ask", "膝盖疼，上下楼不舒服", "--json"]) == 0
    follow_up = json.loads(capsys.readouterr().out)["follow_up"]
    assert follow_up is None or set(follow_up) == {"question", "options", "why"}


def test_ask_reads_well_in_a_terminal(home, capsys):
    assert main(["ask", "I have a sore throat and a cough"]) == 0
    out = capsys.readouterr().out
    assert "Departments" in out and "not a diagnosis" in out


@pytest.mark.parametrize("question", ["", "  ", "痛" * 4001])
def test_a_question_that_is_none_is_one_line_and_exit_2(home, question, capsys):
    assert main(["ask", question]) == 2
    told = capsys.readouterr()
    assert not told.out and len(told.err.strip().splitlines()) == 1


def test_ask_builds_a_missing_index_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path / "new"))
    assert main(["ask", "头痛", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["departments"]
    assert (tmp_path / "new" / "index" / "CURRENT").is_file()


def test_rebuild_reports_what_went_in_and_what_was_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path / "home"))
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "hospital.md").write_text("# 胸痛中心\n胸痛中心在门诊楼一层，全天开放。", encoding="utf-8")
    (sources / "broken.pdf").write_bytes(b"nothing")
    assert main(["index", "rebuild", "--source", str(sources), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["source_id"] for row in report["quarantined"]] == ["broken.pdf"]
    assert main(["index", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source_dirs"] == [str(sources)]
    assert main(["ask", "胸痛中心在哪里", "--json"]) == 0
    assert "hospital.md" in {row["source_id"] for row in json.loads(capsys.readouterr().out)["citations"]}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["index", "rebuild", "--source", "/no/such/folder"], "no such folder"),
        (["train", "/no/such/config.toml"], "cannot be read"),
        (["nonsense"], "No such command"),
        (["ask"], None),
        (["ask", "--nonsense", "x"], "No such option"),
    ],
)
def test_bad_usage_is_told_without_a_traceback(home, arguments, problem, capsys):
    assert main(arguments) != 0
    told = capsys.readouterr()
    assert "Traceback" not in told.err + told.out
    assert problem is None or problem in told.err


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"daozhen {verb}" in capsys.readouterr().out


def test_a_broken_setting_is_one_line_that_names_file_and_key(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text("passages = 3\n")
    assert main(["ask", "头痛"]) == 1
    assert "config.toml: unknown setting 'passages'" in capsys.readouterr().err


def test_the_command_runs_as_a_module():
    out = subprocess.run([sys.executable, "-m", "ui.cli", "--help"], capture_output=True, text=True, check=True)
    assert "daozhen chat" in out.stdout
