"""What records are made from: passages, knowledge-graph records, labels, cases, consultations, each read from a row of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune.records import InvalidRecord, TrainingRecord
from finetune.text_readers import DrugLabel, drug_label_of
from rag.masking import mask


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


def passage_item(row: Any) -> SourcePassage:
    """A passage to ask about: text, or an object with text and title. Raises InvalidRecord."""
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


def graph_item(row: Any) -> GraphRecord:
    """A disease with its facts, as knowledge graphs of the field list them. Raises InvalidRecord."""
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


def label_item(row: Any) -> DrugLabel:
    """The label of a medicine by its headings. Raises InvalidRecord."""
    if not isinstance(row, str):
        raise InvalidRecord("a text `name\\nheading:text…`")
    return drug_label_of(row)


def case_item(row: Any) -> str:
    """What a patient says: text, or an object that holds it. Raises InvalidRecord."""
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


def record_item(row: Any) -> TrainingRecord:
    """The first record of a row in any shape the readers know. Raises InvalidRecord."""
    from finetune.record_readers import READERS

    reader = next((reader for reader in READERS.values() if reader.recognises(row)), None)
    record = next(iter(reader.read(row)), None) if reader else None
    if record is None:
        raise InvalidRecord("a row of a known shape")
    return record
