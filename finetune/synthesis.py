"""New training records from passages, knowledge-graph records, labels, consultations and questions, most with a teacher model.

Whatever a teacher writes is checked before it is kept: quotes must stand in the passage, numbers too, and nothing may
give a dose or instruct about a medicine. What fails is counted by reason. What could name a patient is masked before it is sent.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from finetune import teacher_prompts as prompts
from finetune.cleaning import prescribing
from finetune.records import DialogueRecord, InvalidRecord, Message, PreferenceRecord, TrainingRecord, dialogue
from finetune.teacher import Teacher, TeacherFailed, usable
from finetune.text_readers import DrugLabel, drug_label_of
from knowledge.prompts import NumberedPassage, answer_messages
from knowledge.urgency import UrgencyLevel
from rag.masking import mask

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")
PAIRS_EACH = 3
MOST_TURNS = 6


@dataclass(frozen=True)
class SourcePassage:
    """A stretch of a guideline to make questions from."""

    text: str
    title: str = ""
    department: str = ""


@dataclass(frozen=True)
class GraphRecord:
    """A disease of a knowledge graph: its name and its attributes as text."""

    name: str
    facts: Mapping[str, str]


@dataclass
class Synthesis:
    """Counts of a run. left_out: what was made or tried and not kept, by reason."""

    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def json_of(reply: str) -> Any:
    """The JSON value in a reply, also behind a fence or a sentence. Raises ValueError where there is none."""
    text = _FENCE.sub("", reply.strip())
    decoder = json.JSONDecoder(strict=False)
    for match in re.finditer(r"[\[{]", text):
        try:
            return decoder.raw_decode(text, match.start())[0]
        except ValueError:
            continue
    raise ValueError("no whole JSON in it")


def pairs_of(reply: str) -> list[dict[str, str]]:
    """The question-answer objects of a reply; of a reply cut off in the middle, those that are whole."""
    try:
        value = json_of(reply)
    except ValueError:
        value = None
    items = value.get("qa_pairs", [value]) if isinstance(value, dict) else value if isinstance(value, list) else []
    if not items or not all(isinstance(item, dict) for item in items):
        items = [found for match in re.finditer(r"\{[^{}]*\}", reply) if isinstance(found := _object(match[0]), dict)]
    pairs = [
        item
        for item in items
        if isinstance(item, dict)
        and all(isinstance(item.get(key), str) and item[key].strip() for key in ("question", "answer"))
    ]
    return list(usable(pairs, "question with an answer"))


def _object(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return None


def unfaithful(answer: str, quote: str, passage: str) -> str:
    """Why an answer may not be said to come from a passage; "" where it may. The quote must stand there, the answer's numbers too."""
    if not quote or squeezed(quote) not in squeezed(passage):
        return "its quote does not stand in the passage"
    if set(_NUMBER.findall(answer)) - set(_NUMBER.findall(passage)):
        return "a number that the passage does not have"
    return ""


def squeezed(text: str) -> str:
    """Letters and digits alone: what a quote must share with its passage."""
    return re.sub(r"[\W_]+", "", text).casefold()


# one function a task: what it is made from → records


def guideline_pairs(passage: SourcePassage, teacher: Teacher, made: Synthesis) -> Iterator[DialogueRecord]:
    """Questions that a passage answers, in the prompt of serving. The teacher sees the passage when it answers, and quotes it."""
    reply = teacher.ask(prompts.GUIDELINE_PAIRS.format(number=PAIRS_EACH, passage=passage.text), pairs_of)
    shown = [NumberedPassage("1", passage.title, passage.text)]
    for pair in reply:
        answer = pair["answer"].strip()
        reason = unfaithful(answer, pair.get("quote", ""), passage.text) or prescribing(answer)
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
        elif set(_NUMBER.findall(answer)) - set(_NUMBER.findall(facts)):
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
            prompts.PATIENT_TURN.format(case=case, dialogue=_written(messages) or "（还没有）"), partial(_turn, "患者")
        )
        if messages and re.match(r"^谢谢(?:医生)?[。！!]?$", patient):
            break
        messages.append(Message("user", patient))
        doctor = teacher.ask(prompts.DOCTOR_TURN.format(dialogue=_written(messages)), partial(_turn, "医生"))
        if reason := prescribing(doctor):
            made.left_out[f"a dialogue cut where the doctor {reason}"] += 1
            messages.pop()
            break
        messages.append(Message("assistant", doctor))
    if messages:
        yield DialogueRecord(tuple(messages), tags=("two_agents",))


