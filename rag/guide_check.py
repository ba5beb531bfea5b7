"""What a guide must hold to be quoted to a patient; each fault with file and line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from knowledge.departments import Department
from knowledge.guidelines import SECTIONS, Guide
from knowledge.records import KNOWLEDGE_DIR, LANGUAGES
from knowledge.script import chinese_characters
from knowledge.urgency import UrgencyLevel
from rag.faults import Fault, in_file
from rag.red_flag_matcher import RedFlagMatcher
from rag.wording import normalise

MIN_CHINESE_CHARS, MIN_ENGLISH_WORDS = 1000, 150
MIN_QUESTIONS = {"zh": 5, "en": 3}
MIN_GUIDES = 3  # that name a department
PARAGRAPH_CHARS = {"zh": 40, "en": 100}  # from this length a line that stands in two guides was copied


def guide_faults(
    guides: Mapping[str, Guide], departments: Mapping[str, Department], matcher: RedFlagMatcher
) -> Iterator[Fault]:
    """Every fault of every guide, and of what they cover together."""
    for guide in guides.values():
        yield from _faults_of(guide, departments, matcher)
    yield from _copied_paragraphs(guides)
    yield from _uncovered(guides, departments)


def _faults_of(guide: Guide, departments: Mapping[str, Department], matcher: RedFlagMatcher) -> Iterator[Fault]:
    path = _path_of(guide.id)
    for department_id in guide.header.departments:
        if department_id not in departments:
            yield in_file(path, "departments:", f"no department {department_id!r}")
    for language in LANGUAGES:
        for key, headings in SECTIONS.items():
            if guide.section(key, language) is None:
                yield Fault(path, 1, f"section {headings[0 if language == 'zh' else 1]!r} is missing")
        questions = guide.section("questions", language)
        count = questions.text.count("### ") if questions else 0
        if count < MIN_QUESTIONS[language]:
            yield Fault(
                path,
                questions.line if questions else 1,
                f"{count} {language} questions; at least {MIN_QUESTIONS[language]}",
            )
        danger = guide.section("danger", language)
        for label, sign in danger.danger_signs() if danger else ():
            raised = matcher.read(sign).raised
            reached = max((found.flag.level for found in raised), default=UrgencyLevel.IV)
            if reached < UrgencyLevel.from_label(label):
                yield in_file(
                    path, sign, f"danger sign of level {label} reaches only {reached.label} in the red flags: {sign}"
                )
    chinese = sum(len(chinese_characters(section.text)) for section in guide.sections if section.language == "zh")
    english = sum(len(section.text.split()) for section in guide.sections if section.language == "en")
    if chinese < MIN_CHINESE_CHARS:
        yield Fault(path, 1, f"{chinese} Chinese characters; at least {MIN_CHINESE_CHARS}")
    if english < MIN_ENGLISH_WORDS:
        yield Fault(path, 1, f"{english} English words; at least {MIN_ENGLISH_WORDS}")


def _copied_paragraphs(guides: Mapping[str, Guide]) -> Iterator[Fault]:
    owners: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for guide in guides.values():
        for section in guide.sections:
            for line in section.text.splitlines():
                if len(line) >= PARAGRAPH_CHARS[section.language]:
                    owners[normalise(line)].append((guide.id, line))
    for places in owners.values():
        for guide_id, line in places[1:]:
            yield in_file(_path_of(guide_id), line, f"stands word for word in {places[0][0]} too: {line[:40]}…")


def _uncovered(guides: Mapping[str, Guide], departments: Mapping[str, Department]) -> Iterator[Fault]:
    named = Counter(department_id for guide in guides.values() for department_id in guide.header.departments)
    for department in departments.values():
        if named[department.id] < MIN_GUIDES:
            path = KNOWLEDGE_DIR / "departments" / f"{department.id}.yaml"
            yield Fault(path, 1, f"{named[department.id]} guides name this department; at least {MIN_GUIDES}")


def _path_of(guide_id: str) -> Path:
    return KNOWLEDGE_DIR / "guidelines" / f"{guide_id}.md"
