"""Any data file → records. A shape is one function and one row of READERS; in `auto` it is recognised from each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune import dialogue_readers, exam_readers, preference_readers, text_readers, triage_readers
from finetune.records import InvalidData, InvalidRecord, TrainingRecord, from_row, shape_of, with_origin
from finetune.row_fields import renamed
from finetune.row_files import rows_of
from finetune.rows import BadRow, Row
from finetune.text_files import check_is_file, suffix_of, told_where
from knowledge.errors import InvalidUsage

RowReader = Callable[[Any], Iterator[TrainingRecord]]
FileReader = Callable[[Path], Iterator["tuple[int, TrainingRecord] | BadRow"]]
AUTO = "auto"


@dataclass(frozen=True)
class Reader:
    """How one shape is read. recognises: whether a row is of this shape."""

    read: RowReader
    recognises: Callable[[Any], bool]

    @property
    def expected(self) -> str:
        """A row of this shape, from the reading function's own description."""
        return (self.read.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True)
class WholeFileReader:
    """How a file is read that is no sequence of rows."""

    read: FileReader
    recognises: Callable[[Path], bool]


def has(*names: str) -> Callable[[Any], bool]:
    """Whether a row is an object with all of these fields, whatever their case; `a|b` stands for either."""
    wanted = [set(name.casefold().split("|")) for name in names]
    return lambda row: isinstance(row, dict) and all({str(key).casefold() for key in row} & either for either in wanted)


def has_list(name: str) -> Callable[[Any], bool]:
    """Whether a row holds a list under one of the names: "messages|conversations"."""
    return lambda row: isinstance(row, dict) and any(isinstance(row.get(key), list) for key in name.split("|"))


def own(row: Any) -> Iterator[TrainingRecord]:
    """{"kind": "dialogue", "messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}"""
    yield from_row(row)


READERS: dict[str, Reader] = {  # the first that recognises a row reads it
    "own": Reader(
        own, lambda row: isinstance(row, dict) and row.get("kind") in ("dialogue", "preference", "text", "choice")
    ),
    "patient_guidance": Reader(exam_readers.patient_guidance, has("dialogue", "candidates", "departments")),
    "numbered_options": Reader(exam_readers.numbered_options, has("opa", "opb", "cop")),
    "research_question": Reader(exam_readers.research_question, has("long_answer", "final_decision")),
    "lettered_options": Reader(exam_readers.lettered_options, has("question|qtext", "options|option", "answer")),
    "response_pair": Reader(preference_readers.response_pair, has("response_chosen", "response_rejected")),
    "chosen_rejected": Reader(preference_readers.chosen_rejected, has("chosen", "rejected")),
    "urgency_vignette": Reader(triage_readers.urgency_vignette, has("gold_standard_triage", "gold_standard_label")),
    "department_consultation": Reader(triage_readers.department_consultation, has("department", "ask|title", "answer")),
    "alpaca": Reader(dialogue_readers.alpaca, has("instruction|instruct", "output")),
    "conversations": Reader(dialogue_readers.conversations, has_list("conversations|conversation|messages")),
    "numbered_turns": Reader(
        dialogue_readers.numbered_turns, lambda row: isinstance(row, dict) and isinstance(row.get("chat"), dict)
    ),
    "annotated_dialogue": Reader(dialogue_readers.annotated_dialogue, has_list("dialogue|dialog_info")),
    "speaker_columns": Reader(dialogue_readers.speaker_columns, has("dialogue_turns")),
    "turn_list": Reader(
        dialogue_readers.turn_list, lambda row: isinstance(row, list) and bool(row) and isinstance(row[0], dict)
    ),
    "prefixed_turns": Reader(dialogue_readers.prefixed_turns, has_list("data|utterances")),
    "flat_dialogue": Reader(dialogue_readers.flat_dialogue, has("input", "target")),
    "query_response": Reader(dialogue_readers.query_response, has("query", "response")),
    "question_lists": Reader(dialogue_readers.question_lists, has("questions", "answers")),
    "question_pairs": Reader(dialogue_readers.question_pairs, has("qa_pairs")),
    "symptom_department": Reader(
        triage_readers.symptom_department,
        lambda row: isinstance(row, dict) and "症状" in row and any(str(key).endswith("科室") for key in row),
    ),
    "question_answer": Reader(
        dialogue_readers.question_answer, has("question|text|prompt", "answer|response|completion")
    ),
    "graded_line": Reader(
        dialogue_readers.graded_line,
        lambda row: isinstance(row, str) and row.count("\t") == 4 and row.split("\t")[1] in ("0", "1"),
    ),
    "drug_label": Reader(text_readers.drug_label, lambda row: isinstance(row, str) and "\n" in row),
    "department_guide": Reader(
        text_readers.department_guide, lambda row: isinstance(row, dict) and list(row) == ["content"]
    ),
    "department_list": Reader(text_readers.department_list, lambda row: isinstance(row, str) and row.startswith("【")),
    "plain_text": Reader(
        text_readers.plain_text, lambda row: isinstance(row, str) or has("text|content|raw_content")(row)
    ),
}
FILE_READERS: dict[str, WholeFileReader] = {
    "consultation_text": WholeFileReader(
        text_readers.consultation_text,
        lambda path: suffix_of(path) == ".txt" and text_readers.is_consultation_text(path),
    ),
    "joined_tables": WholeFileReader(text_readers.joined_tables, text_readers.is_joined_table),
}