def _turn(speaker: str, reply: str) -> str:
    text = re.sub(rf"^{speaker}\s*[:：]\s*", "", reply.strip()).split("\n患者：")[0].split("\n医生：")[0].strip()
    if not text or len(text) > 1000:
        raise ValueError("no single turn")
    return text


def _written(messages: list[Message]) -> str:
    return "\n".join(f"{'患者' if message.role == 'user' else '医生'}：{message.content}" for message in messages)


def rewritten(record: TrainingRecord, teacher: Teacher, made: Synthesis) -> Iterator[DialogueRecord]:
    """A doctor's hurried reply said clearly, as DISC-MedLLM was trained on. It may not bring new numbers."""
    if not isinstance(record, DialogueRecord):
        made.left_out["no dialogue"] += 1
        return
    question, answer = mask(record.messages[0].content), mask(record.messages[1].content)
    better = teacher.ask(prompts.REWRITE.format(question=question, answer=answer), _answer_of)
    if set(_NUMBER.findall(better)) - set(_NUMBER.findall(f"{question}\n{answer}")):
        made.left_out["a number that the reply did not have"] += 1
    elif reason := prescribing(better):
        made.left_out[reason] += 1
    else:
        yield dialogue(question, better, source=record.source, licence=record.licence, tags=(*record.tags, "rewritten"))


def _answer_of(reply: str) -> str:
    value = json_of(reply)
    if not isinstance(value, dict) or not isinstance(value.get("answer"), str) or not value["answer"].strip():
        raise ValueError("no answer in it")
    return str(value["answer"]).strip()


def preferences(record: TrainingRecord, teacher: Teacher, made: Synthesis) -> Iterator[PreferenceRecord]:
    """Two answers judged by criteria, in both orders: only a verdict that does not follow the order counts."""
    question = mask(record.asked)
    first = teacher.ask(prompts.ANSWER.format(question=question))
    second = teacher.ask(prompts.ANSWER_CARELESSLY.format(question=question))
    criteria = "；".join(prompts.CRITERIA)
    verdicts = []
    for one, other in ((first, second), (second, first)):
        asked = prompts.COMPARE.format(criteria=criteria, question=question, first=one, second=other)
        verdicts.append(teacher.ask(asked, _better_of))
    if verdicts not in (["A", "B"], ["B", "A"]):
        made.left_out["no clear preference"] += 1
        return
    chosen, rejected = (first, second) if verdicts == ["A", "B"] else (second, first)
    if reason := prescribing(chosen):
        made.left_out[reason] += 1
        return
    yield PreferenceRecord((Message("user", question),), chosen, rejected, tags=("preferences",))


def _better_of(reply: str) -> str:
    value = json_of(reply)
    better = str(value.get("better", "")).strip() if isinstance(value, dict) else ""
    if better not in ("A", "B", "equal"):
        raise ValueError("no verdict in it")
    return better


# what each task is made from


@dataclass(frozen=True)
class SynthesisTask:
    """make: what is made from one item. item: reads it from a row of a file. needs_teacher: whether a model is asked."""

    make: Callable[..., Iterator[TrainingRecord]]
    item: Callable[[Any], Any]
    expected: str
    needs_teacher: bool = True


