"""`daozhen data` and `daozhen models`, as their user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.data_folder import state_of
from finetune.dataset_entry import InvalidRegistry
from finetune.model_catalogue import load_models
from finetune.record_writer import write_records
from finetune.records import dialogue
from finetune.registry import load_registry
from ui.cli import main

SHAPES = Path(__file__).parent / "data" / "finetune"
ADVICE = "先少走远路，换一双软底的鞋；两周没有好转就去骨科看看。"


def said(capsys, *arguments: str | Path, exit_code: int = 0) -> str:
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as left:
        code = left.code
    captured = capsys.readouterr()
    assert code == exit_code, captured.err
    return captured.err if exit_code in (1, 2) and not captured.out else captured.out


def test_the_catalogues_are_whole():
    registry, models = load_registry(), load_models()
    assert len(registry) >= 60 and {"pretraining", "supervised", "reward", "exam"} == {
        entry.stage for entry in registry.values()
    }
    assert sum(model.kind == "medical" for model in models) >= 22 and sum(model.kind == "base" for model in models) >= 8
    assert all(entry.where != "not stated" or entry.note for entry in registry.values())


def test_lists_are_tables_and_json(capsys):
    assert "FreedomIntelligence/HuatuoGPT-sft-data-v1" in said(capsys, "data", "list")
    rows = json.loads(said(capsys, "data", "list", "--stage", "reward", "--json"))
    assert {row["stage"] for row in rows} == {"reward"} and any(row["hub"] == "Anthropic/hh-rlhf" for row in rows)
    assert len(json.loads(said(capsys, "models", "list", "--kind", "base", "--json"))) == sum(
        model.kind == "base" for model in load_models()
    )
    assert "HuatuoGPT" in said(capsys, "models", "list") and "patient_guidance" in said(capsys, "data", "readers")


def test_doctor_says_what_is_missing_and_where_it_is_to_be_had(capsys, tmp_path):
    shown = json.loads(
        said(capsys, "data", "doctor", "--data", SHAPES, "--registry", SHAPES / "dataset_info.json", "--json")
    )
    states = {row["name"]: row for row in shown}
    assert (
        states["heel"]["ready"]
        and not states["on_hub"]["ready"]
        and "huggingface.co/datasets/example/heel" in states["on_hub"]["problem"]
    )
    assert "SHA-1 differs" in states["summed"]["problem"]
    write_records([dialogue("问", "答")], tmp_path / "toyhom" / "records.jsonl")
    assert state_of(load_registry()["toyhom"], tmp_path).is_ready
    assert "missing" in said(capsys, "data", "doctor", "meddg", "--data", tmp_path, exit_code=1)
    assert "needs the names" in said(capsys, "data", "doctor", "--download", exit_code=2)
    assert "no data set nonsense" in said(capsys, "data", "doctor", "nonsense", exit_code=2)


def test_from_raw_files_to_a_training_file(capsys, tmp_path):
    raw = [SHAPES / name for name in ("toyhom_gbk.csv", "huatuo_sft.jsonl", "alpaca_history.json", "meddialog_raw.txt")]
    records, clean, train = tmp_path / "records.jsonl.gz", tmp_path / "clean.jsonl", tmp_path / "train.jsonl"
    assert "meddialog_raw.txt:19: expected" in said(capsys, "data", "convert", *raw, "--out", records, exit_code=1)
    assert not records.exists()
    told = said(
        capsys,
        "data",
        "convert",
        *raw,
        "--out",
        records,
        "--licence",
        "MIT",
        "--skip-bad",
        tmp_path / "bad.txt",
        "--json",
    )
    assert json.loads(told) == {"out": str(records), "records": 6, "skipped": 1}
    assert "meddialog_raw.txt:19" in (tmp_path / "bad.txt").read_text(encoding="utf-8")
    assert json.loads(said(capsys, "data", "stats", records, "--json"))["licences"] == {"MIT": 6}
    report = json.loads(
        said(capsys, "data", "clean", records, "--out", clean, "--report", tmp_path / "removed.txt", "--json")
    )
    assert report["read"] == 6 == report["kept"] + sum(report["removed"].values())
    (tmp_path / "m.toml").write_text(
        'name = "m"\nstage = "sft"\n[[source]]\nname = "all"\nfile = "clean.jsonl"\n', encoding="utf-8"
    )
    mixed = json.loads(said(capsys, "data", "mix", tmp_path / "m.toml", "--data", tmp_path, "--out", train, "--json"))
    assert mixed["records"] == report["kept"] and mixed["sources"][0]["licences"] == {"MIT": report["kept"]}
    assert "⟦" in said(capsys, "data", "preview", tmp_path / "m.toml", "--data", tmp_path, "-n", "1")
    parts = json.loads(said(capsys, "data", "split", train, "--out", tmp_path / "parts", "--json"))
    assert parts["train"] + parts["validation"] + parts["test"] == report["kept"]


def test_an_entry_of_a_registry_is_read_as_it_says(capsys, tmp_path):
    out = tmp_path / "heel.jsonl"
    said(
        capsys,
        "data",
        "convert",
        SHAPES / "caregpt_text_answer.json",
        "--registry",
        SHAPES / "dataset_info.json",
        "--dataset",
        "heel",
        "--out",
        out,
    )
    row = json.loads(out.read_text(encoding="utf-8"))
    assert row["source"] == "heel" and row["messages"][1]["content"] == ADVICE


def test_labels_become_pairs_and_a_teacher_must_be_named(capsys, tmp_path):
    out = tmp_path / "pairs.jsonl"
    said(
        capsys,
        "data",
        "synthesise",
        "drug_labels",
        "--from",
        SHAPES / "drug_labels.json",
        "--out",
        out,
        "--licence",
        "MIT",
    )
    assert "10ml" not in out.read_text(encoding="utf-8") and '"licence":"MIT"' in out.read_text(encoding="utf-8")
    assert "needs a teacher" in said(capsys, "data", "synthesise", "rewrite", "--from", out, "--out", out, exit_code=2)
    assert "no task" in said(capsys, "data", "synthesise", "nonsense", "--from", out, "--out", out, exit_code=2)


def test_records_are_grounded_in_the_index(capsys, tmp_path, built_home, monkeypatch):
    monkeypatch.setenv("DAOZHEN_HOME", str(built_home))
    out = tmp_path / "g.jsonl"
    told = json.loads(said(capsys, "data", "ground", "--out", out, "--kind", "routing", "--at-most", "3", "--json"))
    assert told["routing"]["records"] == 3 and len(out.read_text(encoding="utf-8").splitlines()) == 3
    assert "share" in said(capsys, "data", "ground", "--out", out, "--altered-share", "1.5", exit_code=2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[dataset]]\nname = 'a'\nstage = 'x'\n", "stage 'x'"),
        ("[[dataset]]\nname = 'a'\nhubb = 'x'\n", "unknown field hubb"),
        ("[[dataset", "r.toml"),
    ],
)
def test_a_registry_that_says_something_else_is_told(tmp_path, text, says):
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidRegistry, match=says):
        load_registry(tmp_path / "r.toml")


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "stats", "nowhere.json"),
        ("data", "preview", "nowhere.toml"),
        ("data", "clean", "nowhere.json", "--out", "nowhere.jsonl"),
        ("data", "mix", "nowhere.toml", "--out", "nowhere.jsonl"),
        ("data", "list", "--registry", "nowhere.json"),
    ],
)
def test_a_missing_file_is_one_line_without_a_traceback(capsys, arguments):
    told = said(capsys, *arguments, exit_code=1)
    assert told.startswith("daozhen: nowhere") and len(told.splitlines()) == 1


def test_a_place_that_cannot_be_written_is_one_line(capsys, tmp_path):
    for command in ("convert", "clean"):
        told = said(capsys, "data", command, SHAPES / "messages.jsonl", "--out", tmp_path, exit_code=1)
        assert "cannot be written" in told and len(told.splitlines()) == 1
    (tmp_path / "file").touch()
    for command in ("convert", "clean", "split"):
        told = said(capsys, "data", command, SHAPES / "messages.jsonl", "--out", tmp_path / "file" / "x", exit_code=1)
        assert "cannot be written" in told and len(told.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_wrong_rows_of_an_evaluation_set_and_of_a_preview_are_told_with_what_helps_there(capsys, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"foo": 1}\n', encoding="utf-8")
    arguments = (
        "data",
        "clean",
        SHAPES / "messages.jsonl",
        "--out",
        tmp_path / "o.jsonl",
        "--against",
        tmp_path / "bad.jsonl",
    )
    assert "bad.jsonl:1" in said(capsys, *arguments, exit_code=1)
    report = json.loads(said(capsys, *arguments, "--skip-bad", tmp_path / "listed.txt", "--json"))
    assert report["kept"] == 1 and report["unreadable"] == 1
    assert "--skip-bad" not in said(capsys, "data", "preview", tmp_path / "bad.jsonl", exit_code=1)


def test_a_data_set_without_a_known_origin_is_told_so(capsys, tmp_path):
    info = tmp_path / "dataset_info.json"
    info.write_text('{"own": {"file_name": "own.json"}, "made": {"script_url": "made"}}', encoding="utf-8")
    told = said(capsys, "data", "doctor", "--registry", info, "--data", tmp_path)
    assert "put own.json there; its registry does not say where it is to be had" in told and "loading script" in told
    assert "the file own.json" in said(capsys, "data", "list", "--registry", info)
