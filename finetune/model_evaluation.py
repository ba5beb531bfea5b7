"""`daozhen eval model`: a base and what was made of it, side by side on the same rows, every difference with its interval.

Each measure gives one number a row and model; a difference is the mean of the rows' differences, its 95 % interval by
bootstrap over rows, so that what is the same for both cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.chat_generation import Answer, ChatGenerator
from finetune.exam_prompt import answered_letters, exam_prompt
from finetune.grounding_check import admitted_share
from finetune.record_readers import ReadingRules, read_records
from finetune.records import ChoiceRecord, DialogueRecord
from finetune.row_files import rows_of
from finetune.rows import BadRow
from finetune.stage_rows import StageRow
from finetune.supervision import supervised_dialogue
from finetune.text_measures import bleu4, repetition, rouge
from knowledge.errors import InvalidEvaluationSet
from knowledge.prompts import NumberedPassage, answer_messages
from knowledge.urgency import UrgencyLevel
from rag.dialogue import language_of
from rag.engines import LOCAL, Engine
from rag.evaluation_retrieval import interval

Messages = list[dict[str, str]]
Step = Callable[[str, int, int], object]


@dataclass(frozen=True)
class GroundedCase:
    """A question with the passages an answer may rest on; none where the right answer is that they do not answer."""

    question: str
    passages: tuple[str, ...]

    def messages(self) -> Messages:
        language = language_of(self.question)
        numbered = [NumberedPassage(str(number), "", text) for number, text in enumerate(self.passages, 1)]
        given = answer_messages(self.question, numbered, language, UrgencyLevel.HOME.title(language), "")
        return [{"role": one.role, "content": one.content} for one in given]


@dataclass
class EvaluationSet:
    """What two models are compared on; an empty part is not measured."""

    dialogues: list[DialogueRecord] = field(default_factory=list)
    exams: list[ChoiceRecord] = field(default_factory=list)
    departments: list[ChoiceRecord] = field(default_factory=list)
    grounded: list[GroundedCase] = field(default_factory=list)

    def parts(self) -> dict[str, list[Messages]]:
        """The prompts of every part."""
        return {
            "dialogues": [prompt_of(record) for record in self.dialogues],
            "exams": [exam_prompt(record.question, record.options) for record in self.exams],
            "departments": [exam_prompt(record.question, record.options) for record in self.departments],
            "grounded": [case.messages() for case in self.grounded],
        }


@dataclass
class Measured:
    """One model's answers by part, and its measures: a number a row, None where a row says nothing."""

    name: str
    answers: dict[str, list[Answer]]
    measures: dict[str, list[float]]


def read_evaluation_set(
    dialogues: Path | None, exams: Path | None, departments: Path | None, grounded: Path | None, limit: int = 0
) -> EvaluationSet:
    """Every part that is named; exams and departments in any of the field's formats. Raises InvalidEvaluationSet."""
    found = EvaluationSet(
        _records(dialogues, DialogueRecord, "dialogues"),
        _records(exams, ChoiceRecord, "questions with options"),
        _records(departments, ChoiceRecord, "questions with candidate departments"),
        [] if grounded is None else _grounded_cases(grounded),
    )
    if limit:
        found = EvaluationSet(
            found.dialogues[:limit], found.exams[:limit], found.departments[:limit], found.grounded[:limit]
        )
    if not any(found.parts().values()):
        raise InvalidEvaluationSet(
            "nothing to measure on; name a file with --dialogues, --exams, --departments or --grounded"
        )
    return found


