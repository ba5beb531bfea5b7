"""`daozhen eval`: what is measured, and by which command."""

from __future__ import annotations

import click

from ui.lazy_commands import LazyCommands

EVALUATIONS = {
    "retrieval": (
        "ui.eval_retrieval_command",
        "retrieval",
        "Score BM25, the embedder and both together on a BEIR folder.",
    ),
    "answers": (
        "ui.eval_answers_command",
        "answers",
        "Score answers and abstentions on questions with known guides.",
    ),
    "triage": ("ui.eval_triage_command", "triage", "Score the choice of departments on solved cases."),
    "urgency": ("ui.eval_triage_command", "urgency", "Score the level given to vignettes."),
    "model": ("ui.eval_model_command", "model", "Compare a tuned language model with its base."),
}


@click.group("eval", cls=LazyCommands, table=EVALUATIONS, context_settings={"help_option_names": ["-h", "--help"]})
def evaluate() -> None:
    """Measure a part of daozhen on data of your own.

    \b
    daozhen eval retrieval ~/beir/our-questions
    daozhen eval answers our-questions.jsonl
    daozhen eval triage solved.jsonl --folds 5
    daozhen eval urgency vignettes.jsonl
    daozhen eval model --model ~/models/base --adapter runs/sft/adapter --exams exams.jsonl
    """
