"""Readers of dialogues: one function a shape, with a row of that shape in its docstring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from finetune.records import DialogueRecord, InvalidRecord, PreferenceRecord, dialogue, shape_of
from finetune.row_fields import department_tags, field, opinion_tags, optional
from finetune.turns import dialogue_of, listed_turns, marked_turns, prompting, speaker_of, spoken_text

SPOKEN_IN_TURN = ("user", "assistant")
_MOSS_MARKS = re.compile(r"<\|(?:Human|MOSS)\|>\s*[:：]?\s*|<eo[hma]>")
Turns = list[tuple[Any, str]]


def history_turns(history: Any) -> Turns:
    """CareGPT's `history`: pairs of question and answer."""
    if history in (None, "", []):
        return []
    if not isinstance(history, list):
        raise InvalidRecord(f"history to be a list of [question, answer], found {shape_of(history)}")
    turns: Turns = []
    for pair in history:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise InvalidRecord(f"history to hold [question, answer], found {shape_of(pair)}")
        turns += [("user", pair[0]), ("assistant", pair[1])]
    return turns


def alpaca(row: Any) -> Iterator[DialogueRecord | PreferenceRecord]:
    """{"instruction": "头痛怎么办", "input": "", "output": "先休息。", "history": [["你好", "您好，请说。"]], "system": "…"}

    Huatuo's test set has lists of texts for instruction and output; the liver cancer set writes earlier turns into
    the instruction as `<user>: … <bot>: …`; CareGPT's reward sets have the better and the worse answer as output.
    """
    asked = spoken_text(field(row, "instruction", "instruct"), "instruction")
    extra = optional(row, "input")
    asked = f"{asked}\n{extra}" if extra else asked
    earlier = history_turns(row.get("history"))
    if ("<user>" in asked and "<bot>" in asked) or asked.startswith("<user>"):
        turns = [*earlier, *marked_turns(asked)]
    else:
        turns = [*earlier, ("user", asked)]
    output, system = row.get("output"), optional(row, "system")
    if isinstance(output, list) and len(output) == 2 and isinstance(row.get("instruction"), str):
        yield PreferenceRecord(prompting(turns), spoken_text(output[0]), spoken_text(output[1]), system=system)
        return
    answer = output[0] if isinstance(output, list) and output else field(row, "output")
    tags = (*opinion_tags(row), *department_tags(row))
    yield dialogue_of([*turns, ("assistant", spoken_text(answer, "output"))], system, tags)


def conversations(row: Any) -> Iterator[DialogueRecord]:
    """{"conversations": [{"from": "human", "value": "头痛怎么办"}, {"from": "gpt", "value": "先休息。"}], "system": "…"}

    Also `messages` or `conversation` with role and content, the system prompt among them or beside; or, as in LIMA, plain
    texts in turn, the user's first.
    """
    listed = field(row, "conversations", "conversation", "messages")
    if isinstance(listed, list) and listed and all(isinstance(text, str) for text in listed):
        listed = [{"role": SPOKEN_IN_TURN[number % 2], "content": text} for number, text in enumerate(listed)]
    turns, system = listed_turns(listed)
    yield dialogue_of(turns, optional(row, "system") or system, opinion_tags(row))


def numbered_turns(row: Any) -> Iterator[DialogueRecord]:
    """{"chat": {"turn_1": {"Human": "<|Human|>: 脚疼<eoh>\\n", "MOSS": "<|MOSS|>: 多久了？<eom>\\n"}}, "num_turns": 1} (MOSS-003)

    Thoughts and the use of tools beside them are left out, and so is the instruction that makes the model MOSS.
    """
    chat = field(row, "chat")
    if not isinstance(chat, dict) or not all(isinstance(turn, dict) for turn in chat.values()):
        raise InvalidRecord(f"turns turn_1, turn_2 … with Human and MOSS, found {shape_of(chat)}")
    turns: Turns = []
    for turn in chat.values():
        for role, name in (("user", "Human"), ("assistant", "MOSS")):
            turns.append((role, _MOSS_MARKS.sub("", spoken_text(field(turn, name), name))))
    yield dialogue_of(turns)


def turn_list(row: Any) -> Iterator[DialogueRecord]:
    """[{"role": "client", "content": "最近总失眠"}, {"role": "counselor", "content": "多久了？"}]

    MedDG: [{"id": "Patients", "Sentence": "肚子疼"}, {"id": "Doctor", "Sentence": "多久了？"}]
    """
    turns, system = listed_turns(row)
    yield dialogue_of(turns, system)


def annotated_dialogue(row: Any) -> Iterator[DialogueRecord]:
    """{"self_report": "孩子咳嗽三天", "dialogue": [{"speaker": "医生", "sentence": "发烧吗？"}, {"speaker": "患者", "sentence": "没有。"}]}

    CHIP-MDCFNPC: {"dialog_info": [{"sender": "患者", "text": "肚子疼"}, {"sender": "医生", "text": "多久了？"}]}
    """
    turns, system = listed_turns(field(row, "dialogue", "dialog_info"))
    report = optional(row, "self_report")
    yield dialogue_of([("user", report), *turns] if report else turns, system, department_tags(row))


