"""The shape every knowledge record shares, and the reading of record files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from knowledge.errors import InvalidKnowledge

KNOWLEDGE_DIR = Path(__file__).resolve().parent
Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, Language] = ("zh", "en")

RecordId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Record(BaseModel):
    """Immutable; a misspelt key is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Bilingual(Record):
    """The same thing said in Chinese and in English."""

    zh: Text
    en: Text

    def in_language(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


class BilingualList(Record):
    """Phrases in both languages; the two lists need not translate each other."""

    zh: tuple[Text, ...] = ()
    en: tuple[Text, ...] = ()

    def in_language(self, language: Language) -> tuple[str, ...]:
        return self.zh if language == "zh" else self.en

    def both(self) -> tuple[str, ...]:
        return self.zh + self.en


class Source(Record):
    """Where a statement comes from. Named only when sure; a doubtful source is worse than none."""

    title: Text
    body: Text
    year: int | None = Field(default=None, ge=1900, le=2100)


class Reviewed(Record):
    """A record that says what it rests on and whether a clinician has signed it."""

    sources: tuple[Source, ...] = ()
    basis: Literal["general clinical knowledge"] | None = None
    review: str = "unreviewed"

    def model_post_init(self, _context: Any) -> None:
        if not self.sources and self.basis is None:
            raise ValueError("needs `sources`, or `basis: general clinical knowledge`")


R = TypeVar("R", bound=BaseModel)


_parsed: dict[Path, str] = {}


def remember_parsed(contents: Mapping[Path, str]) -> None:
    """What YAML files that have not changed since hold, as JSON: it is read many times faster."""
    _parsed.update(contents)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; a fault names the file and the line."""
    if path in _parsed:
        return json.loads(_parsed[path])
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError:
        raise InvalidKnowledge(f"{path.name}: not UTF-8; save it as UTF-8") from None
    except OSError as fault:
        raise InvalidKnowledge(f"{path.name}: cannot be read ({fault.strerror})") from None


def parse_yaml(text: str, path: Path, first_line: int = 1) -> Any:
    """YAML text that begins at that line of the file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + first_line if fault.problem_mark else first_line
        raise InvalidKnowledge(f"{path.name}:{line}: not valid YAML ({fault.problem}); mend that line") from None
    except yaml.YAMLError as fault:
        raise InvalidKnowledge(f"{path.name}: not valid YAML ({fault}); mend it") from None


def validated(kind: type[R], values: Any, path: Path, at: str = "") -> R:
    """`values` as a record of that kind; a fault names file, line, field and what is wrong with it."""
    if not isinstance(values, dict):
        raise InvalidKnowledge(f"{path.name}{at}: expected `key: value` lines, found {type(values).__name__}")
    try:
        return kind(**values)
    except ValidationError as fault:
        first = fault.errors()[0]
        keys = [key for key in first["loc"] if key not in ("zh", "en")]
        field = ".".join(str(key) for key in first["loc"])
        line = _line_of(path, values.get("id"), str(keys[0]) if keys else None)
        problem = first["msg"].removeprefix("Value error, ")
        raise InvalidKnowledge(f"{path.name}:{line}{at}: {field or 'record'}: {problem}") from None


def _line_of(path: Path, record_id: object, field: str | None) -> int:
    """The line where that field of that record stands; the record's own line where the field is missing."""
    start = 1
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if record_id is not None and line.strip().removeprefix("- ") == f"id: {record_id}":
            start = number
            break
    for number, line in enumerate(lines[start - 1 :], start):
        if number > start and line.lstrip().startswith("- id:"):
            break
        if field is not None and line.strip().removeprefix("- ").startswith(f"{field}:"):
            return number
    return start


def yaml_files(folder: Path) -> Iterator[Path]:
    """The record files of a folder, in a stable order."""
    yield from sorted(path for path in folder.glob("*.yaml") if not path.name.startswith((".", "_")))
