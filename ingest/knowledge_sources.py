"""The shipped knowledge as source documents: guides, and what departments say of themselves."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache

from ingest.documents import SourceDocument, SourceSection
from knowledge.departments import Department, load_departments
from knowledge.guidelines import Guide, load_guides
from knowledge.records import KNOWLEDGE_DIR, LANGUAGES, Language
from knowledge.script import FULL_STOP, LIST_MARK

_LABELS: dict[str, dict[Language, str]] = {
    "about": {"zh": "科室介绍", "en": "About the department"},
    "treats": {"zh": "诊治范围", "en": "What it treats"},
    "bring": {"zh": "就诊要带什么", "en": "What to bring"},
    "prepare": {"zh": "就诊前准备", "en": "How to prepare"},
    "first_tests": {"zh": "常做的检查", "en": "Usual first tests"},
    "boundaries": {"zh": "容易混淆的情况", "en": "Looks alike, belongs elsewhere"},
}


def knowledge_documents() -> Iterator[SourceDocument]:
    """Every guide and every department, in both languages."""
    for guide in load_guides().values():
        yield from _guide_documents(guide)
    departments = load_departments()
    for department in departments.values():
        yield from _department_documents(department, departments)


@cache
def knowledge_fingerprint() -> str:
    """Short hex that changes with any byte of the shipped guides and departments."""
    digest = hashlib.sha256()
    for folder, pattern in (("departments", "*.yaml"), ("guidelines", "*.md")):
        for path in sorted((KNOWLEDGE_DIR / folder).glob(pattern)):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


_NAMED_SECTIONS = ("what", "described", "department")  # where a guide is found by its other names


def _guide_documents(guide: Guide) -> Iterator[SourceDocument]:
    for language in LANGUAGES:
        sections = [
            part
            for section in guide.sections
            if section.language == language
            for part in _by_question(section.heading, section.text, language, _names(guide, section.key, language))
        ]
        yield _document(
            f"guidelines/{guide.id}",
            guide.header.title.in_language(language),
            "guide",
            sections,
            guide.header.departments,
        )


def _names(guide: Guide, key: str, language: Language) -> str:
    return "\n".join(guide.header.synonyms.in_language(language)) if key in _NAMED_SECTIONS else ""


def _by_question(heading: str, text: str, language: Language, names: str) -> Iterator[SourceSection]:
    """A section, or one for each `### question` in it, so that a question is searched with its own answer."""
    parts = re.split(r"^###\s+(.+)$", text, flags=re.MULTILINE)
    if parts[0].strip():
        yield SourceSection(parts[0].strip(), heading, language=language, search_terms=names)
    for question, answer in zip(parts[1::2], parts[2::2], strict=True):
        yield SourceSection(answer.strip(), f"{heading} > {question.strip()}", language=language)


def _department_documents(department: Department, departments: dict[str, Department]) -> Iterator[SourceDocument]:
    for language in LANGUAGES:
        texts = {
            "about": department.about.in_language(language),
            "boundaries": "\n".join(_boundary_sentences(department, departments, language)),
            **{
                name: _listed(getattr(department, name).in_language(language), language)
                for name in ("treats", "bring", "prepare", "first_tests")
            },
        }
        sections = [
            SourceSection(text, _LABELS[name][language], language=language) for name, text in texts.items() if text
        ]
        yield _document(
            f"departments/{department.id}",
            department.name.in_language(language),
            "department",
            sections,
            (department.id,),
        )


def _boundary_sentences(
    department: Department, departments: dict[str, Department], language: Language
) -> Iterator[str]:
    for boundary in department.boundaries:
        other = (
            departments[boundary.belongs_to].name.in_language(language)
            if boundary.belongs_to in departments
            else boundary.belongs_to
        )
        complaint, decides = boundary.complaint.in_language(language), boundary.decides.in_language(language)
        if language == "zh":
            yield f"{complaint}，看{other}：{decides}"
        else:
            yield f"{complaint[:1].upper()}{complaint[1:]} belongs to {other}: {decides}"


def _listed(items: tuple[str, ...], language: Language) -> str:
    if not items:
        return ""
    return LIST_MARK[language].join(items) + FULL_STOP[language]


def _document(
    source_id: str, title: str, kind: str, sections: list[SourceSection], departments: tuple[str, ...]
) -> SourceDocument:
    digest = hashlib.sha256("\n".join(section.text for section in sections).encode()).hexdigest()
    return SourceDocument(source_id, title, kind, digest, tuple(sections), departments)  # type: ignore[arg-type]
