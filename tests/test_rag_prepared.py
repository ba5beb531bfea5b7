"""Rules made ready beside the index are the rules that are shipped, or are not used."""

from __future__ import annotations

import json

import pytest

import knowledge.records
import rag.phrases
from knowledge.records import KNOWLEDGE_DIR, read_yaml
from rag.phrases import parse_phrases
from rag.prepared import PREPARED, use_prepared, write_prepared


@pytest.fixture
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(knowledge.records, "_parsed", {})
    monkeypatch.setattr(rag.phrases, "_remembered", {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("generation")
    write_prepared(made)
    return made


def test_what_was_prepared_is_what_parsing_gives(folder, nothing_remembered):
    files = sorted(KNOWLEDGE_DIR.rglob("*.yaml"))
    read = {path: read_yaml(path) for path in files}
    lines = [*read[KNOWLEDGE_DIR / "signs" / "common.yaml"][0]["zh"], "(没|不)..发烧"]
    parsed = parse_phrases(lines)
    assert use_prepared(folder)
    assert {path: read_yaml(path) for path in files} == read
    assert parse_phrases(lines) == parsed


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"fingerprint": "other", "parsed": {}, "phrases": {}}'])
def test_anything_else_is_left_alone(content, tmp_path, nothing_remembered):
    (tmp_path / PREPARED).write_text(content, encoding="utf-8")
    assert not use_prepared(tmp_path)
    assert not knowledge.records._parsed and not rag.phrases._remembered


def test_rules_of_other_files_are_not_used(folder, tmp_path, nothing_remembered):
    values = json.loads((folder / PREPARED).read_text(encoding="utf-8"))
    (tmp_path / PREPARED).write_text(json.dumps({**values, "fingerprint": "0" * 64}), encoding="utf-8")
    assert not use_prepared(tmp_path)
