"""`daozhen index`: what each verb prints, and that it does it."""

from __future__ import annotations

import json

import pytest

from rag.config import load_settings
from rag.generations import current_generation
from ui.cli import main


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def guides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guides")
    (folder / "desk.md").write_text("# 挂号处\n挂号处在门诊楼一层。", encoding="utf-8")
    (folder / "broken.pdf").write_bytes(b"nothing")
    return folder


def ran(capsys, *arguments, code=0):
    assert main(["index", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_the_verbs_in_the_order_a_hospital_uses_them(home, guides, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(home))
    assert json.loads(ran(capsys, "rebuild", "--source", guides, "--json").out)["read"] == 2
    first = current_generation(load_settings().index_dir)

    (guides / "parking.txt").write_text("停车场在北门。", encoding="utf-8")
    plan = json.loads(ran(capsys, "rebuild", "--dry-run", "--json").out)
    assert (
        plan["add"] == ["parking.txt"] and plan["expected_seconds"] < 60 and current_generation(home / "index") == first
    )
    assert "add     parking.txt" in ran(capsys, "rebuild", "--dry-run").out

    assert "1 files read" in ran(capsys, "rebuild").out
    assert "nothing has changed" in ran(capsys, "rebuild").out
    status = json.loads(ran(capsys, "status", "--json").out)
    assert status["source_dirs"] == [str(guides)] and status["search"] == "exact" and status["quarantined"] == 1
    assert json.loads(ran(capsys, "quarantine", "--json").out)[0]["source_id"] == "broken.pdf"
    assert "left out  broken.pdf" in ran(capsys, "quarantine").out
    assert ran(capsys, "verify").out.count("whole") == 2

    assert json.loads(ran(capsys, "rollback", "--json").out)["generation"] == first.name
    assert "no intact generation before" in ran(capsys, "rollback", code=1).err
    ran(capsys, "rebuild")
    assert "parking.txt" in ran(capsys, "remove", "elsewhere.txt", code=2).err
    assert json.loads(ran(capsys, "remove", guides / "parking.txt", "--json").out)["deleted"] == 1
    assert json.loads(ran(capsys, "status", "--json").out)["removed"] == ["parking.txt"]
    assert json.loads(ran(capsys, "rebuild", "--restore", "parking.txt", "--json").out)["read"] == 1

    (current_generation(home / "index") / "facets.npz").write_bytes(b"rotten")
    told = ran(capsys, "verify", code=1)
    assert "facets.npz" in told.out and "daozhen index rebuild" in told.err
    assert json.loads(ran(capsys, "verify", "--json", code=1).out)
    ran(capsys, "rebuild")
    assert current_generation(home / "index").joinpath("facets.npz").stat().st_size > 100
    assert json.loads(ran(capsys, "remove", guides, "--json").out)["deleted"] == 3


@pytest.mark.parametrize("verb", ["status", "verify", "rollback", "quarantine"])
def test_without_an_index_every_verb_names_the_command_that_builds_one(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    assert "daozhen index rebuild" in ran(capsys, verb, code=1).err
