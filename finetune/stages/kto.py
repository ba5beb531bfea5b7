"""Kahneman-Tversky optimisation (Ethayarajh et al., 2024): from single answers with a thumb up or down."""

from __future__ import annotations

from typing import Any

from finetune.preference_rows import fitting_pairs
from finetune.trainer_run import Job, run_trainer, trainer_arguments
from finetune.training import StageInputs, trained_model
from knowledge.errors import TrainingFailed


def train(job: Job, inputs: StageInputs) -> dict[str, Any]:
    """Returns the last figures. Raises TrainingFailed where thumbs of one kind are missing; see run_trainer."""
    from trl import KTOConfig, KTOTrainer

    settings = job.config.kto
    rows, evaluation, too_long = fitting_pairs(job, inputs, ("completion",))
    liked = sum(rows["label"])
    disliked = len(rows) - liked
    if not liked or not disliked:
        raise TrainingFailed(
            "every thumb points the same way; kto needs answers that were liked and some that were not"
        )
    # the paper's advice: the two kinds together weigh alike
    trainer = KTOTrainer(
        model=trained_model(job.config),
        args=KTOConfig(
            **trainer_arguments(job),
            max_length=job.config.training.max_tokens,
            beta=settings.beta,
            desirable_weight=settings.desirable_weight or max(1.0, disliked / liked),
            undesirable_weight=settings.undesirable_weight or max(1.0, liked / disliked),
        ),
        train_dataset=rows,
        eval_dataset=evaluation,
        processing_class=inputs.tokenizer,
    )
    return {**run_trainer(trainer, job, inputs.recipe), "liked": liked, "disliked": disliked, "too_long": too_long}