def _passage_item(row: Any) -> SourcePassage:
    if isinstance(row, dict):
        text = next(
            (row[key] for key in ("text", "content", "指南", "information") if isinstance(row.get(key), str)), ""
        )
        title = next((row[key] for key in ("title", "heading", "disease_name") if isinstance(row.get(key), str)), "")
        department = row.get("department")
        row = SourcePassage(text, title, department if isinstance(department, str) else "")
    passage = row if isinstance(row, SourcePassage) else SourcePassage(row if isinstance(row, str) else "")
    if len(passage.text.strip()) < 20:
        raise InvalidRecord("a passage of 20 characters or more under text, content or 指南")
    return passage


def _graph_item(row: Any) -> GraphRecord:
    if not isinstance(row, dict):
        raise InvalidRecord("an object of attributes with 中心词 or name")
    name = next(
        (row[key] for key in ("中心词", "name", "disease", "疾病") if isinstance(row.get(key), str) and row[key]), ""
    )
    facts = {
        str(key): "、".join(map(str, value)) if isinstance(value, list) else value
        for key, value in row.items()
        if key not in ("中心词", "name", "disease", "疾病", "_id", "id")
    }
    said = {key: value.strip() for key, value in facts.items() if isinstance(value, str) and value.strip()}
    if not name or not said:
        raise InvalidRecord("an object of attributes with 中心词 or name")
    return GraphRecord(name, said)


def _label_item(row: Any) -> DrugLabel:
    if not isinstance(row, str):
        raise InvalidRecord("a text `name\\nheading:text…`")
    return drug_label_of(row)


def _case_item(row: Any) -> str:
    text = (
        row
        if isinstance(row, str)
        else next(
            (
                row[key]
                for key in ("case", "ask", "text", "query", "instruction")
                if isinstance(row, dict) and isinstance(row.get(key), str)
            ),
            "",
        )
    )
    if len(text.strip()) < 4:
        raise InvalidRecord("a case as text, or under case, ask, text, query or instruction")
    return mask(text.strip())


def _record_item(row: Any) -> TrainingRecord:
    from finetune.record_readers import READERS

    reader = next((reader for reader in READERS.values() if reader.recognises(row)), None)
    record = next(iter(reader.read(row)), None) if reader else None
    if record is None:
        raise InvalidRecord("a row of a known shape")
    return record


TASKS: dict[str, SynthesisTask] = {
    "guideline_pairs": SynthesisTask(guideline_pairs, _passage_item, '{"text": "…", "title": "…"}'),
    "graph_instructions": SynthesisTask(graph_instructions, _graph_item, '{"中心词": "…", "相关症状": ["…"]}'),
    "drug_labels": SynthesisTask(label_pairs, _label_item, '"name\\nheading:text"', needs_teacher=False),
    "two_agents": SynthesisTask(two_agents, _case_item, '{"case": "…"}'),
    "rewrite": SynthesisTask(rewritten, _record_item, "a dialogue of any shape"),
    "preferences": SynthesisTask(preferences, _record_item, "a dialogue of any shape"),
}


def synthesise(
    task: SynthesisTask, items: Iterable[Any], teacher: Teacher | None, made: Synthesis, seed: int = 1
) -> Iterator[TrainingRecord]:
    """Records from items, as they are made. Items the teacher fails on are counted and named; the others go on."""
    if not task.needs_teacher or teacher is None:
        for item in items:
            yield from _varied(task.make(item, made), random.Random(seed))
        return
    for item, result in teacher.each(lambda item: list(task.make(item, teacher, made)), items):
        if isinstance(result, TeacherFailed):
            made.left_out["the teacher failed"] += 1
            made.problems.append(f"{str(item)[:40]!r}: {result}")
        else:
            yield from result


def _varied(records: Iterator[TrainingRecord], rng: random.Random) -> Iterator[TrainingRecord]:
    """One wording of each question a template asks in several."""
    by_answer: dict[tuple[str, ...], list[TrainingRecord]] = {}
    for record in records:
        by_answer.setdefault(record.targets, []).append(record)
    for same in by_answer.values():
        yield rng.choice(same)
