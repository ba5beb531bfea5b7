"""The sections of one record of JSON, by its shape: question and answer, dialogue, text, or any object by the path of its keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ingest import tables
from ingest.cleaning import clean
from ingest.department_names import department_described, departments_named
from ingest.documents import SourceSection
from knowledge.script import holds_chinese

_NAME_KEYS = (
    "name", "title", "名称", "标题", "疾病", "疾病名称", "药名", "药品名称", "通用名", "disease", "topic", "主题", "项目",
    "项目名称",
)  # fmt: skip
_TEXT_KEYS = ("content", "text", "passage", "body", "abstract", "内容", "正文", "文本", "description", "desc")
_DEPARTMENT_KEYS = re.compile(r"department|科室|科别", re.IGNORECASE)
_NAME_ENDINGS = ("_name", "_title", "名称", "condition")
_ADDRESS = re.compile(r"https?://\S+")
_MARKS_NOTHING = {"id", "_id", "uuid", "url", "link", "index", "idx", "hash", "embedding", "vector"}
_SPEAKERS = ("messages", "conversations", "conversation", "dialogue", "history", "对话")
_FIELD_LINE = re.compile(r"^[^\s:：]{1,20}[:：]")
_SENTENCE = re.compile(r"[。！？]|[a-z]\. |[a-z]\.$")
_SHORT = 60  # characters up to which a value without sentences stands in one line with its key


def record_sections(record: Any) -> Iterator[SourceSection]:
    """The sections of one record, by its shape."""
    if isinstance(record, str):
        yield from _text_record(clean(record))
    elif isinstance(record, dict):
        departments = _departments_of(record)
        for read in (_dialogue, _question):
            if sections := read(record, departments):
                yield from sections
                return
        yield from _object(record, departments)
    elif isinstance(record, list):
        for item in record:
            yield from record_sections(item)
    elif record is not None:
        yield SourceSection(_scalar(record))


def _text_record(text: str) -> Iterator[SourceSection]:
    """A text; "name\\nfield:value\\n…" under its name."""
    head, _, rest = text.strip().partition("\n")
    fields = [line for line in rest.split("\n") if line.strip()]
    if fields and len(head) <= _SHORT and sum(bool(_FIELD_LINE.match(line)) for line in fields) >= len(fields) / 2:
        yield SourceSection(rest, head.strip())
    elif text.strip():
        described = department_described(text)
        name, departments = (described[0], (described[1],)) if described else ("", ())
        yield SourceSection(text.strip(), name, departments=departments)


def _question(record: dict[str, Any], departments: tuple[str, ...]) -> list[SourceSection]:
    """Question and answer, or instruction, input and output: the question is the heading."""
    ask = next(
        (
            key
            for key in record
            if tables.is_question_name(key) and isinstance(record[key], str) and record[key].strip()
        ),
        None,
    )
    reply = next(
        (key for key in record if tables.is_answer_name(key) and isinstance(record[key], str) and record[key].strip()),
        None,
    )
    if ask is None or reply is None:
        return []
    more = record.get("input") or record.get("context") or ""
    heading = " ".join(clean(part) for part in (record[ask], more if isinstance(more, str) else "") if part)
    said = {ask, reply, "input", "context", "history", "system"}
    others = [
        _line(key, value)
        for key, value in record.items()
        if key not in said and _is_short(value) and key not in _MARKS_NOTHING
    ]
    text = "\n".join([clean(record[reply]).strip(), *filter(None, others)])
    return [SourceSection(text, " ".join(heading.split())[:400], departments=departments)]


def _dialogue(record: dict[str, Any], departments: tuple[str, ...]) -> list[SourceSection]:
    """Turns of a conversation, each question with the answer that follows it."""
    turns = next((record[key] for key in _SPEAKERS if isinstance(record.get(key), list) and record[key]), None)
    if turns is None or not all(isinstance(turn, dict) for turn in turns):
        return []
    spoken = [
        (str(turn.get("role") or turn.get("from") or ""), turn.get("content") or turn.get("value") or "")
        for turn in turns
    ]
    sections, question = [], ""
    for speaker, said in spoken:
        if not isinstance(said, str) or not said.strip() or speaker == "system":
            continue
        if speaker in ("user", "human", "患者", "patient"):
            question = f"{question} {clean(said)}".strip()
        else:
            sections.append(
                SourceSection(clean(said).strip(), " ".join(question.split())[:400], departments=departments)
            )
            question = ""
    if question:
        sections.append(SourceSection(question, departments=departments))
    return sections


def _object(record: dict[str, Any], departments: tuple[str, ...]) -> Iterator[SourceSection]:
    name = _name_of(record)
    texts = [key for key in record if key.casefold() in _TEXT_KEYS and isinstance(record[key], str)]
    if not name and len(texts) == 1 and not departments and (described := department_described(record[texts[0]])):
        name, departments = described[0], (described[1],)
    for heading, text in _by_path(record, [name] if name else []):
        yield SourceSection(text, heading, departments=departments)


def _by_path(value: dict[str, Any], path: list[str]) -> Iterator[tuple[str, str]]:
    """(heading path, text): short values together, each long one under its own key."""
    short: list[str] = []
    long: list[tuple[list[str], Any]] = []
    for key, inner in value.items():
        if key.casefold() in _MARKS_NOTHING or (isinstance(inner, str) and _ADDRESS.fullmatch(inner.strip())):
            continue
        if path and _is_short(inner) and str(inner).strip() == path[0]:
            continue
        if _is_short(inner):
            short.append(_line(key, inner))
        elif inner not in ("", None, [], {}):
            long.append(
                ([*path] if key.casefold() in _TEXT_KEYS and isinstance(inner, str) else [*path, clean(key)], inner)
            )
    heading = " > ".join(path)
    if text := "\n".join(filter(None, short)):
        yield heading, text
    for place, inner in long:
        if isinstance(inner, dict):
            yield from _by_path(inner, place)
        elif isinstance(inner, list):
            yield from _of_list(inner, place)
        else:
            yield " > ".join(place), clean(str(inner)).strip()


def _of_list(values: list[Any], path: list[str]) -> Iterator[tuple[str, str]]:
    plain = [_scalar(value) for value in values if not isinstance(value, dict | list)]
    if plain:
        yield " > ".join(path), "\n".join(plain)
    for value in values:
        if isinstance(value, dict):
            name = _name_of(value)
            yield from _by_path(value, [*path, name] if name else path)
        elif isinstance(value, list):
            yield from _of_list(value, path)


def _is_short(value: Any) -> bool:
    if isinstance(value, list):
        return (
            bool(value)
            and all(_is_short(inner) and not isinstance(inner, list) for inner in value)
            and sum(len(str(inner)) for inner in value) <= 4 * _SHORT
        )
    if isinstance(value, str):
        return 0 < len(value.strip()) <= _SHORT and not _SENTENCE.search(value) and "\n" not in value.strip()
    return isinstance(value, int | float) and value is not None


def _line(key: str, value: Any) -> str:
    parts = [_scalar(inner) for inner in (value if isinstance(value, list) else [value])]
    chinese = holds_chinese(key + "".join(parts))
    text = ("、" if chinese else ", ").join(part for part in parts if part)
    return f"{clean(key)}{'：' if chinese else ': '}{text}" if text else ""


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    return " ".join(clean(str(value)).split()) if value is not None else ""


def _name_of(record: dict[str, Any]) -> str:
    """What a record is about: its name or title, also one object further down."""
    for inner in (record, *(value for value in record.values() if isinstance(value, dict))):
        for key in inner:
            is_name = key.casefold() in _NAME_KEYS or key.casefold().endswith(_NAME_ENDINGS)
            if is_name and isinstance(inner[key], str) and 0 < len(inner[key].strip()) <= 2 * _SHORT:
                return " ".join(clean(inner[key]).split())
    return ""


def _departments_of(record: dict[str, Any]) -> tuple[str, ...]:
    """The departments a record names under a key of that meaning, also one object further down."""
    named: list[str] = []
    for inner in (record, *(value for value in record.values() if isinstance(value, dict))):
        for key, value in inner.items():
            if _DEPARTMENT_KEYS.search(key):
                named += (
                    [value]
                    if isinstance(value, str)
                    else [one for one in value if isinstance(one, str)]
                    if isinstance(value, list)
                    else []
                )
    return tuple(dict.fromkeys(found for name in reversed(named) for found in departments_named(name)))
