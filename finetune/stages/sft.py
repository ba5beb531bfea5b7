"""Supervised fine-tuning: the model learns the assistant's turns, and to stop after them."""

from __future__ import annotations

from typing import Any

from finetune.supervision import TokenCount, dialogue_tokens
from finetune.token_batches import TokenCollator, TokenRow, in_sequences, token_rows
from finetune.trainer_run import Job, run_trainer, trainer_arguments
from finetune.training import StageInputs, trained_model
from knowledge.errors import TrainingFailed


def train(job: Job, inputs: StageInputs) -> dict[str, Any]:
    """Returns the last figures. Raises TrainingFailed where no answer fits into max_tokens; see run_trainer."""
    count, held_out = TokenCount(), TokenCount()
    max_tokens = job.config.training.max_tokens
    rows = token_rows(dialogue_tokens(inputs.train, inputs.tokenizer, max_tokens, count))
    evaluation = token_rows(dialogue_tokens(inputs.evaluation, inputs.tokenizer, max_tokens, held_out))
    if not rows:
        raise TrainingFailed(f"no answer fits into [training] max_tokens = {max_tokens}; raise it")
    told = f"{count.rows} rows, {count.tokens:,} tokens, {count.supervised:,} of them learnt"
    job.tell(f"{told}; {count.shortened} rows shortened to whole turns, {count.too_long} left out as too long")
    figures = fit_tokens(job, inputs, rows, evaluation)
    return {**figures, "learnt_tokens": count.supervised, "shortened": count.shortened, "too_long": count.too_long}


def fit_tokens(job: Job, inputs: StageInputs, rows: list[TokenRow], evaluation: list[TokenRow]) -> dict[str, Any]:
    """Trains on rows whose labels are set. Packed rows never see each other: each counts its own positions.

    On transformers' own trainer: tokens, packing and loss are ours, and TRL's adds an accuracy and an entropy of every token,
    which take longer than the loss.
    """
    from transformers import Trainer, TrainingArguments

    from finetune.token_loss import chunked_loss

    training = job.config.training
    model = trained_model(job.config)
    chunked_loss(model, training.logits_chunk)
    arguments = TrainingArguments(
        **trainer_arguments(job),
        remove_unused_columns=False,
        label_names=["labels"],
        neftune_noise_alpha=training.neftune_alpha or None,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # one process, one GPU: the trainer would copy the model to all it sees
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=TokenCollator(inputs.tokenizer.pad_token_id, training.packing),
        train_dataset=in_sequences(rows, training.max_tokens, training.packing),
        eval_dataset=in_sequences(evaluation, training.max_tokens, training.packing) or None,
        processing_class=inputs.tokenizer,
    )
    trainer.model_accepts_loss_kwargs = True  # the loss is divided by the targets of the whole step
    return run_trainer(trainer, job, inputs.recipe)
