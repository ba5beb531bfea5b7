"""Tables into lines that can be quoted alone: each row with the header's names before its values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ingest.department_names import departments_named
from ingest.documents import SourceSection
from knowledge.script import holds_chinese

_NUMBER = re.compile(r"^[\s\d.,:/%+\-~～<>≤≥=±()（）*℃°年月日]+$")
_QUESTION = re.compile(
    r"^(?:问题?|患者提问|常见问题|标准问题?|提问|question|query|ask|q|faq|instruction|prompt|title|标题)$",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"^(?:答案?|回答|回复|解答|标准答案|医生回答|answer|reply|response|a|output|completion)$", re.IGNORECASE
)
_DEPARTMENT = re.compile(r"^(?:所属|就诊|推荐|挂号)?(?:科室|科别)(?:名称)?$|^departments?$", re.IGNORECASE)
LONGEST_NAME = 40  # characters of a column's name; it must match rag.sentences' idea of a row

Row = Sequence[str]


def is_question_name(name: str) -> bool:
    """Whether a column or key of that name holds questions."""
    return bool(_QUESTION.match(name.strip()))


def is_answer_name(name: str) -> bool:
    """Whether a column or key of that name holds answers."""
    return bool(_ANSWER.match(name.strip()))


def is_department_name(name: str) -> bool:
    """Whether a column or key of that name holds departments."""
    return bool(_DEPARTMENT.match(name.strip()))


def is_header(first: Row, rest: Sequence[Row]) -> bool:
    """Whether a table's first row names its columns: short, all different, no numbers where values are, no sentences."""
    names = [cell.strip() for cell in first]
    filled = [name for name in names if name]
    if len(filled) < max(2, len(names) / 2) or len(set(filled)) < len(filled):
        return False
    if any(len(name) > LONGEST_NAME or _NUMBER.match(name) or name.endswith(("。", "！", "!")) for name in filled):
        return False
    if any(map(is_question_name, filled)) and any(map(is_answer_name, filled)):
        return True
    longest = max((len(cell) for row in rest for cell in row), default=0)
    return bool(rest) and max(map(len, filled)) <= max(20, longest)


def row_line(names: Row | None, row: Row) -> str:
    """A row as one line: "名称：值；名称：值" in Chinese, "name: value; name: value" in English; without names its cells."""
    cells = [
        (_one_line(names[place]) if names and place < len(names) else "", _one_line(cell))
        for place, cell in enumerate(row)
    ]
    filled = [(name, cell) for name, cell in cells if cell]
    if len(filled) > 1 and len({cell for _, cell in filled}) == 1:
        return filled[0][1]  # one cell over the whole row
    chinese = any(holds_chinese(name + cell) for name, cell in filled)
    colon, semicolon, comma = ("：", "；", "，") if chinese else (": ", "; ", ", ")
    parts = []
    for name, cell in filled:
        value = re.sub(r"\s*[；;]\s*", comma, cell).strip("，, ") if len(filled) > 1 else cell
        parts.append(f"{name.rstrip('：: ')}{colon}{value}" if name else value)
    return semicolon.join(part for part in parts if part)


def lines_of(rows: Iterable[Row]) -> Iterator[str]:
    """A table's rows as lines. Its first row is the header where it reads like one; a header repeated further down is left out."""
    table = [row for row in rows if any(cell.strip() for cell in row)]
    if not table:
        return
    names = table[0] if is_header(table[0], table[1:]) else None
    if names is not None and len(table) == 1:
        names = None
    for row in table[1:] if names is not None else table:
        if names is None or [cell.strip() for cell in row] != [cell.strip() for cell in names]:
            yield row_line(names, row)


def _one_line(cell: str) -> str:
    return " ".join(cell.split())


def question_sections(names: Row, rows: Iterable[Row], heading: str = "") -> Iterator[SourceSection]:
    """A sheet of questions: the question is the heading, its answer the text, what else the row says stands below."""
    ask = next(place for place, name in enumerate(names) if is_question_name(name))
    reply = next(place for place, name in enumerate(names) if is_answer_name(name))
    where = next((place for place, name in enumerate(names) if is_department_name(name)), None)
    for row in rows:
        cells = [cell.strip() for cell in row] + [""] * (len(names) - len(row))
        if not any(cells):
            continue
        others = row_line(names, ["" if place in (ask, reply) else cell for place, cell in enumerate(cells)])
        title = _one_line(cells[ask])
        text = cells[reply] or title
        yield SourceSection(
            "\n".join(part for part in (text, others) if part),
            " > ".join(part for part in (heading, title if cells[reply] else "") if part),
            departments=departments_named(cells[where]) if where is not None else (),
        )


def is_question_header(names: Row) -> bool:
    """Whether columns of these names make a sheet of questions and answers."""
    return any(map(is_question_name, names)) and any(map(is_answer_name, names))
