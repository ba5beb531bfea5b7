"""Direct preference optimisation (Rafailov et al., 2023): from pairs, without a reward model.

With --init-adapter the reference is a frozen copy of that adapter; without, the base. Neither needs a second base.
"""

from __future__ import annotations

from typing import Any

from finetune.preference_rows import fitting_pairs
from finetune.trainer_run import Job, run_trainer, trainer_arguments
from finetune.training import StageInputs, trained_model


def train(job: Job, inputs: StageInputs) -> dict[str, Any]:
    """Returns the last figures; see run_trainer for what it raises."""
    from trl import DPOConfig, DPOTrainer

    settings = job.config.dpo
    rows, evaluation, too_long = fitting_pairs(job, inputs, ("chosen", "rejected"))
    trainer = DPOTrainer(
        model=trained_model(job.config),
        args=DPOConfig(
            **trainer_arguments(job),
            max_length=job.config.training.max_tokens,
            beta=settings.beta,
            loss_type=list(settings.losses),
            loss_weights=list(settings.weights) or None,
            label_smoothing=settings.label_smoothing,
            precompute_ref_log_probs=settings.precompute_reference,
        ),
        train_dataset=rows,
        eval_dataset=evaluation,
        processing_class=inputs.tokenizer,
    )
    return {**run_trainer(trainer, job, inputs.recipe), "too_long": too_long}
