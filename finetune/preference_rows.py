"""Rows of answers that are compared: those that do not fit whole are left out and counted, never cut.

A cut answer would be judged without its end; some trainers drop such rows silently, others cut them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.stage_rows import StageRow
from finetune.trainer_run import Job
from finetune.training import StageInputs
from knowledge.errors import TrainingFailed


def fitting_pairs(job: Job, inputs: StageInputs, answers: Sequence[str]) -> tuple[Any, Any, int]:
    """(rows, evaluation rows, how many were too long), as data sets. answers: the columns that hold one."""
    import datasets

    max_tokens = job.config.training.max_tokens
    fitting = [row for row in inputs.train if longest(row, inputs.tokenizer, answers) <= max_tokens]
    evaluation = [row for row in inputs.evaluation if longest(row, inputs.tokenizer, answers) <= max_tokens]
    too_long = len(inputs.train) - len(fitting)
    if not fitting:
        raise TrainingFailed(f"no row fits into [training] max_tokens = {max_tokens}; raise it")
    job.tell(f"{len(fitting)} rows; {too_long} left out as longer than {max_tokens} tokens")
    return (
        datasets.Dataset.from_list([row.values for row in fitting]),
        datasets.Dataset.from_list([row.values for row in evaluation]) if evaluation else None,
        too_long,
    )


def longest(row: StageRow, tokenizer: Any, answers: Sequence[str]) -> int:
    """Tokens of the prompt with the longest of its answers."""
    try:
        return max(
            len(
                tokenizer.apply_chat_template(row.values["prompt"] + row.values[name], tokenize=True, return_dict=False)
            )
            for name in answers
        )
    except Exception as fault:  # a template is a program: whatever it raises, this row cannot be rendered
        line = (str(fault).splitlines() or [type(fault).__name__])[0]
        raise TrainingFailed(f"{row.where}: the chat template cannot render it ({line})") from None
