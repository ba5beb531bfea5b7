"""Reward modelling: a head that scores the chosen answer of a pair above the rejected one.

The result is an adapter with its head; `finetune/stages/ppo.py` scores with it.
"""

from __future__ import annotations

from typing import Any

from finetune.preference_rows import fitting_pairs
from finetune.trainer_run import Job, run_trainer, trainer_arguments
from finetune.training import StageInputs, trained_model


def train(job: Job, inputs: StageInputs) -> dict[str, Any]:
    """Returns the last figures; see run_trainer for what it raises."""
    from trl import RewardConfig, RewardTrainer

    rows, evaluation, too_long = fitting_pairs(job, inputs, ("chosen", "rejected"))
    model = trained_model(job.config, "reward")
    model.config.pad_token_id = inputs.tokenizer.pad_token_id
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(
            **trainer_arguments(job),
            max_length=job.config.training.max_tokens,
            center_rewards_coefficient=job.config.rm.center_coefficient or None,
        ),
        train_dataset=rows,
        eval_dataset=evaluation,
        processing_class=inputs.tokenizer,
    )
    return {**run_trainer(trainer, job, inputs.recipe), "too_long": too_long}
