"""A merged model says what base and adapter say, or is not written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.stage_config import AdapterSettings, BaseSettings, StageConfig, TrainingSettings
from knowledge.errors import TrainingFailed
from ui.cli import main

QUICK = TrainingSettings(max_steps=4, batch_size=4, accumulate=1, learning_rate=2e-2, max_tokens=96, warmup_share=0.0)


def sft_on(base: Path) -> StageConfig:
    return StageConfig(
        "sft",
        "sft",
        ("rows.jsonl",),
        base=BaseSettings(model=str(base)),
        training=QUICK,
        adapter=AdapterSettings(rank=8),
    )


@pytest.fixture(scope="module")
def run_dir(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from finetune.training import train_stage

    folder = tmp_path_factory.mktemp("merge")
    rows = [{"prompt": f"发烧{number}天", "completion": "多休息，多喝水。"} for number in range(4)]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    train_stage(sft_on(tiny_base), folder, folder / "run")
    return folder / "run"


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([[5, 9, 40, 77, 12]])).logits[0]


def test_the_merged_model_gives_the_adapters_logits_and_not_the_bases(
    run_dir: Path, tiny_base: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from finetune.base_model import load_base

    assert main(["export", str(run_dir), str(tmp_path / "merged")]) == 0
    merged = AutoModelForCausalLM.from_pretrained(str(tmp_path / "merged"), dtype=torch.float32).eval()
    base = BaseSettings(model=str(tiny_base), dtype="float32")
    trained = PeftModel.from_pretrained(load_base(base, four_bit=True), str(run_dir / "adapter")).eval()
    off = float((logits(merged) - logits(trained)).abs().max())
    changed = float((logits(merged) - logits(load_base(base, four_bit=True).eval())).abs().max())
    assert off < 1e-3 and changed > 100 * off
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "merged"))
    stop = merged.generation_config.eos_token_id
    assert tokenizer.chat_template and tokenizer.eos_token_id in (stop if isinstance(stop, list) else [stop])
    assert not [path for path in (tmp_path / "merged").iterdir() if path.suffix in (".bin", ".pt")]


def test_the_four_bit_form_loads_and_is_smaller(run_dir: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    assert main(["export", str(run_dir), str(tmp_path / "nf4"), "--format", "nf4"]) == 0
    config = json.loads((tmp_path / "nf4" / "config.json").read_text(encoding="utf-8"))
    assert config["quantization_config"]["bnb_4bit_quant_type"] == "nf4"
    assert torch.isfinite(logits(AutoModelForCausalLM.from_pretrained(str(tmp_path / "nf4")).eval())).all()


def test_an_adapter_trained_on_a_folder_in_four_bit_is_exported_too(
    run_dir: Path, tiny_base: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from finetune.training import train_stage

    assert main(["export", str(tiny_base), str(tmp_path / "base"), "--format", "nf4"]) == 0
    train_stage(sft_on(tmp_path / "base"), run_dir.parent, tmp_path / "run")
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "out"), "--format", "nf4"]) == 0
    assert torch.isfinite(logits(AutoModelForCausalLM.from_pretrained(str(tmp_path / "out")).eval())).all()


def test_an_adapter_that_changes_nothing_is_not_merged(run_dir: Path, tmp_path: Path, capsys: Any) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(run_dir / "adapter", tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file({name: value * ("lora_A" in name) for name, value in load_file(str(path)).items()}, str(path))
    assert main(["export", str(tmp_path / "adapter"), str(tmp_path / "out")]) == 1
    assert "changes no weight" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_an_adapter_of_another_base_is_not_merged(run_dir: Path, tmp_path: Path) -> None:
    from finetune.merging import merge_adapter
    from tests.tiny_chat_model import build_tiny_chat_model

    other = build_tiny_chat_model(tmp_path / "other", seed=3)
    with pytest.raises(TrainingFailed, match="another base"):
        merge_adapter(run_dir / "adapter", tmp_path / "out", base=str(other))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "out"], "no adapter"),
        (["RUN", "FULL"], "not empty"),
        (["RUN", "out", "--format", "gguf"], "llama.cpp"),
        (["RUN", "out", "--base", "/nowhere"], "no such folder"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(
    arguments: list[str], said: str, run_dir: Path, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("b")
    places = {"RUN": str(run_dir), "out": str(tmp_path / "out"), "FULL": str(tmp_path / "full")}
    assert main(["export", *(places.get(one, one) for one in arguments)]) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert said in error.splitlines()[-1] and "Traceback" not in error


def test_gguf_is_written_by_the_converter_that_is_named(run_dir: Path, tmp_path: Path, capsys: Any) -> None:
    script = tmp_path / "convert_hf_to_gguf.py"
    script.write_text(
        "import sys, pathlib\nassert (pathlib.Path(sys.argv[1]) / 'model.safetensors').is_file()\n"
        "pathlib.Path(sys.argv[3]).write_bytes(b'GGUF')\n"
    )
    out = tmp_path / "tuned.gguf"
    assert main(["export", str(run_dir), str(out), "--format", "gguf", "--converter", str(script)]) == 0
    assert out.read_bytes() == b"GGUF" and {path.name for path in tmp_path.iterdir()} == {script.name, out.name}
    script.write_text("raise SystemExit('unknown architecture')")
    assert main(["export", str(run_dir), str(tmp_path / "b.gguf"), "--format", "gguf", "--converter", str(script)]) == 1
    assert "unknown architecture" in capsys.readouterr().err


def test_dialogues_are_exported_as_providers_take_them(tmp_path: Path) -> None:
    row = {
        "kind": "dialogue",
        "system": "s",
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert (
        main(["export", str(tmp_path / "rows.jsonl"), str(tmp_path / "out.jsonl"), "--format", "openai-messages"]) == 0
    )
    (line,) = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [turn["role"] for turn in json.loads(line)["messages"]] == ["system", "user", "assistant"]