@dataclass(frozen=True)
class ReadingRules:
    """How a file is to be read, and where it is from.

    columns: the row's names → the reader's; tags: LLaMA-Factory's names for speakers and texts in turns.
    """

    reader: str = AUTO
    columns: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    at_most: int | None = None

    def __post_init__(self) -> None:
        if self.reader not in (AUTO, *READERS, *FILE_READERS):
            raise InvalidUsage(f"no reader {self.reader!r}; known: {AUTO}, {', '.join([*READERS, *FILE_READERS])}")


@dataclass(frozen=True)
class LocatedRecord:
    """A record and the line of the file it comes from."""

    line: int
    record: TrainingRecord


BadRowHandler = Callable[[str], None]


def raise_bad_row(problem: str) -> None:
    """What becomes of a row that cannot be read where nothing else is said: the run stops."""
    raise InvalidData(f"{problem}; --skip-bad FILE leaves such rows out and lists them there")


def read_records(
    path: Path, rules: ReadingRules = ReadingRules(), bad_row: BadRowHandler = raise_bad_row
) -> Iterator[LocatedRecord]:
    """The records of a file as a stream.

    bad_row is told `file:line: expected …, found …` of each row that is of no known shape, and may raise. Raises
    InvalidData at the first such row by default, UnreadableData where the file itself cannot be read.
    """
    given = 0
    for item in _located(path, rules):
        if isinstance(item, BadRow):
            bad_row(f"{path.name}:{item.line}: {item.problem}")
            continue
        line, record = item
        yield LocatedRecord(line, with_origin(record, rules.source, rules.licence))
        given += 1
        if given == rules.at_most:
            return


def _located(path: Path, rules: ReadingRules) -> Iterator[tuple[int, TrainingRecord] | BadRow]:
    check_is_file(path)
    with told_where(path):
        whole = _whole_file_reader(path, rules)
        if whole is not None:
            try:
                yield from whole.read(path)
            except InvalidRecord as fault:
                yield BadRow(1, f"expected {fault}")
            return
    last: Reader | None = READERS.get(rules.reader)
    for row in rows_of(path):
        if isinstance(row, BadRow):
            yield row
            continue
        value = renamed(row.value, rules.columns, rules.tags) if rules.columns or rules.tags else row.value
        reader = last if last is not None and (rules.reader != AUTO or last.recognises(value)) else _recognised(value)
        if reader is None:
            yield BadRow(row.line, f"expected a known shape, found {shape_of(value)}; --reader names one")
            continue
        last = reader if rules.reader != AUTO or _is_first(reader, value) else None
        yield from _of_row(reader, Row(row.line, value))


def _is_first(reader: Reader, value: Any) -> bool:
    return _recognised(value) is reader


def _whole_file_reader(path: Path, rules: ReadingRules) -> WholeFileReader | None:
    if rules.reader in FILE_READERS:
        return FILE_READERS[rules.reader]
    if rules.reader != AUTO or rules.columns:
        return None
    return next((reader for reader in FILE_READERS.values() if reader.recognises(path)), None)


def _recognised(value: Any) -> Reader | None:
    return next((reader for reader in READERS.values() if reader.recognises(value)), None)


def _of_row(reader: Reader, row: Row) -> Iterator[tuple[int, TrainingRecord] | BadRow]:
    try:
        for record in reader.read(row.value):
            yield row.line, record
    except InvalidRecord as fault:
        yield BadRow(row.line, f"expected {fault}")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        yield BadRow(row.line, f"expected {reader.expected}, found {shape_of(row.value)}")
