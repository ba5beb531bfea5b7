"""New training records from passages, knowledge-graph records, labels, consultations and questions, most with a teacher model.

Whatever a teacher writes is checked before it is kept: quotes must stand in the passage, numbers too, and nothing may
give a dose or instruct about a medicine. What fails is counted by reason. What could name a patient is masked before it is sent.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from finetune import teacher_prompts as prompts
from finetune.cleaning import prescribing
from finetune.records import DialogueRecord, Message, PreferenceRecord, TrainingRecord, dialogue
from finetune.synthesis_items import (
    GraphRecord,
    SourcePassage,
    case_item,
    graph_item,
    label_item,
    passage_item,
    record_item,
)
from finetune.teacher import Teacher, TeacherFailed
from finetune.teacher_replies import answer_of, better_of, new_numbers, pairs_of, turn_of, unfaithful
from finetune.text_readers import DrugLabel
from knowledge.prompts import NumberedPassage, answer_messages
from knowledge.urgency import UrgencyLevel
from rag.masking import mask

PAIRS_EACH = 3
MOST_TURNS = 6


@dataclass
class Synthesis:
    """Counts of a run. left_out: what was made or tried and not kept, by reason."""

    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


# one function a task: what it is made from → records


def guideline_pairs(passage: SourcePassage, teacher: Teacher, made: Synthesis) -> Iterator[DialogueRecord]:
    """Questions that a passage answers, in the prompt of serving. The teacher sees the passage when it answers, and quotes it."""
    reply = teacher.ask(prompts.GUIDELINE_PAIRS.format(number=PAIRS_EACH, passage=passage.text), pairs_of)
    shown = [NumberedPassage("1", passage.title, passage.text)]
    for pair in reply:
        answer = pair["answer"].strip()
        reason = unfaithful(answer, pair["quote"], passage.text) or prescribing(answer)
        if reason:
            made.left_out[reason] += 1
            continue
        system, user = answer_messages(
            pair["question"].strip(), shown, "zh", UrgencyLevel.IV.title("zh"), passage.department
        )
        yield dialogue(
            user.content, f"{answer}[1]", system=system.content, tags=("guideline_pairs", "grounded", "answers")
        )


def graph_instructions(record: GraphRecord, teacher: Teacher, made: Synthesis) -> Iterator[DialogueRecord]:
    """Questions that a knowledge-graph record answers, as BenTsao was trained on."""
    facts = "\n".join(f"{name}：{value}" for name, value in {"疾病": record.name, **record.facts}.items())
    for pair in teacher.ask(prompts.GRAPH_INSTRUCTIONS.format(number=PAIRS_EACH, facts=facts), pairs_of):
        question, answer = pair["question"].strip(), pair["answer"].strip()
        known = [
            term for value in record.facts.values() for term in re.split(r"[、，,；;。\s]+", value) if len(term) > 1
        ]
        if not any(term in answer for term in known):
            made.left_out["nothing of the record in the answer"] += 1
        elif new_numbers(answer, facts):
            made.left_out["a number that the record does not have"] += 1
        elif reason := prescribing(answer):
            made.left_out[reason] += 1
        else:
            yield dialogue(question, answer, tags=("graph_instructions",))


def label_pairs(label: DrugLabel, made: Synthesis) -> Iterator[DialogueRecord]:
    """Questions that a medicine's label answers, by template, as QiZhenGPT does; no teacher. Headings that are doses ask nothing."""
    for heading, said in label.fields.items():
        for question in prompts.LABEL_QUESTIONS.get(heading, ()):
            if said in ("尚不明确。", "尚不明确"):
                made.left_out["the label does not say"] += 1
            elif reason := prescribing(said):
                made.left_out[reason] += 1
            else:
                yield dialogue(question.format(name=label.name), said, tags=("drug_labels", heading))


def two_agents(case: str, teacher: Teacher, made: Synthesis) -> Iterator[DialogueRecord]:
    """A consultation between two agents, one with the case, one without, as HuatuoGPT was trained on."""
    messages: list[Message] = []
    for _ in range(MOST_TURNS):
        patient = teacher.ask(
            prompts.PATIENT_TURN.format(case=case, dialogue=_written(messages) or "（还没有）"),
            partial(turn_of, "患者"),
        )
        if messages and re.match(r"^谢谢(?:医生)?[。！!]?$", patient):
            break
        messages.append(Message("user", patient))
        doctor = teacher.ask(prompts.DOCTOR_TURN.format(dialogue=_written(messages)), partial(turn_of, "医生"))
        if reason := prescribing(doctor):
            made.left_out[f"a dialogue cut where the doctor {reason}"] += 1
            messages.pop()
            break
        messages.append(Message("assistant", doctor))
    if messages:
        yield DialogueRecord(tuple(messages), tags=("two_agents",))


