"""Supervised fine-tuning: the model learns the assistant's turns, and to stop after them."""

from __future__ import annotations

from typing import Any

from finetune.supervision import TokenCount, dialogue_tokens
from finetune.trainer_run import Job, run_trainer, trainer_arguments
from finetune.training import StageInputs, token_rows, trained_model
from knowledge.errors import TrainingFailed


def train(job: Job, inputs: StageInputs) -> dict[str, Any]:
    count, held_out = TokenCount(), TokenCount()
    max_tokens = job.config.training.max_tokens
    rows = token_rows(dialogue_tokens(inputs.train, inputs.tokenizer, max_tokens, count))
    evaluation = token_rows(dialogue_tokens(inputs.evaluation, inputs.tokenizer, max_tokens, held_out))
    if rows is None:
        raise TrainingFailed(f"no answer fits into [training] max_tokens = {max_tokens}; raise it")
    told = f"{count.rows} rows, {count.tokens:,} tokens, {count.supervised:,} of them learnt"
    job.tell(f"{told}; {count.shortened} rows shortened to whole turns, {count.too_long} left out as too long")
    figures = fit_tokens(job, inputs, rows, evaluation)
    return {**figures, "learnt_tokens": count.supervised, "shortened": count.shortened, "too_long": count.too_long}


def fit_tokens(job: Job, inputs: StageInputs, rows: Any, evaluation: Any) -> dict[str, Any]:
    """Trains on rows whose labels are set. Packed rows never see each other: each counts its own positions."""
    from trl import SFTConfig, SFTTrainer

    training = job.config.training
    trainer = SFTTrainer(
        model=trained_model(job.config),
        args=SFTConfig(
            **trainer_arguments(job),
            max_length=training.max_tokens,
            packing=training.packing,
            packing_strategy="bfd",
            neftune_noise_alpha=training.neftune_alpha or None,
        ),
        train_dataset=rows,
        eval_dataset=evaluation,
        processing_class=inputs.tokenizer,
    )
    return run_trainer(trainer, job, inputs.recipe)
