"""Clinical guides: one condition or symptom each, Markdown with a front matter, in both languages."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from knowledge.errors import InvalidKnowledge
from knowledge.records import (
    KNOWLEDGE_DIR,
    LANGUAGES,
    Bilingual,
    BilingualList,
    Language,
    Record,
    RecordId,
    Reviewed,
    parse_yaml,
    validated,
)

# section key -> its heading in each language, in the order a guide has them
SECTIONS: dict[str, tuple[str, str]] = {
    "what": ("是什么", "What it is"),
    "described": ("患者怎么说", "How people describe it"),
    "causes": ("原因与风险", "Causes and risk"),
    "danger": ("危险信号", "Danger signs"),
    "department": ("看哪个科", "Which department"),
    "doctor": ("医生会问什么、查什么", "What the doctor asks and checks"),
    "treatment": ("治疗原则", "Principles of treatment"),
    "self_care": ("在家怎么做", "What to do at home"),
    "prevention": ("预防与复查", "Prevention and follow-up"),
    "questions": ("常见问题", "Common questions"),
}
# how a line of the danger section begins -> the least urgent level label it may have in the red flags
DANGER_LEVELS = {"120": "I", "急诊": "II", "emergency": "II", "当天": "III", "today": "III"}

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


class GuideSection(Record):
    """One headed part of a guide. `line` is where its text begins in the file, 1-based."""

    key: str
    language: Language
    heading: str
    text: str
    line: int

    def danger_signs(self) -> tuple[tuple[str, str], ...]:
        """(level label, sign) for every line such as `- 急诊：胸痛超过15分钟` of a danger section."""
        signs = []
        for line in self.text.splitlines():
            match = re.match(r"-\s*(120|急诊|当天|Emergency|Today)\s*[：:]\s*(.+)", line.strip(), re.IGNORECASE)
            if match:
                signs.append((DANGER_LEVELS[match[1].lower()], match[2]))
        return tuple(signs)


class GuideHeader(Reviewed):
    """The front matter of a guide."""

    id: RecordId
    title: Bilingual
    departments: tuple[RecordId, ...]
    synonyms: BilingualList


class Guide(Record):
    """A clinical guide: its front matter and its sections in both languages."""

    header: GuideHeader
    sections: tuple[GuideSection, ...]

    @property
    def id(self) -> str:
        return self.header.id

    def section(self, key: str, language: Language) -> GuideSection | None:
        return next((part for part in self.sections if (part.key, part.language) == (key, language)), None)


def read_guide(path: Path) -> Guide:
    """The guide in that file. Raises InvalidKnowledge naming file, line and what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InvalidKnowledge(f"{path.name}: cannot be read as UTF-8 ({fault})") from None
    front = _FRONT_MATTER.match(text)
    if front is None:
        raise InvalidKnowledge(f"{path.name}:1: a guide begins with a front matter between two `---` lines")
    header = validated(GuideHeader, parse_yaml(front[1], path, first_line=2), path)
    if header.id != path.stem:
        raise InvalidKnowledge(f"{path.name}:2: id is {header.id!r}; rename the file to {header.id}.md")
    return Guide(header=header, sections=tuple(_sections(path, text, front.end())))


def _sections(path: Path, text: str, start: int) -> list[GuideSection]:
    keys = {
        heading: (key, language)
        for key, pair in SECTIONS.items()
        for heading, language in zip(pair, LANGUAGES, strict=True)
    }
    lines = text[start:].splitlines()
    offset = text[:start].count("\n")
    heads = [number for number, line in enumerate(lines) if line.startswith("## ")]
    sections = []
    for number, following in zip(heads, [*heads[1:], len(lines)], strict=True):
        heading = lines[number][3:].strip()
        if heading not in keys:
            raise InvalidKnowledge(
                f"{path.name}:{offset + number + 1}: unknown heading {heading!r}; see knowledge/SCHEMA.md"
            )
        key, language = keys[heading]
        body = [line for line in lines[number + 1 : following] if not line.startswith("# ")]
        sections.append(
            GuideSection(
                key=key, language=language, heading=heading, text="\n".join(body).strip(), line=offset + number + 2
            )
        )
    return sections


@cache
def load_guides(folder: Path = KNOWLEDGE_DIR / "guidelines") -> dict[str, Guide]:
    """Every guide by id, validated."""
    return {path.stem: read_guide(path) for path in sorted(folder.glob("*.md"))}
