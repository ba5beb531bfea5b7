"""A chain of stages in one TOML: each step names its config, and may begin from what an earlier step left.

stage = "pipeline"
[[steps]]
name = "sft"
config = "sft.toml"
[[steps]]
name = "dpo"
config = "dpo.toml"
init_adapter = "sft"      # an earlier step by name, or a folder
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from finetune.run_folder import RunFolder
from finetune.stage_config import StageConfig
from finetune.toml_records import read_toml
from finetune.trainer_run import Step
from finetune.training import train_stage
from knowledge.errors import TrainingFailed

STAGE = "pipeline"


@dataclass(frozen=True)
class PipelineStep:
    """One stage of a chain. config: relative to the pipeline's file; reward: the step whose adapter ppo scores with."""

    name: str
    config: str
    init_adapter: str = ""
    reward: str = ""


@dataclass(frozen=True)
class Pipeline:
    """Steps in order. base: a model for every step, in place of what their configs name."""

    steps: tuple[PipelineStep, ...]
    base: str = ""


def read_pipeline(path: Path) -> Pipeline:
    """Raises TrainingFailed where a key is unknown, a name comes twice or a step refers to none before it."""
    values = read_toml(path)
    known = {"stage", "base", "steps"}
    if unknown := set(values) - known:
        raise TrainingFailed(f"{path.name}: unknown key {sorted(unknown)[0]!r}; known: {', '.join(sorted(known))}")
    step_keys = {field.name for field in fields(PipelineStep)}
    steps: list[PipelineStep] = []
    for row in values.get("steps", []):
        if unknown := set(row) - step_keys:
            raise TrainingFailed(
                f"{path.name}: [[steps]] unknown key {sorted(unknown)[0]!r}; known: {', '.join(sorted(step_keys))}"
            )
        if not {"name", "config"} <= set(row):
            raise TrainingFailed(f"{path.name}: every [[steps]] needs name and config")
        step = PipelineStep(**row)
        if step.name in {other.name for other in steps}:
            raise TrainingFailed(f"{path.name}: two steps are named {step.name!r}")
        steps.append(step)
    if not steps:
        raise TrainingFailed(f"{path.name}: holds no [[steps]]")
    return Pipeline(tuple(steps), values.get("base", ""))


def step_config(path: Path, pipeline: Pipeline, step: PipelineStep, out_dir: Path) -> StageConfig:
    """The config of a step, with what it begins from filled in."""
    config = StageConfig.read(path.parent / step.config)
    if pipeline.base:
        config = config.with_base(pipeline.base)
    if step.init_adapter:
        config = replace(config, init_adapter=_result(path, pipeline, step, step.init_adapter, out_dir))
    if step.reward:
        config = replace(config, ppo=replace(config.ppo, reward=_result(path, pipeline, step, step.reward, out_dir)))
    return config


def train_pipeline(
    path: Path,
    data_dir: Path,
    out_dir: Path,
    *,
    resume: bool = False,
    step: Step = lambda *_: None,
    tell: Callable[[str], object] = lambda _line: None,
) -> dict[str, Any]:
    """Runs the steps that are not done yet; every config is read before the first step begins."""
    pipeline = read_pipeline(path)
    configs = [step_config(path, pipeline, one, out_dir) for one in pipeline.steps]
    figures: dict[str, Any] = {}
    for one, config in zip(pipeline.steps, configs, strict=True):
        run = RunFolder(out_dir / one.name)
        if resume and (run.adapter_dir.exists() or run.model_dir.exists()):
            tell(f"{one.name}: done already")
            continue
        tell(f"{one.name}: stage {config.stage}")
        going_on = resume and (run.root / "config.json").is_file()
        figures[one.name] = train_stage(config, data_dir, run.root, resume=going_on, step=step, tell=tell)
    return figures


def _result(path: Path, pipeline: Pipeline, step: PipelineStep, name: str, out_dir: Path) -> str:
    before = [other.name for other in pipeline.steps[: pipeline.steps.index(step)]]
    if name in before:
        return str(RunFolder(out_dir / name).adapter_dir)
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser())
    raise TrainingFailed(
        f"{path.name}: step {step.name!r} begins from {name!r}, which is no earlier step and no folder"
    )
