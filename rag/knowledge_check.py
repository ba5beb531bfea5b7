"""Everything the knowledge must hold to be trusted, checked record by record; each fault with file and line."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from knowledge.departments import Department
from knowledge.guidelines import Guide
from knowledge.records import KNOWLEDGE_DIR, LANGUAGES
from knowledge.red_flags import RedFlag, Sign
from knowledge.self_care import SelfCare
from rag.faults import Fault, in_file
from rag.guide_check import guide_faults
from rag.red_flag_check import red_flag_faults
from rag.red_flag_matcher import RedFlagMatcher

MIN_COMPLAINTS = {"zh": 15, "en": 10}
# a number with a unit of a medicine, or a count of pills a day
_DOSE = re.compile(
    r"\d+(?:\.\d+)?\s*(?:mg|毫克|μg|ug|微克|mcg|万单位|IU)(?![/／\s]*(?:dl|l\b|L\b|kg\b|m|h|24|d))|[一二三四两\d]+\s*(?:片|粒|颗|丸|支|袋|包|tablets?|capsules?|pills?)\s*[，,/]?\s*(?:每日|每天|一日|一天|每次|[一二三四两\d]+\s*次|a day|daily|twice|every)|(?<!尿片)(?:每日|每天|一日|每次)\s*[一二三四两\d]+\s*(?:片(?!尿|湿尿|以上湿尿)|粒|颗|丸|毫升|ml)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Knowledge:
    """All records, loaded."""

    departments: Mapping[str, Department]
    signs: Mapping[str, Sign]
    flags: Mapping[str, RedFlag]
    guides: Mapping[str, Guide]
    self_care: tuple[SelfCare, ...]


def find_faults(knowledge: Knowledge) -> Iterator[Fault]:
    """Every fault in records that load; a record that does not load has raised InvalidKnowledge before."""
    matcher = RedFlagMatcher(knowledge.flags, knowledge.signs)
    yield from _department_faults(knowledge)
    yield from _duplicate_phrases(knowledge.departments)
    for flag_id, problem in red_flag_faults(matcher):
        yield _at("red_flags", f"id: {flag_id}", f"{flag_id}: {problem}")
    for flag in knowledge.flags.values():
        for department_id in flag.departments:
            if department_id not in knowledge.departments:
                yield _at("red_flags", f"id: {flag.id}", f"{flag.id}: no department {department_id!r}")
    yield from guide_faults(knowledge.guides, knowledge.departments, matcher)
    yield from _self_care_faults(knowledge)
    yield from _doses(knowledge)


def _department_faults(knowledge: Knowledge) -> Iterator[Fault]:
    questions = Counter(
        question.id for department in knowledge.departments.values() for question in department.questions
    )
    for department in knowledge.departments.values():
        path = KNOWLEDGE_DIR / "departments" / f"{department.id}.yaml"
        for language in LANGUAGES:
            complaints = department.complaints.in_language(language)
            if department.referral_only and complaints:
                yield Fault(path, 1, "referral_only, yet it has complaints")
            if not department.referral_only and len(complaints) < MIN_COMPLAINTS[language]:
                yield Fault(path, 1, f"{len(complaints)} {language} complaints; at least {MIN_COMPLAINTS[language]}")
        for boundary in department.boundaries:
            target = knowledge.departments.get(boundary.belongs_to)
            if target is None or target is department:
                yield in_file(
                    path,
                    boundary.complaint.zh,
                    f"boundary leads to {boundary.belongs_to!r}, which is no other department of ours",
                )
        for question in department.questions:
            if questions[question.id] > 1:
                yield in_file(
                    path, f"id: {question.id}", f"question id {question.id!r} is used {questions[question.id]} times"
                )
            for department_id, effect in (
                (key, value) for option in question.options for key, value in option.effect.items()
            ):
                if department_id not in knowledge.departments:
                    yield in_file(
                        path, f"id: {question.id}", f"{question.id}: effect on unknown department {department_id!r}"
                    )
                if not -3 <= effect <= 3:
                    yield in_file(path, f"id: {question.id}", f"{question.id}: effect {effect}; between -3 and 3")


def _duplicate_phrases(departments: Mapping[str, Department]) -> Iterator[Fault]:
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for department in departments.values():
        for phrase in department.complaints.both():
            owners[phrase.casefold()].add(department.id)
    for phrase, ids in owners.items():
        if len(ids) > 1:
            first = sorted(ids)[0]
            yield in_file(
                KNOWLEDGE_DIR / "departments" / f"{first}.yaml",
                phrase,
                f"{phrase!r} is a complaint of {', '.join(sorted(ids))}",
            )


def _self_care_faults(knowledge: Knowledge) -> Iterator[Fault]:
    path = KNOWLEDGE_DIR / "self_care.yaml"
    for record in knowledge.self_care:
        for sign_id in (*record.signs, *record.also_fine):
            if sign_id not in knowledge.signs:
                yield in_file(path, f"id: {record.id}", f"{record.id}: unknown sign {sign_id!r}")


def _doses(knowledge: Knowledge) -> Iterator[Fault]:
    """Doses in anything that is shown; phrases that only patients say are not."""
    for path in sorted((*KNOWLEDGE_DIR.glob("departments/*.yaml"), *KNOWLEDGE_DIR.glob("guidelines/*.md"))):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if match := _DOSE.search(line):
                yield Fault(path, number, f"looks like a dose: {match[0]!r}")
    for flag in knowledge.flags.values():
        if match := _DOSE.search(f"{flag.advice.zh}\n{flag.advice.en}"):
            yield _at("red_flags", f"id: {flag.id}", f"{flag.id}: looks like a dose: {match[0]!r}")


def _at(folder: str, text: str, problem: str) -> Fault:
    for path in sorted((KNOWLEDGE_DIR / folder).glob("*.yaml")):
        fault = in_file(path, text, problem)
        if fault.line > 1 or text in path.read_text(encoding="utf-8"):
            return fault
    return Fault(KNOWLEDGE_DIR / folder, 1, problem)