def measure(
    generator: ChatGenerator, data: EvaluationSet, step: Step, batch_size: int = 8, engine: Engine = LOCAL
) -> Measured:
    """Everything one model says to the set, and what it is worth."""
    answers: dict[str, list[Answer]] = {}
    for part, prompts in data.parts().items():
        written = generator.answers(list(enumerate(prompts)), batch_size, step, engine)
        answers[part] = sorted(written, key=lambda answer: answer.row)
    measures: dict[str, list[float]] = {}
    everything = [answer for rows in answers.values() for answer in rows]
    if data.dialogues:
        references = [record.targets[-1] for record in data.dialogues]
        pairs = list(zip((answer.text for answer in answers["dialogues"]), references, strict=True))
        measures["nats_per_token"] = _nats(generator, data.dialogues, engine)
        measures["bleu4"] = [bleu4(text, reference) for text, reference in pairs]
        scores = [rouge(text, reference) for text, reference in pairs]
        measures |= {name: [score[name] for score in scores] for name in ("rouge1", "rouge2", "rougeL")}
    for part, records in (("exams", data.exams), ("departments", data.departments)):
        if records:
            measures[part] = [
                float(answered_letters(answer.text, record.options) == frozenset(record.answers))
                for answer, record in zip(answers[part], records, strict=True)
            ]
    if data.grounded:
        measures["grounded"] = [
            admitted_share(answer.text, case.passages)
            for answer, case in zip(answers["grounded"], data.grounded, strict=True)
        ]
    measures["repetition"] = [repetition(answer.text) for answer in everything]
    measures["missing_stop"] = [float(not answer.stopped) for answer in everything]
    return Measured(generator.name, answers, measures)


def comparison(base: Measured, tuned: Measured) -> dict[str, Any]:
    """Both models' means and the tuned one's gain with its paired interval, measure by measure."""
    import numpy as np

    table: dict[str, Any] = {}
    for name, values in base.measures.items():
        ours, theirs = np.array(values), np.array(tuned.measures[name])
        gain = theirs - ours
        if name == "nats_per_token":
            low, high = interval(gain)
            table["perplexity"] = {
                "base": round(math.exp(float(ours.mean())), 4),
                "tuned": round(math.exp(float(theirs.mean())), 4),
                "ratio": round(math.exp(float(gain.mean())), 4),
                "interval": [round(math.exp(low), 4), round(math.exp(high), 4)],
                "rows": len(gain),
            }
            continue
        table[name] = {
            "base": round(float(ours.mean()), 4),
            "tuned": round(float(theirs.mean()), 4),
            "gain": round(float(gain.mean()), 4),
            "interval": list(interval(gain)),
            "rows": len(gain),
        }
    return {"base": base.name, "tuned": tuned.name, "measures": table}


def prompt_of(record: DialogueRecord) -> Messages:
    """A dialogue up to its last answer."""
    system = [{"role": "system", "content": record.system}] if record.system else []
    return [*system, *(message.as_row() for message in record.messages[:-1])]


def _nats(generator: ChatGenerator, dialogues: Sequence[DialogueRecord], engine: Engine) -> list[float]:
    """Nats a token of the assistant's words, stop token included, dialogue by dialogue."""
    from finetune.chat_template import ensure_training_template

    ensure_training_template(generator.tokenizer, "", generator.name)
    rows = []
    for number, record in enumerate(dialogues, 1):
        answer = {"role": "assistant", "content": record.messages[-1].content}
        tokens = supervised_dialogue(
            StageRow(f"dialogue {number}", {"messages": [*prompt_of(record), answer]}), generator.tokenizer
        )
        rows.append((tokens.input_ids, tokens.labels))
    return [-total / max(count, 1) for total, count in generator.log_likelihoods(rows, engine)]


def _records(path: Path | None, kind: type, wanted: str) -> list[Any]:
    if path is None:
        return []
    records = []
    for located in read_records(path, ReadingRules()):
        record = located.record
        if not isinstance(record, kind):
            raise InvalidEvaluationSet(f"{path.name}:{located.line}: expected {wanted}, found another kind of record")
        records.append(record)
    if not records:
        raise InvalidEvaluationSet(f"{path}: holds no {wanted}")
    return records


def _grounded_cases(path: Path) -> list[GroundedCase]:
    cases = []
    for row in rows_of(path):
        value = None if isinstance(row, BadRow) else row.value
        if (
            not isinstance(value, dict)
            or not isinstance(value.get("question"), str)
            or not isinstance(value.get("passages"), list)
            or not all(isinstance(text, str) for text in value["passages"])
        ):
            raise InvalidEvaluationSet(
                f'{path.name}:{row.line}: not a case; it needs {{"question": text, "passages": [texts]}}'
            )
        cases.append(GroundedCase(value["question"], tuple(value["passages"])))
    if not cases:
        raise InvalidEvaluationSet(f"{path}: holds no case")
    return cases
