"""What every stage on TRL shares: arguments, a log of its own, checkpoints that are whole, and ends told in one line."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from finetune.adapter import save_adapter, trainable_in_float32
from finetune.base_model import compute_dtype, device_name
from finetune.run_folder import RunFolder, mark_complete
from finetune.stage_config import StageConfig
from finetune.training_pace import CountedTokens, Pace, speed_figures
from knowledge.errors import TrainingFailed, TrainingStopped

Step = Callable[[str, int, int], object]
_WRITE_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRITE_WORDS = (
    "no space left",
    "file too large",
    "quota exceeded",
    "writing file",
    "file write failed",
    "enforce fail at inline_container",
)


@dataclass(frozen=True)
class Job:
    """One run of a stage: its config, its folder, whether it goes on with an older one, and whom to tell."""

    config: StageConfig
    run: RunFolder
    resume: bool = False
    step: Step = lambda *_: None
    tell: Callable[[str], object] = lambda _line: None


def trainer_arguments(job: Job) -> dict[str, Any]:
    """The keyword arguments that every trainer's config takes."""
    import torch

    config, training = job.config, job.config.training
    on_gpu = device_name() == "cuda"
    arguments: dict[str, Any] = {
        "output_dir": str(job.run.checkpoints_dir),
        "seed": config.seed,
        "data_seed": config.seed,
        "num_train_epochs": training.epochs,
        "max_steps": training.max_steps or -1,
        "per_device_train_batch_size": training.batch_size,
        "per_device_eval_batch_size": training.batch_size,
        "gradient_accumulation_steps": training.accumulate,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.scheduler,
        "warmup_steps": training.warmup_share,  # a float below one is a share of all steps
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "gradient_checkpointing": training.gradient_checkpointing and config.adapter.method != "prefix",
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "logging_steps": training.log_every,
        "save_strategy": "steps",
        "save_steps": training.evaluate_every or training.save_every,
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not on_gpu,
        "bf16": on_gpu and compute_dtype(config.base) is torch.bfloat16,
        "dataloader_pin_memory": on_gpu,
        "optim": "adamw_torch_fused" if on_gpu else "adamw_torch",
        "logging_nan_inf_filter": False,  # it would wait for the device at every step; a loss that is no number is told at the next log
        "ddp_find_unused_parameters": False,
        "ddp_broadcast_buffers": False,
    }
    if training.evaluate_every:
        arguments |= {
            "eval_strategy": "steps",
            "eval_on_start": True,  # what the stage began from stands beside what it came to
            "eval_steps": training.evaluate_every,
            "load_best_model_at_end": bool(training.patience),
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
    return arguments


def run_trainer(trainer: Any, job: Job, recipe: dict[str, Any]) -> dict[str, Any]:
    """Trains, saves what was trained, draws the curves; returns the last figures.

    Raises TrainingStopped on Ctrl-C and TrainingFailed where nothing can be written, memory is out or the loss is no number.
    """
    from transformers import EarlyStoppingCallback, PrinterCallback

    trainable_in_float32(trainer.model)
    trainer.data_collator = tokens = CountedTokens(trainer.data_collator)
    tokens.leave_out_evaluation(trainer)
    pace = Pace(job.config, tokens)
    trainer.add_callback(_watching(job, pace))
    trainer.remove_callback(PrinterCallback)  # it would print into what programs read
    if job.config.training.patience:
        trainer.add_callback(EarlyStoppingCallback(job.config.training.patience))
    checkpoint = job.run.take_up(job.tell) if job.resume else None
    with told_in_one_line(job):
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        processes, told = trainer.accelerator.num_processes, _told_tokens(job)
        timed, seconds = pace.measured()
        figures = {
            "steps": result.global_step,
            "loss": round(result.training_loss, 4),
            "tokens": processes * (tokens.trained() or told),
            **speed_figures(job.config, processes, timed or told, seconds, tokens.learnt_share),
        }
        model = trainer.accelerator.unwrap_model(trainer.model)
        weights = gathered(model) if trainer.is_fsdp_enabled else None
        if trainer.is_world_process_zero():
            save_trained(model, trainer.processing_class, job, {**recipe, **figures}, weights)
            job.run.draw_losses()
    return figures


def recompute_some(model: Any, every: int) -> None:
    """Of the layers that are computed again on the way back, only each n-th: less time for more memory."""
    layers = [
        part
        for part in model.modules()
        if "GradientCheckpointingLayer" in (kind.__name__ for kind in type(part).__mro__)
    ]
    for number, layer in enumerate(layers):
        layer.gradient_checkpointing = layer.gradient_checkpointing and number % every == 0


def gathered(model: Any) -> dict[str, Any]:
    """What learnt, whole, of a model that several processes share in pieces (FSDP2). All of them must ask at once."""
    shared = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {
        name: (one.full_tensor() if hasattr(one, "full_tensor") else one).detach().cpu() for name, one in shared.items()
    }


def save_trained(model: Any, tokenizer: Any, job: Job, recipe: dict[str, Any], weights: Any = None) -> None:
    """adapter/, or model/ where all weights were trained. A reference that was only compared with is not kept."""
    if hasattr(model, "peft_config"):
        for name in [name for name in model.peft_config if name != "default"]:
            model.delete_adapter(name)
        save_adapter(model, tokenizer, job.run.adapter_dir, recipe, weights)
    else:
        model.config.use_cache = True
        save_adapter(model, tokenizer, job.run.model_dir, recipe, weights)


@contextmanager
def told_in_one_line(job: Job) -> Iterator[None]:
    """Turns the ends a run can come to into errors that say where it can go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise TrainingStopped(f"stopped; {_remains(job)}") from None
    except TrainingFailed:
        raise
    except MemoryError:
        raise TrainingFailed(
            f"out of memory; lower [training] batch_size or max_tokens, or set batch_size = 0; {_remains(job)}"
        ) from None
    except Exception as fault:
        line = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
        if getattr(fault, "errno", None) in _WRITE_FAULTS or any(
            word in str(fault).casefold() for word in _WRITE_WORDS
        ):
            raise TrainingFailed(
                f"{job.run.root}: cannot be written, the disk may be full ({line[:160]}); {_remains(job)}"
            ) from None
        if "out of memory" in line.casefold() or type(fault).__name__ == "OutOfMemoryError":
            raise TrainingFailed(
                f"out of memory; lower [training] batch_size or max_tokens, or set batch_size = 0; {_remains(job)}"
            ) from None
        raise


def _remains(job: Job) -> str:
    checkpoint = job.run.last_checkpoint()
    return f"{checkpoint.name} is whole: go on with --resume" if checkpoint else "no checkpoint had been written yet"


def _told_tokens(job: Job) -> int:
    """Of a trainer that makes its batches itself, as it logged them."""
    return int(next((row["num_tokens"] for row in reversed(job.run.metrics()) if "num_tokens" in row), 0))


def _watching(job: Job, pace: Pace) -> Any:
    from transformers import TrainerCallback

    class Watching(TrainerCallback):
        """Draws the progress, writes the metrics, marks checkpoints as whole, stops a run whose loss is no number."""

        loss = ""

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            pace.begin(state.global_step)
            if args.gradient_checkpointing:
                recompute_some(model, job.config.training.recompute_every)

        def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            pace.took_batch()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            pace.took_batch()
            pace.end_step(state.global_step, state.max_steps)
            told = f"{rate:,.0f} tokens/s" if (rate := pace.so_far()) else ""
            job.step(" ".join(part for part in (self.loss, told) if part), state.global_step, state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not state.is_world_process_zero or not logs:
                return
            job.run.log({"step": state.global_step, **logs, "tokens_per_second": round(pace.so_far())})
            if "loss" in logs:
                self.loss = f"loss {float(logs['loss']):.3f}"
                if float(logs["loss"]) != float(logs["loss"]):
                    raise TrainingFailed(
                        f"step {state.global_step}: the loss is no number; lower [training] learning_rate"
                    )

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                mark_complete(job.run.checkpoints_dir / f"checkpoint-{state.global_step}")

    return Watching()
