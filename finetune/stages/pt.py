"""Continued pretraining: running text, all of it learnt."""

from __future__ import annotations

from typing import Any

from finetune.stages.sft import fit_tokens
from finetune.supervision import TokenCount, text_tokens
from finetune.token_batches import token_rows
from finetune.trainer_run import Job
from finetune.training import StageInputs


def train(job: Job, inputs: StageInputs) -> dict[str, Any]:
    """Returns the last figures; see run_trainer for what it raises."""
    count = TokenCount()
    max_tokens = job.config.training.max_tokens
    rows = token_rows(text_tokens(inputs.train, inputs.tokenizer, max_tokens, count))
    evaluation = token_rows(text_tokens(inputs.evaluation, inputs.tokenizer, max_tokens, TokenCount()))
    job.tell(f"{len(inputs.train)} texts, {count.rows} pieces, {count.tokens:,} tokens")
    return fit_tokens(job, inputs, rows, evaluation)
