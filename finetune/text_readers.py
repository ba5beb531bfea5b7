"""Readers of running text and of the files that are no tables: CareGPT's drug and department lists, raw consultations, joined tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.records import (
    DialogueRecord,
    InvalidRecord,
    Message,
    PlainTextRecord,
    PreferenceRecord,
    dialogue,
    shape_of,
)
from finetune.row_files import table_rows
from finetune.rows import BadRow, Row
from finetune.text_files import opened
from finetune.turns import dialogue_of, spoken_text

_FIELD = re.compile(r"^([^\s:：]{1,12})[:：]\s*(.*)$")
_INTRODUCED = re.compile(r"^(.{1,14}?(?:科室?|医学|内镜|介入|监护)(?:临床科室)?)(?=是|主要|的|负责|作为|，|、|专)")
_GROUP = re.compile(r"^【(.+?)[：:]?】(.*)$")


@dataclass(frozen=True)
class DrugLabel:
    """A medicine's label as CareGPT's drug.json has it: its name and what stands under each heading."""

    name: str
    fields: dict[str, str]


def drug_label_of(text: str) -> DrugLabel:
    """The label of `name\\nheading:text…`; a line without a heading continues the one before."""
    name, *lines = text.strip().split("\n")
    fields: dict[str, str] = {}
    heading = ""
    for line in lines:
        if match := _FIELD.match(line):
            heading = match[1]
            fields[heading] = match[2].strip()
        elif heading and line.strip():
            fields[heading] += f"\n{line.strip()}"
    if not name.strip() or not fields:
        raise InvalidRecord("a name, and lines `heading:text` under it")
    return DrugLabel(name.strip(), {heading: said for heading, said in fields.items() if said})


def drug_label(row: Any) -> Iterator[PlainTextRecord]:
    """ "某药\\n药品类型:维生素类\\n适应证:用于…" (CareGPT's drug.json)"""
    label = drug_label_of(spoken_text(row))
    lines = [f"{heading}：{said}" for heading, said in label.fields.items()]
    yield PlainTextRecord("\n".join([label.name, *lines]), tags=("drug_label",))


def department_guide(row: Any) -> Iterator[PlainTextRecord]:
    """{"content": "心内科是专门治疗心脏疾病的科室。…"} (CareGPT's 导诊指导.json): the department is named only by the first words"""
    text = spoken_text(row.get("content"), "content")
    named = _INTRODUCED.match(text)
    yield PlainTextRecord(text, tags=("department_guide", *((f"department:{named[1]}",) if named else ())))


def department_list(row: Any) -> Iterator[PlainTextRecord]:
    """ "【内科：】全科医学 心内科 感染病科" (CareGPT's 导诊目录.txt); departments in no group stand on a line of their own"""
    line = spoken_text(row)
    group = _GROUP.match(line)
    names = (group[2] if group else line).split()
    yield PlainTextRecord(line, tags=("department_list", *(f"department:{name}" for name in names)))


def plain_text(row: Any) -> Iterator[PlainTextRecord]:
    """{"text": "…"}, {"content": "…"}, or a line of a text file: one document each"""
    if isinstance(row, dict):
        row = next((row[name] for name in ("text", "content", "raw_content", "completion") if row.get(name)), row)
    if not isinstance(row, str):
        raise InvalidRecord(f"a text, found {shape_of(row)}")
    yield PlainTextRecord(row.strip())


# whole files

_SPEAKER_LINE = re.compile(r"^\s*(病人|患者|医生|Patient|Doctor)[:：]\s*(.*)$", re.IGNORECASE)


def is_consultation_text(path: Path) -> bool:
    """Whether a text file is MedDialog's: blocks that begin with `Description` and `Dialogue`."""
    with opened(path) as lines:
        head = [line.strip() for _, line in zip(range(200), lines, strict=False)]
    return "Dialogue" in head and any(_SPEAKER_LINE.match(line) for line in head)


def consultation_text(path: Path) -> Iterator[tuple[int, DialogueRecord] | BadRow]:
    """MedDialog's raw text:

        id=1
        Description
        疾病： 咳嗽
        病情描述： 咳嗽三天
        Dialogue
        医生：
        发烧吗？
        病人：
        没有。

    The description is the patient's first turn. A block in which nothing is answered gives a BadRow.
    """
    begins, report, turns, part = 1, list[str](), list[tuple[Any, str]](), ""
    with opened(path) as lines:
        for number, raw in enumerate(lines, 1):
            line = raw.strip()
            if line == "Description" or line.startswith("id=") or (line == "Dialogue" and part == "Dialogue"):
                if turns:
                    yield _consultation(begins, report, turns)
                if line != "Description" or part != "head":
                    begins = number
                report, turns = [], []
                part = "head" if line.startswith("id=") else line
            elif line == "Dialogue":
                part = line
            elif part == "Description" and line:
                report.append(line)
            elif part == "Dialogue" and line:
                if match := _SPEAKER_LINE.match(line):
                    turns.append(
                        ("user" if match[1].casefold() in ("病人", "患者", "patient") else "assistant", match[2])
                    )
                elif turns:
                    turns[-1] = (turns[-1][0], f"{turns[-1][1]}\n{line}".strip())
    if turns:
        yield _consultation(begins, report, turns)


_TOLD = re.compile(r"^(?:疾病名?称?|病情描述|希望获得的?帮助|患病多久|过敏史|既往病史|怀孕情况|用药情况|身高体重)[:：]")


def _consultation(line: int, report: list[str], turns: list[tuple[Any, str]]) -> tuple[int, DialogueRecord] | BadRow:
    told = "\n".join(text for text in report if not text.startswith(("http", "已就诊医院")))
    try:
        return line, dialogue_of([("user", told), *turns] if told else turns)
    except InvalidRecord as fault:
        return BadRow(line, f"expected {fault}")


def is_joined_table(path: Path) -> bool:
    """Whether a file is one of cMedQA2's tables whose texts stand in question.csv and answer.csv beside it."""
    return path.suffix in (".csv", ".txt") and header_of(path) in (ANSWERS, CANDIDATES)


ANSWERS = ("ans_id", "question_id", "content")
CANDIDATES = ("question_id", "pos_ans_id", "neg_ans_id")


def header_of(path: Path) -> tuple[str, ...]:
    """The column names in the first line of a CSV file."""
    with opened(path) as lines:
        return tuple(name.strip() for name in lines.readline().split(","))


def joined_tables(path: Path) -> Iterator[tuple[int, DialogueRecord | PreferenceRecord] | BadRow]:
    """cMedQA2: answer.csv `ans_id,question_id,content` with question.csv beside it gives dialogues; train_candidates.txt
    `question_id,pos_ans_id,neg_ans_id` with both beside it gives preferences. The texts are held in memory."""
    questions = _texts(path.parent / "question.csv", "question_id")
    answers = {} if header_of(path) == ANSWERS else _texts(path.parent / "answer.csv", "ans_id")
    for row in table_rows(path):
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            asked = questions[row.value["question_id"]]
            if answers:
                chosen, rejected = answers[row.value["pos_ans_id"]], answers[row.value["neg_ans_id"]]
                yield row.line, PreferenceRecord((Message("user", asked),), chosen, rejected)
            else:
                yield row.line, dialogue(asked, row.value["content"])
        except KeyError as fault:
            yield BadRow(row.line, f"expected ids of question.csv and answer.csv, found {fault.args[0]!r:.24}")
        except InvalidRecord as fault:
            yield BadRow(row.line, f"expected {fault}")


def _texts(path: Path, key: str) -> dict[str, str]:
    if not path.is_file():
        raise InvalidRecord(f"{path.name} beside it, which holds the texts")
    return {
        row.value[key]: row.value["content"]
        for row in table_rows(path)
        if isinstance(row, Row) and key in row.value and "content" in row.value
    }