def speaker_columns(row: Any) -> Iterator[DialogueRecord]:
    """{"dialogue_turns": {"speaker": [0, 1], "utterance": ["头痛怎么办", "先休息。"]}}; 0 or 病人 is the patient"""
    columns = field(row, "dialogue_turns")
    if isinstance(columns, dict):
        speakers, said = columns.get("speaker"), columns.get("utterance")
        if not (isinstance(speakers, list) and isinstance(said, list) and len(speakers) == len(said)):
            raise InvalidRecord(f"as many speakers as utterances, found {shape_of(columns)}")
        turns = [(speaker_of(who), spoken_text(text)) for who, text in zip(speakers, said, strict=True)]
    else:
        turns, _ = listed_turns(columns)
    yield dialogue_of(turns)


def prefixed_turns(row: Any) -> Iterator[DialogueRecord]:
    """{"data": ["问：头痛怎么办", "答：先休息。"]}; {"description": "…", "utterances": ["病人：…", "医生：…"]}"""
    said = field(row, "data", "utterances")
    if not isinstance(said, list) or not all(isinstance(text, str) for text in said):
        raise InvalidRecord(f"a list of texts that begin with 问： or 答：, found {shape_of(said)}")
    turns = [turn for text in said for turn in marked_turns(text)]
    report = optional(row, "description")
    yield dialogue_of([("user", report), *turns] if report else turns)


def flat_dialogue(row: Any) -> Iterator[DialogueRecord]:
    """{"input": "病人：肚子疼\\n医生：多久了？\\n病人：两天", "target": "大便正常吗？"} (BianQue); the same with one text and no target"""
    text = spoken_text(field(row, "input"), "input")
    text = text.removesuffix("医生：").removesuffix("医生:").rstrip()
    yield dialogue_of([*marked_turns(text), ("assistant", spoken_text(field(row, "target"), "target"))])


def query_response(row: Any) -> Iterator[DialogueRecord]:
    """{"query": "头痛怎么办", "response": "先休息。"} (ChatMed, ShenNong)"""
    yield dialogue(
        spoken_text(field(row, "query"), "query"),
        spoken_text(field(row, "response"), "response"),
        tags=opinion_tags(row),
    )


def question_lists(row: Any) -> Iterator[DialogueRecord]:
    """{"questions": [["头痛怎么办", "头疼怎么办"]], "answers": ["先休息。"]} (Huatuo-26M): the first wording of each question"""
    questions, answers = field(row, "questions"), field(row, "answers")
    questions = questions if isinstance(questions, list) else [questions]
    answers = answers if isinstance(answers, list) else [answers]
    if not questions or not answers or (len(answers) != 1 and len(answers) != len(questions)):
        raise InvalidRecord(f"an answer for each question, found {len(questions)} questions and {len(answers)} answers")
    for number, question in enumerate(questions if len(answers) > 1 else questions[:1]):
        wording = question[0] if isinstance(question, list) and question else question
        yield dialogue(spoken_text(wording, "questions"), spoken_text(answers[number], "answers"))


def question_answer(row: Any) -> Iterator[DialogueRecord]:
    """{"question": "What is asthma?", "answer": "A disease of the airways."}; {"text": …, "answer": …} (CareGPT)

    {"label": "1", …} (graded answers): a wrong answer, label 0, gives no record.
    """
    if str(row.get("label", "1")).strip() in ("0", "0.0", "False"):
        return
    asked = spoken_text(field(row, "question", "text", "prompt"), "question")
    yield dialogue(
        asked,
        spoken_text(field(row, "answer", "response", "completion"), "answer"),
        tags=opinion_tags({"label": row.get("kto_tag")}),
    )


def graded_line(row: Any) -> Iterator[DialogueRecord]:
    """ "1001\\t1\\t骨科\\t脚后跟疼怎么办？\\t先休息。" (webMedQA: id, label, department, question, answer)

    A wrong answer, label 0, gives no record.
    """
    *before, question, answer = spoken_text(row).split("\t")
    numbers = [part for part in before if part.isdigit()]
    if not numbers or numbers[-1] not in ("0", "1"):
        raise InvalidRecord(
            f"id, label 0 or 1, department, question and answer between tabs, found {len(before) + 2} parts"
        )
    if numbers[-1] == "1":
        department = next((part for part in before if not part.isdigit()), "")
        yield dialogue(question, answer, tags=department_tags({"department": department}))


def question_pairs(row: Any) -> Iterator[DialogueRecord]:
    """{"指南": "…", "qa_pairs": [{"question": "…", "answer": "…"}]} (MedicalGPT-zh); CMB-Clin's QA_pairs with question, solution"""
    pairs = field(row, "qa_pairs")
    context = optional(
        row, "description"
    )  # CMB-Clin: the case the questions are about; a guideline is no part of a dialogue
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
        raise InvalidRecord(f"qa_pairs to be a list of {{question, answer}}, found {shape_of(pairs)}")
    for pair in pairs:
        asked, answer = (
            spoken_text(field(pair, "question"), "question"),
            spoken_text(field(pair, "answer", "solution"), "answer"),
        )
        yield dialogue(f"{context}\n{asked}" if context else asked, answer)