def _written(messages: list[Message]) -> str:
    return "\n".join(f"{'患者' if message.role == 'user' else '医生'}：{message.content}" for message in messages)


def rewritten(record: TrainingRecord, teacher: Teacher, made: Synthesis) -> Iterator[DialogueRecord]:
    """A doctor's hurried reply said clearly, as DISC-MedLLM was trained on. It may not bring new numbers."""
    if not isinstance(record, DialogueRecord):
        made.left_out["no dialogue"] += 1
        return
    question, answer = mask(record.messages[0].content), mask(record.messages[1].content)
    better = teacher.ask(prompts.REWRITE.format(question=question, answer=answer), answer_of)
    if new_numbers(better, f"{question}\n{answer}"):
        made.left_out["a number that the reply did not have"] += 1
    elif reason := prescribing(better):
        made.left_out[reason] += 1
    else:
        yield dialogue(question, better, source=record.source, licence=record.licence, tags=(*record.tags, "rewritten"))


def preferences(record: TrainingRecord, teacher: Teacher, made: Synthesis) -> Iterator[PreferenceRecord]:
    """Two answers judged by criteria, in both orders: only a verdict that does not follow the order counts."""
    question = mask(record.asked)
    first = teacher.ask(prompts.ANSWER.format(question=question))
    second = teacher.ask(prompts.ANSWER_CARELESSLY.format(question=question))
    criteria = "；".join(prompts.CRITERIA)
    verdicts = []
    for one, other in ((first, second), (second, first)):
        asked = prompts.COMPARE.format(criteria=criteria, question=question, first=one, second=other)
        verdicts.append(teacher.ask(asked, better_of))
    if verdicts not in (["A", "B"], ["B", "A"]):
        made.left_out["no clear preference"] += 1
        return
    chosen, rejected = (first, second) if verdicts == ["A", "B"] else (second, first)
    if reason := prescribing(chosen):
        made.left_out[reason] += 1
        return
    yield PreferenceRecord((Message("user", question),), chosen, rejected, tags=("preferences",))


# the tasks by name


@dataclass(frozen=True)
class SynthesisTask:
    """make: what is made from one item. item: reads it from a row of a file. needs_teacher: whether a model is asked."""

    make: Callable[..., Iterator[TrainingRecord]]
    item: Callable[[Any], Any]
    expected: str
    needs_teacher: bool = True


TASKS: dict[str, SynthesisTask] = {
    "guideline_pairs": SynthesisTask(guideline_pairs, passage_item, '{"text": "…", "title": "…"}'),
    "graph_instructions": SynthesisTask(graph_instructions, graph_item, '{"中心词": "…", "相关症状": ["…"]}'),
    "drug_labels": SynthesisTask(label_pairs, label_item, '"name\\nheading:text"', needs_teacher=False),
    "two_agents": SynthesisTask(two_agents, case_item, '{"case": "…"}'),
    "rewrite": SynthesisTask(rewritten, record_item, "a dialogue of any shape"),
    "preferences": SynthesisTask(preferences, record_item, "a dialogue of any shape"),
}


def synthesise(
    task: SynthesisTask, items: Iterable[Any], teacher: Teacher | None, made: Synthesis, seed: int = 1
) -> Iterator[TrainingRecord]:
    """Records from items, as they are made. Items the teacher fails on are counted and named; the others go on."""
    if not task.needs_teacher or teacher is None:
        for item in items:
            yield from _varied(task.make(item, made), random.Random(seed))
        return
    for (number, _), result in teacher.each(lambda row: list(task.make(row[1], teacher, made)), enumerate(items, 1)):
        if isinstance(result, TeacherFailed):
            made.left_out["the teacher failed"] += 1
            made.problems.append(f"item {number}: {result}")  # never its words
        else:
            yield from result


def _varied(records: Iterator[TrainingRecord], rng: random.Random) -> Iterator[TrainingRecord]:
    """One wording of each question a template asks in several."""
    by_answer: dict[tuple[str, ...], list[TrainingRecord]] = {}
    for record in records:
        by_answer.setdefault(record.targets, []).append(record)
    for same in by_answer.values():
        yield rng.choice(same)
