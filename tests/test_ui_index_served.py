"""`daozhen index copy`, and what status and rollback say and do where config.toml names Milvus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("langchain_milvus")

from rag.embedder import load_embedder
from rag.vector_store import PassageVectorStore
from ui.cli import main

CONFIG = 'store = "milvus"\nmilvus_uri = "store.db"\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder with two small generations, and Milvus Lite for its store."""
    from milvus_lite.server_manager import server_manager_instance

    store = PassageVectorStore(tmp_path / "index", load_embedder())
    store.add_texts(["发热超过三天要就医"], ids=["fever"])
    store.add_texts(["高血压要少吃盐"], ids=["salt"])
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    yield tmp_path
    server_manager_instance.release_server(str(tmp_path / "store.db"))


def status(capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert main(["index", "status", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_copy_then_status_then_rollback(home, capsys):
    assert main(["index", "copy", "--to", "milvus", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["passages"], report["copied"], report["dropped"]) == (2, 2, [])
    told = status(capsys)
    assert told["serves"] == "milvus" and told["served_generation"] == told["generation"] == report["generation"]
    assert main(["index", "rollback"]) == 0
    out, err = capsys.readouterr()
    assert "1 passages in Milvus collection daozhen_" in err and "Milvus" not in out
    told = status(capsys)
    assert told["served_generation"] == told["generation"] != report["generation"] and len(told["served_kept"]) == 2


def test_before_the_first_copy_this_machine_serves_and_status_says_why(home, capsys):
    told = status(capsys)
    assert told["serves"] == "local" and "run `daozhen index copy --to milvus`" in told["why_local"]


def test_while_the_settings_still_say_local_a_copy_says_what_is_left_to_do(home, capsys):
    (home / "config.toml").write_text('milvus_uri = "store.db"\n', encoding="utf-8")
    assert main(["index", "copy", "--to", "milvus"]) == 0
    assert 'set store = "milvus"' in capsys.readouterr().out
    assert status(capsys)["store"] == "local"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('store = "milvus"\nmilvus_uri = "http://127.0.0.1:9"\n', "cannot be reached; start it, or mend milvus_uri"),
        ('store = "milvus"\n', "milvus_uri is missing"),
    ],
)
def test_what_cannot_serve_is_one_line_with_the_remedy(config, message, home, capsys):
    (home / "config.toml").write_text(config, encoding="utf-8")
    assert main(["index", "rollback"]) == 1
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert message in json.dumps(status(capsys), ensure_ascii=False)


def test_an_unknown_store_is_told_before_anything_is_done(home, capsys):
    (home / "config.toml").write_text('store = "faiss"', encoding="utf-8")
    before = (home / "index" / "CURRENT").read_text()
    assert main(["index", "rollback"]) == 1 and (home / "index" / "CURRENT").read_text() == before
    assert "config.toml: store is 'faiss'; known: local, milvus" in capsys.readouterr().err


def test_copy_needs_a_place_it_knows(home, capsys):
    assert main(["index", "copy"]) == 2 and main(["index", "copy", "--to", "elsewhere"]) == 2
