"""`daozhen train`: config and data → a stage → a run folder."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from finetune.adapter import continued_adapter, new_adapter, read_recipe
from finetune.base_model import (
    Task,
    base_fingerprint,
    device_name,
    load_base,
    load_tokenizer,
    require_base,
    require_training_libraries,
)
from finetune.chat_template import ensure_training_template
from finetune.run_folder import RunFolder, versions
from finetune.stage_config import StageConfig
from finetune.stage_rows import StageRow, data_fingerprints, read_rows, require_files
from finetune.trainer_run import Job, Step, told_in_one_line
from knowledge.errors import TrainingFailed

STAGES = {name: f"finetune.stages.{name}" for name in ("pt", "sft", "rm", "dpo", "kto", "grpo", "ppo")}

ON_TRL = ("rm", "dpo", "kto", "grpo")


@dataclass(frozen=True)
class StageInputs:
    """What a stage is given: the tokenizer with its template, the rows, and how the result came about."""

    tokenizer: Any
    train: list[StageRow]
    evaluation: list[StageRow]
    recipe: dict[str, Any] = field(default_factory=dict)


def train_stage(
    config: StageConfig,
    data_dir: Path,
    out_dir: Path,
    *,
    resume: bool = False,
    step: Step = lambda *_: None,
    tell: Callable[[str], object] = lambda _line: None,
) -> dict[str, Any]:
    """Runs a stage; returns its last figures. What it leaves behind: finetune/run_folder.py.

    Raises TrainingFailed or TrainingStopped in one line; a run that has checkpoints can be gone on with by resume.
    """
    prepare_libraries(config)
    files = (*config.data, *config.evaluation)
    require_files(files, data_dir)
    inputs = stage_inputs(config, data_dir)
    run = RunFolder(out_dir)
    if not config.training.batch_size:
        config = probed(config, inputs, run, resume)
        tell(f"batches of {config.training.batch_size} rows, {config.training.accumulate} a step")
    job = Job(config, run, resume, step, tell)
    with told_in_one_line(job):
        prints = data_fingerprints(files, data_dir)
        if is_main_process():
            run.start(config, prints, resume=resume)
        inputs.recipe["data"] = prints
        stage = importlib.import_module(STAGES[config.stage])
        figures: dict[str, Any] = stage.train(job, inputs)
    result = run.adapter_dir if run.adapter_dir.exists() else run.model_dir
    return {"stage": config.stage, **figures, "rows": len(inputs.train), "result": str(result)}


def probed(config: StageConfig, inputs: StageInputs, run: RunFolder, resume: bool) -> StageConfig:
    """The config with the largest batch that fits; a resumed run keeps the one it was begun with."""
    if resume and (begun := run.begun_batch()):
        return replace(config, training=replace(config.training, batch_size=begun[0], accumulate=begun[1]))
    from finetune.batch_probe import with_probed_batch

    return with_probed_batch(config, inputs)


def is_main_process() -> bool:
    """Whether this is the process that writes, where `accelerate launch` started several."""
    return os.environ.get("RANK", "0") == "0"


def prepare_libraries(config: StageConfig) -> None:
    """Nothing is fetched and nothing told to anybody unless the config says so; must run before the libraries load."""
    if config.base.allow_download:
        os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "0"
    quiet_training_libraries(trl=config.stage in ON_TRL)
    require_base(config.base)


def quiet_training_libraries(*, trl: bool = True) -> None:
    """No bars, notices or warnings but our own. Raises MissingExtra where the finetune extra is not installed."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")  # one bar of our own, not one a library
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|trl|peft|torch")
    require_training_libraries(trl=trl)
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if trl:
        import datasets

        datasets.utils.logging.set_verbosity_error()
        datasets.disable_progress_bars()


def stage_inputs(config: StageConfig, data_dir: Path) -> StageInputs:
    """Tokenizer and rows. Raises TrainingFailed where a file, a row or the template is not what it must be."""
    tokenizer = load_tokenizer(config.base)
    if config.stage != "pt":
        ensure_training_template(tokenizer, config.base.chat_template, config.base.model)
    rows = list(read_rows(config.stage, config.data, data_dir))
    if not rows:
        raise TrainingFailed(f"{', '.join(config.data)}: no rows to train on")
    held_out = list(read_rows(config.stage, config.evaluation, data_dir))
    if not held_out and config.training.evaluation_share:
        rows, held_out = split(rows, config.training.evaluation_share, config.seed)
    return StageInputs(tokenizer, rows, held_out, recipe_of(config))


def split(rows: list[StageRow], share: float, seed: int) -> tuple[list[StageRow], list[StageRow]]:
    """Rows to train on and a random share held out, the same for the same seed."""
    import numpy as np

    count = min(max(1, round(share * len(rows))), len(rows) - 1)
    chosen = set(np.random.default_rng(seed).permutation(len(rows))[:count].tolist())
    return (
        [row for number, row in enumerate(rows) if number not in chosen],
        [row for number, row in enumerate(rows) if number in chosen],
    )


def recipe_of(config: StageConfig) -> dict[str, Any]:
    """How an adapter comes about; written beside its weights."""
    parent = read_recipe(Path(config.init_adapter)) if config.init_adapter else {}
    return {
        "stage": config.stage,
        "name": config.name,
        "base": {
            "model": config.base.model,
            "revision": config.base.revision,
            "fingerprint": base_fingerprint(config.base.model),
            "four_bit": config.adapter.four_bit,
        },
        "config": asdict(config),
        "versions": versions(),
        "begun_from": {key: parent[key] for key in ("stage", "name", "data", "begun_from") if key in parent},
    }


def trained_model(config: StageConfig, task: Task = "causal") -> Any:
    """The base with what is to be trained on it: a new adapter, one to go on with, or the base itself."""
    from transformers import set_seed

    from finetune.varlen_attention import attention_for

    set_seed(config.seed)
    base = load_base(
        config.base,
        four_bit=config.adapter.four_bit,
        task=task,
        attention=attention_for(config.base, config.training.packing),
    )
    if config.training.kernels == "auto":
        use_liger(base)
    model = base
    if config.init_adapter:
        model = continued_adapter(base, Path(config.init_adapter), task, config.base.model)
    elif config.adapter.method != "full":
        model = new_adapter(base, config.adapter, task)
    if takes_fused_step(config):
        from finetune.fused_lora import fuse_adapters

        fuse_adapters(model)
    if config.training.compile:
        compile_layers(base)
    return model


def takes_fused_step(config: StageConfig) -> bool:
    """Whether the adapters are computed as finetune/fused_lora.py does it."""
    kernels = config.training.kernels
    wanted = kernels == "fused" or (kernels == "auto" and device_name() == "cuda")
    return wanted and config.adapter.method in ("lora", "qlora")


def use_liger(base: Any) -> bool:
    """Liger's norm, rotation and gating in place of the base's, on a GPU where liger-kernel is installed and knows the base."""
    if device_name() != "cuda":
        return False
    try:
        from liger_kernel.transformers import _apply_liger_kernel_to_instance
    except ImportError:
        return False
    _apply_liger_kernel_to_instance(model=base, cross_entropy=False, fused_linear_cross_entropy=False)
    return True


def compile_layers(base: Any) -> None:
    """Each decoder layer by itself: they are alike, so that one compilation serves them all."""
    for layer in getattr(base, base.base_model_prefix).layers:
        layer.compile(dynamic=True)
