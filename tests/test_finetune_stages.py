"""The stages on a tiny model: they learn, go on where they stopped, and end in one line whatever happens to them."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from finetune.stage_config import (
    AdapterSettings,
    BaseSettings,
    PreferenceSettings,
    StageConfig,
    TrainingSettings,
    VerifiableSettings,
)
from knowledge.errors import TrainingFailed, TrainingStopped

QUICK = TrainingSettings(
    max_steps=4, batch_size=2, accumulate=1, learning_rate=5e-3, max_tokens=128, log_every=1, save_every=2,
    gradient_checkpointing=False, warmup_share=0.0, scheduler="constant",
)  # fmt: skip
ANSWERS = ["多休息。", "多喝水，测体温。", "去看医生。", "不用怕。"]
FILES = {
    "text.jsonl": [{"text": "发烧要多休息，多喝水。" * 3}] * 4,
    "dialogues.jsonl": [{"prompt": f"发烧{number}天", "completion": ANSWERS[number % 4]} for number in range(8)],
    "pairs.jsonl": [{"prompt": f"发烧{number}天", "chosen": "多休息。", "rejected": "不用管。"} for number in range(8)],
    "thumbs.jsonl": [{"prompt": f"发烧{n}天", "completion": ANSWERS[n % 2], "label": n % 2 == 0} for n in range(8)],
    "asked.jsonl": [{"prompt": f"发烧{number}天", "answers": ["A"]} for number in range(8)],
}
DATA_OF = {"pt": "text", "sft": "dialogues", "rm": "pairs", "dpo": "pairs", "kto": "thumbs", "grpo": "asked"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, rows in FILES.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(tiny_base: Path, data: Path) -> Any:
    """run(stage, out, …): trains and returns the figures."""
    from finetune.training import train_stage

    def trained(
        stage: str,
        out: Path,
        *,
        training: TrainingSettings = QUICK,
        resume: bool = False,
        step: Any = None,
        **fields: Any,
    ) -> dict:
        base = BaseSettings(model=fields.pop("model", str(tiny_base)))
        files = fields.pop("files", (f"{DATA_OF[stage]}.jsonl",))
        config = StageConfig(
            stage=stage, name=stage, data=files, base=base, training=training,
            adapter=fields.pop("adapter", AdapterSettings(rank=8)), **fields,
        )  # fmt: skip
        config.check("test.toml")
        return train_stage(config, data, out, resume=resume, step=step or (lambda *_: None))

    return trained


@pytest.fixture(scope="module")
def sft(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "sft"
    run("sft", out)
    return out


def weights(run_dir: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(str(run_dir / "adapter" / "adapter_model.safetensors"))


def same(left: dict[str, Any], right: dict[str, Any]) -> float:
    return max(float((left[name] - right[name]).abs().max()) for name in left)


def test_a_run_folder_tells_how_it_came_about_and_a_patients_words_are_not_in_it(sft: Path) -> None:
    recipe = json.loads((sft / "adapter" / "recipe.json").read_text(encoding="utf-8"))
    assert recipe["stage"] == "sft" and recipe["base"]["four_bit"] and recipe["base"]["fingerprint"]
    assert set(recipe["data"]) == {"dialogues.jsonl"} and recipe["versions"]["torch"]
    assert json.loads((sft / "config.json").read_text(encoding="utf-8"))["training"]["max_steps"] == 4
    metrics = [json.loads(line) for line in (sft / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [row["loss"] for row in metrics if "loss" in row]
    assert len(losses) == 4 and losses[-1] < losses[0]
    assert (sft / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "chat_template.jinja" in {path.name for path in (sft / "adapter").iterdir()}
    said = [
        path
        for path in sft.rglob("*")
        if path.suffix in (".json", ".jsonl", ".md") and "发烧" in path.read_text(encoding="utf-8")
    ]
    assert [path for path in said if "tokenizer" not in path.name] == []


@pytest.mark.parametrize("stage", ["pt", "rm", "dpo", "kto", "grpo"])
def test_every_stage_trains_in_four_bit_and_leaves_an_adapter(stage: str, run: Any, sft: Path, tmp_path: Path) -> None:
    short = replace(QUICK, max_steps=2, batch_size=4)
    fields: dict[str, Any] = (
        {"grpo": VerifiableSettings(rewards=("format",), answers=2, max_new_tokens=6)} if stage == "grpo" else {}
    )
    if stage in ("dpo", "grpo"):
        fields["init_adapter"] = str(sft / "adapter")
    figures = run(stage, tmp_path / "run", training=short, **fields)
    learnt = weights(tmp_path / "run")
    assert figures["steps"] == 2 and any(value.abs().max() > 0 for name, value in learnt.items() if "lora_B" in name)
    if stage == "rm":
        assert [name for name in learnt if ".score." in name]
    if stage == "dpo":
        assert same(learnt, weights(sft)) > 0
        assert {path.name for path in (tmp_path / "run" / "adapter").iterdir()}.isdisjoint({"ref"})


@pytest.mark.parametrize(
    "adapter",
    [
        AdapterSettings(method="lora", rank=4),
        AdapterSettings(rank=4, rslora=True, targets=("q_proj", "v_proj")),
        AdapterSettings(rank=4, dora=True),
        AdapterSettings(method="prefix", prefix_tokens=4),
        AdapterSettings(method="full"),
    ],
    ids=["lora", "rslora", "dora", "prefix", "full"],
)
def test_every_way_to_adapt_a_base_trains(adapter: AdapterSettings, run: Any, tmp_path: Path) -> None:
    figures = run("sft", tmp_path / "run", training=replace(QUICK, max_steps=2), adapter=adapter)
    folder = Path(figures["result"])
    assert folder.name == ("model" if adapter.method == "full" else "adapter")
    assert (folder / "recipe.json").is_file() and list(folder.glob("*.safetensors"))


def test_a_resumed_run_is_the_uninterrupted_one(run: Any, sft: Path, tmp_path: Path) -> None:
    def interrupted(_what: str, done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(TrainingStopped, match=r"checkpoint-2 is whole: go on with --resume"):
        run("sft", tmp_path / "run", step=interrupted)
    half_written = tmp_path / "run" / "checkpoints" / "checkpoint-3"
    half_written.mkdir()
    (half_written / "adapter_model.safetensors").write_bytes(b"half")
    run("sft", tmp_path / "run", resume=True)
    assert same(weights(tmp_path / "run"), weights(sft)) == 0
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps) and not half_written.exists()


def test_a_full_disk_is_told_and_the_last_checkpoint_stays_good(run: Any, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fills(_what: str, done: int, _total: int) -> None:
        if done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

    try:
        with pytest.raises(TrainingFailed, match="disk may be full") as failure:
            run("sft", tmp_path / "run", step=fills)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "checkpoint-2 is whole" in str(failure.value) and "\n" not in str(failure.value)
    run("sft", tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "adapter" / "recipe.json").is_file()


def test_packed_rows_never_see_each_other(tiny_base: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    model = AutoModelForCausalLM.from_pretrained(str(tiny_base), dtype=torch.float32)
    rows = [
        torch.randint(3, 270, (length,), generator=torch.Generator().manual_seed(length)).tolist()
        for length in (9, 17, 5)
    ]
    labels = [[-100] * 3 + row[3:] for row in rows]
    padded = DataCollatorForLanguageModeling(0)(
        [{"input_ids": row, "labels": label} for row, label in zip(rows, labels, strict=True)]
    )
    one = {"input_ids": [*chain(*rows)], "labels": [*chain(*labels)], "seq_lengths": [len(row) for row in rows]}
    packed = DataCollatorForLanguageModeling(0, padding_free=True)([one])
    with torch.no_grad():
        kept = {name: value for name, value in packed.items() if name in ("input_ids", "labels", "position_ids")}
        assert abs(float(model(**padded, use_cache=False).loss) - float(model(**kept, use_cache=False).loss)) < 1e-5


def test_packed_and_padded_rows_train_alike(run: Any, tmp_path: Path) -> None:
    """All rows in one step, so that both see the same: the losses of the first step are the same."""
    losses = {}
    for packing in (False, True):
        training = replace(
            QUICK, max_steps=1, batch_size=1 if packing else 8, max_tokens=512 if packing else 128, packing=packing
        )
        figures = run("sft", tmp_path / str(packing), training=training)
        losses[packing] = figures["loss"]
    assert losses[True] == pytest.approx(losses[False], abs=1e-3)


def test_early_stopping_keeps_the_best(run: Any, tmp_path: Path) -> None:
    training = replace(QUICK, max_steps=40, learning_rate=0.05, evaluate_every=2, evaluation_share=0.25, patience=2)
    figures = run("sft", tmp_path / "run", training=training)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert figures["steps"] < 40 and len([row for row in rows if "eval_loss" in row]) >= 3


def test_a_batch_size_of_nought_takes_the_largest_that_fits(run: Any, tmp_path: Path) -> None:
    from finetune.batch_probe import largest_batch

    assert largest_batch(lambda size: size <= 20, 256) == 16 and largest_batch(lambda size: True, 8) == 8
    with pytest.raises(TrainingFailed, match="out of memory"):
        largest_batch(lambda size: False, 8)
    run("sft", tmp_path / "run", training=replace(QUICK, max_steps=1, batch_size=0))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["training"]["batch_size"] == 8


def test_a_dry_run_counts_tokens_and_steps_as_the_run_has_them(tiny_base: Path, data: Path, sft: Path) -> None:
    from finetune.plan import plan

    training = replace(QUICK, max_steps=0, epochs=2.0)
    planned = plan(
        StageConfig("sft", "sft", ("dialogues.jsonl",), base=BaseSettings(model=str(tiny_base)), training=training),
        data,
    )
    recipe = json.loads((sft / "adapter" / "recipe.json").read_text(encoding="utf-8"))
    assert planned["steps"] == 8 and planned["rows"] == 8
    assert planned["tokens"] == pytest.approx(recipe["tokens"], rel=0.1)  # four steps of two rows are one epoch
    assert 0 < planned["weights_gib"] < planned["memory_gib"] and planned["seconds"] > 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "/nowhere/base"}, "no such folder"),
        ({"files": ("none.jsonl",)}, r"none\.jsonl"),
        ({"files": ("empty.jsonl",)}, "found none"),
        ({"init_adapter": "/nowhere/adapter"}, "no adapter"),
        ({"training": replace(QUICK, max_tokens=8)}, "max_tokens"),
        ({"adapter": AdapterSettings(targets=("nothing",))}, "does not fit"),
    ],
    ids=["missing base", "missing data", "empty data", "missing adapter", "nothing fits", "unknown module"],
)
def test_a_run_that_cannot_start_says_so_in_one_line(
    fields: dict, said: str, run: Any, data: Path, tmp_path: Path
) -> None:
    (data / "empty.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(TrainingFailed, match=said) as failure:
        run("sft", tmp_path / "run", **fields)
    assert "\n" not in str(failure.value)


def test_an_adapter_of_another_base_is_refused(run: Any, sft: Path, tmp_path: Path) -> None:
    from tests.tiny_chat_model import build_tiny_chat_model

    other = build_tiny_chat_model(tmp_path / "other", seed=7)
    with pytest.raises(TrainingFailed, match="another base"):
        run("sft", tmp_path / "run", model=str(other), init_adapter=str(sft / "adapter"))
    shutil.copytree(sft / "adapter", tmp_path / "unsigned")
    (tmp_path / "unsigned" / "recipe.json").unlink()
    larger = build_tiny_chat_model(tmp_path / "larger", hidden=128)
    with pytest.raises(TrainingFailed, match="another base"):
        run("sft", tmp_path / "run", model=str(larger), init_adapter=str(tmp_path / "unsigned"))


def test_a_base_that_is_damaged_or_no_model_is_told_in_one_line(run: Any, tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(tiny_base, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"nothing")
    for name in ("empty", "damaged"):
        with pytest.raises(TrainingFailed, match=name) as failure:
            run("sft", tmp_path / "run", model=str(tmp_path / name))
        assert "\n" not in str(failure.value)


def test_a_run_is_never_overwritten_and_goes_on_only_as_itself(run: Any, sft: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="holds a run already"):
        run("sft", sft)
    with pytest.raises(TrainingFailed, match="config has changed"):
        run("sft", sft, resume=True, seed=5)
    with pytest.raises(TrainingFailed, match="no run to resume"):
        run("sft", tmp_path / "none", resume=True)


def test_losses_can_be_added_and_the_chosen_kept_likely(run: Any, tmp_path: Path) -> None:
    settings = PreferenceSettings(losses=("sigmoid", "sft"), weights=(1.0, 0.5))
    assert run("dpo", tmp_path / "run", training=replace(QUICK, max_steps=1), dpo=settings)["steps"] == 1


def test_the_cpu_fault_of_four_bit_weights_is_guarded_against(tiny_base: Path) -> None:
    """An eval-mode forward must not change 4-bit weights: a later gradient and merge rest on them."""
    import torch

    from finetune.base_model import load_base

    model = load_base(BaseSettings(model=str(tiny_base), dtype="bfloat16"), four_bit=True)
    layer = model.model.layers[0].mlp.down_proj
    before = layer.weight.detach().clone()
    model.eval()
    with torch.no_grad():
        model(input_ids=torch.tensor([[5, 6, 7]]))
    assert torch.equal(layer.weight, before) and layer.weight.quant_type == "nf4" and layer.weight.quant_state.nested
    assert type(model.lm_head).__name__ == "Linear"
