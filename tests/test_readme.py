"""What the README shows works as it is shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from finetune.record_writer import write_records
from finetune.records import dialogue
from ui.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SERVERS = (
    "daozhen chat",
    "daozhen serve",
    "daozhen train",
    "daozhen talk",
    "daozhen predict",
    "daozhen eval model",
    "daozhen export",
)  # the browser, API, training and talk tests run these
COMMANDS = [
    line.split("   ")[0].strip()
    for kind, body in BLOCKS
    if not kind
    for line in body.splitlines()
    if line.startswith("daozhen ")
]


@pytest.mark.parametrize("command", [command for command in COMMANDS if not command.startswith(SERVERS)])
def test_a_command_of_the_readme_runs(command, built_home, tmp_path, monkeypatch, capsys):
    guides = tmp_path / "hospital-guides"
    guides.mkdir()
    (guides / "leaflet.txt").write_text("门诊楼一层是挂号处。", encoding="utf-8")
    datasets = tmp_path / "datasets"
    datasets.mkdir()
    (datasets / "consultations.csv").write_text("question,answer\n脚后跟疼怎么办？,少走远路，去骨科看看。\n", "utf-8")
    for name in ("records.jsonl", "clean.jsonl"):
        write_records([dialogue("脚后跟疼怎么办？", "少走远路，去骨科看看。")], datasets / name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path / "home") if "rebuild" in command else str(built_home))
    assert main([part.replace("~", str(tmp_path)) for part in shlex.split(command)[1:]]) == 0
    assert capsys.readouterr().out.strip()


def test_there_are_commands_to_run():
    assert len(COMMANDS) >= 5 and "make chat" in README and "make test" in README


@pytest.mark.parametrize("code", [body for kind, body in BLOCKS if kind == "python"])
def test_the_python_of_the_readme_runs(code, built_home, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(built_home))
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert capsys.readouterr().out.strip() and names["documents"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / path).exists(), path
