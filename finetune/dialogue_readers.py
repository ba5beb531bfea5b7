"""Readers of dialogues: one function a shape, with a row of that shape in its docstring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune.records import DISLIKED, LIKED, DialogueRecord, InvalidRecord, PreferenceRecord, dialogue, shape_of
from finetune.turns import dialogue_of, listed_turns, marked_turns, prompting, speaker_of, spoken_text

Turns = list[tuple[Any, str]]


def field(row: dict[str, Any], *names: str) -> Any:
    """The value under the first of the names that the row has, whatever the case of its letters."""
    lower = {str(key).casefold(): value for key, value in row.items()}
    for name in names:
        if lower.get(name.casefold()) is not None:
            return lower[name.casefold()]
    raise InvalidRecord(f"the field {' or '.join(names)}, found {shape_of(row)}")


def optional(row: dict[str, Any], *names: str) -> str:
    """The text under the first of the names that the row has; "" where it has none."""
    for name in names:
        if row.get(name):
            return spoken_text(row[name], name)
    return ""


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


def opinion_tags(row: dict[str, Any]) -> tuple[str, ...]:
    """KTO's thumb up or down, as a tag."""
    verdict = row.get("kto_tag", row.get("label"))
    return ((LIKED if verdict else DISLIKED),) if isinstance(verdict, bool) else ()


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


def department_tags(row: dict[str, Any]) -> tuple[str, ...]:
    names = [row.get(name) for name in ("department", "cate1", "cate2", "departments")]
    return tuple(
        dict.fromkeys(f"department:{name.strip()}" for name in names if isinstance(name, str) and name.strip())
    )


def conversations(row: Any) -> Iterator[DialogueRecord]:
    """{"conversations": [{"from": "human", "value": "头痛怎么办"}, {"from": "gpt", "value": "先休息。"}], "system": "…"}

    Also `messages` or `conversation` with role and content, the system prompt among them or beside.
    """
    turns, system = listed_turns(field(row, "conversations", "conversation", "messages"))
    yield dialogue_of(turns, optional(row, "system") or system, opinion_tags(row))


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


def department_consultation(row: Any) -> Iterator[DialogueRecord]:
    """{"department": "心血管科", "title": "能跑步吗", "ask": "血压偏高能跑步吗？", "answer": "先量血压。"} (Toyhom; CSV in GBK too)"""
    title, ask = spoken_text(field(row, "title", "ask"), "title"), spoken_text(field(row, "ask", "title"), "ask")
    asked = title if ask in ("无", "") else ask if title in ask else f"{title}\n{ask}"
    yield dialogue(
        asked,
        spoken_text(field(row, "answer"), "answer"),
        tags=department_tags({"department": field(row, "department")}),
    )


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


def symptom_department(row: Any) -> Iterator[DialogueRecord]:
    """{"症状": "鼻出血", "疾病": "鼻出血", "icd-10": "R04.000", "某院科室": "耳鼻咽喉科"}: which department a symptom goes to"""
    name = next((key for key in row if str(key).endswith("科室")), None)
    if name is None:
        raise InvalidRecord(f"a column that ends with 科室, found {shape_of(row)}")
    department = spoken_text(row[name], name)
    symptom = spoken_text(field(row, "症状"), "症状")
    yield dialogue(f"{symptom}，应该挂哪个科？", department, tags=("routing", f"department:{department}"))


def urgency_vignette(row: Any) -> Iterator[DialogueRecord]:
    """{"patient_realistic": "My chest feels tight.", "gold_standard_triage": "A", "gold_standard_label": "Call an ambulance"}"""
    level = spoken_text(field(row, "gold_standard_triage"), "gold_standard_triage")
    label = spoken_text(field(row, "gold_standard_label"), "gold_standard_label")
    for wording in ("patient_realistic", "patient_minimal", "original_structured"):
        if row.get(wording):
            yield dialogue(spoken_text(row[wording], wording), label, tags=("urgency", f"urgency:{level}", wording))
