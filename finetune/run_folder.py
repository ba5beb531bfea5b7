"""The folder of one training run, from which it can be read, continued and repeated.

config.json      the config as run           data.json       SHA-256 of every data file
versions.json    of every library used       metrics.jsonl   one line a logged step
loss.png         the curves                  checkpoints/    the last two, each with a list of its files
adapter/         what was trained (model/ where all weights were), its tokenizer and recipe.json
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finetune.stage_config import StageConfig
from knowledge.errors import TrainingFailed

LIBRARIES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "accelerate",
    "datasets",
    "tokenizers",
    "safetensors",
)
COMPLETE = "complete.json"


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run."""

    root: Path

    @property
    def adapter_dir(self) -> Path:
        return self.root / "adapter"

    @property
    def model_dir(self) -> Path:
        return self.root / "model"

    @property
    def checkpoints_dir(self) -> Path:
        return self.root / "checkpoints"

    @property
    def metrics_file(self) -> Path:
        return self.root / "metrics.jsonl"

    def start(self, config: StageConfig, data: Mapping[str, str], *, resume: bool) -> None:
        """Writes what the run is. Raises TrainingFailed where another run's results would be lost or mixed."""
        written = json.dumps(asdict(config), ensure_ascii=False, indent=2)
        config_file, data_file = self.root / "config.json", self.root / "data.json"
        if resume:
            if not config_file.is_file():
                raise TrainingFailed(f"{self.root}: no run to resume there; leave out --resume to start one")
            if json.loads(config_file.read_text(encoding="utf-8")) != json.loads(written):
                raise TrainingFailed(
                    f"{self.root}: the config has changed since this run began; start another with --out"
                )
            if json.loads(data_file.read_text(encoding="utf-8")) != dict(data):
                raise TrainingFailed(
                    f"{self.root}: the data has changed since this run began; start another with --out"
                )
            return
        if self.adapter_dir.exists() or self.model_dir.exists() or self.last_checkpoint() is not None:
            raise TrainingFailed(
                f"{self.root}: holds a run already; go on with it by --resume, or name another folder with --out"
            )
        self.root.mkdir(parents=True, exist_ok=True)
        self.metrics_file.unlink(missing_ok=True)
        config_file.write_text(written, encoding="utf-8")
        data_file.write_text(json.dumps(dict(data), indent=2), encoding="utf-8")
        (self.root / "versions.json").write_text(json.dumps(versions(), indent=2), encoding="utf-8")

    def begun_batch(self) -> tuple[int, int] | None:
        """(batch_size, accumulate) the run was begun with."""
        try:
            training = json.loads((self.root / "config.json").read_text(encoding="utf-8"))["training"]
            return int(training["batch_size"]), int(training["accumulate"])
        except (OSError, ValueError, KeyError):
            return None

    def log(self, values: Mapping[str, Any]) -> None:
        """Adds a line of metrics."""
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, ensure_ascii=False) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        if not self.metrics_file.is_file():
            return []
        lines = self.metrics_file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]

    def forget_after(self, step: int) -> None:
        """Drops the metrics of steps that a resumed run goes through again."""
        kept = [row for row in self.metrics() if row.get("step", 0) <= step]
        self.metrics_file.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8"
        )

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that was written to its end."""
        whole = [path for path in self.checkpoints_dir.glob("checkpoint-*") if is_complete(path)]
        return max(whole, key=_step_of, default=None)

    @contextmanager
    def new_checkpoint(self, step: int) -> Iterator[Path]:
        """A folder for the checkpoint of that step; it appears whole or not at all, and the last two stay."""
        folder = self.checkpoints_dir / f"checkpoint-{step}"
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        mark_complete(partial)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
        for older in sorted(self.checkpoints_dir.glob("checkpoint-*"), key=_step_of)[:-2]:
            shutil.rmtree(older)

    def clear_partial(self) -> None:
        """Removes what an interrupted save left."""
        for path in self.checkpoints_dir.glob("checkpoint-*"):
            if not is_complete(path):
                shutil.rmtree(path, ignore_errors=True)
        for path in self.root.glob("*.partial"):
            shutil.rmtree(path, ignore_errors=True)

    def take_up(self, tell: Callable[[str], object]) -> Path | None:
        """The checkpoint an interrupted run goes on from, None for its beginning; what lies beyond it is forgotten."""
        self.clear_partial()
        checkpoint = self.last_checkpoint()
        self.forget_after(_step_of(checkpoint) if checkpoint else 0)
        tell(f"goes on from {checkpoint.name}" if checkpoint else "no whole checkpoint there; starts at the beginning")
        return checkpoint

    def draw_losses(self) -> None:
        """loss.png: every curve of the metrics that tells whether it learns."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return  # a drawing is no reason for a finished run to fail

        rows = self.metrics()
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for key in ("loss", "eval_loss", "reward", "kl", "rewards/accuracies", "accuracy"):
            points = [(row["step"], row[key]) for row in rows if isinstance(row.get(key), int | float)]
            if points:
                axes.plot(*zip(*points, strict=True), label=key, marker="o" if len(points) < 30 else "")
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
        figure.savefig(self.root / "loss.png", dpi=110)


def mark_complete(folder: Path) -> None:
    """Lists the files of a checkpoint, as the last thing written to it."""
    sizes = {
        path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file() and path.name != COMPLETE
    }
    partial = folder / (COMPLETE + ".partial")
    partial.write_text(json.dumps(sizes), encoding="utf-8")
    os.replace(partial, folder / COMPLETE)


def is_complete(folder: Path) -> bool:
    """Whether a checkpoint holds every file it was written with, at its full size."""
    try:
        sizes = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, json.JSONDecodeError):
        return False


def versions() -> dict[str, str]:
    """The version of Python and of every library there that a run depends on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
