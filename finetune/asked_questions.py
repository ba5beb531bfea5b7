"""Real questions, answered as serving answers them: the evidence it would find, the sentences its own writer would choose.

What people really type is not what guides ask themselves. Where the evidence is too thin to answer, no row is made:
serving asks no model then either.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from finetune.cited_answers import CitedRow, as_dialogue, with_altered_words
from finetune.grounding import Grounded, GroundingRules, Progress
from knowledge.errors import InvalidUsage
from rag.answering import kind_not_answered
from rag.assistant import Assistant
from rag.dialogue import language_of
from rag.evidence_search import Asked, gather_evidence
from rag.reading_order import in_reading_order, telling_sentences
from rag.word_for_word import may_be_quoted

MOST_TOLD = 6  # sentences of an answer
SHUFFLED_SHARE = 0.3  # of the rows whose passages stand in no order, so that they are read and not only counted


def questions_in(path: Path) -> Iterator[str]:
    """The `question` of every row of a JSON Lines file. Raises InvalidUsage naming file and line."""
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.strip():
            try:
                yield str(json.loads(line)["question"])
            except (ValueError, KeyError, TypeError):
                raise InvalidUsage(f'{path.name}:{number}: not a row of the form {{"question": text}}') from None


def answered_records(
    assistant: Assistant, questions: list[str], rules: GroundingRules, progress: Progress = lambda *_: None
) -> Grounded:
    """A cited row for every question that the documents answer, of as many as the rules allow."""
    made = Grounded()
    made.records += with_altered_words(
        map(as_dialogue, _rows(assistant, questions, rules, made.left_out, progress)), rules
    )
    return made


def _rows(
    assistant: Assistant, questions: list[str], rules: GroundingRules, left_out: Counter[str], progress: Progress
) -> Iterator[CitedRow]:
    questions, rng = questions[: rules.at_most], random.Random(rules.seed)
    for number, question in enumerate(questions):
        progress("questions", number, len(questions))
        row = answered_row(assistant, question, rules.passages)
        if row is None:
            left_out["the documents do not answer"] += 1
        else:
            yield in_any_order(row, rng) if rng.random() < SHUFFLED_SHARE else row


def in_any_order(row: CitedRow, rng: random.Random) -> CitedRow:
    """The row with its passages in another order, and the answer's keys after it."""
    passages = list(row.evidence.keyed().values())
    rng.shuffle(passages)
    return replace(row, evidence=replace(row.evidence, shown=tuple(passages)))


def answered_row(assistant: Assistant, question: str, passages: int) -> CitedRow | None:
    """The sentences of the extractive answer that tell what was asked, from the passages a model would be shown; None where
    serving would ask no model."""
    if kind_not_answered(question):
        return None
    evidence = gather_evidence(Asked.alone(question, language_of(question)), assistant.search, passages)
    if evidence is None or evidence.passages[0].passage.language != evidence.language:
        return None
    telling = telling_sentences(evidence)
    evidence = in_reading_order(evidence, telling)
    shown = set(evidence.keyed().values())
    told = [
        (draft.text, draft.passages[0])
        for draft in telling
        if draft.passages[0] in shown and may_be_quoted(draft, evidence)
    ]
    return CitedRow(evidence, tuple(told[:MOST_TOLD])) if told else None
