"""Training records of triage: which department a complaint belongs to, and how urgent words are."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

from finetune.grounding import LICENCE, SOURCE, Grounded, GroundingRules, Progress, some_of
from finetune.records import dialogue
from finetune.task_prompts import CANDIDATES, ROUTING_SYSTEM, URGENCY_SYSTEM
from knowledge.departments import Department
from knowledge.records import Language
from knowledge.red_flags import load_red_flags
from knowledge.replies import TriageDecision
from knowledge.script import LIST_MARK
from knowledge.urgency import UrgencyLevel
from rag.assistant import Assistant


def routing_records(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """A complaint and a list of departments, 3 to 12 long and never the same, in which the router's own near misses stand."""
    rng, made = random.Random(rules.seed), Grounded()
    departments = assistant.context.departments
    complaints = some_of(list(complaints_of(departments.values(), rules.languages)), rules, rng)
    for number, (complaint, department, language) in enumerate(complaints):
        progress("routing", number, len(complaints))
        ranked = [entry.department for entry in triage_of(assistant, complaint, language).departments]
        others = [other for other in ranked if other.id != department.id][:4]
        rest = [other for other in departments.values() if other.id != department.id and other not in others]
        offered = [department, *others, *rng.sample(rest, min(len(rest), rng.randint(2, 7)))]
        rng.shuffle(offered)
        names = LIST_MARK[language].join(other.name.in_language(language) for other in offered)
        made.records.append(
            dialogue(
                f"{CANDIDATES[language]}: {names}\n\n{complaint}",
                department.name.in_language(language),
                system=ROUTING_SYSTEM[language],
                source=SOURCE,
                licence=LICENCE,
                tags=("routing", f"department:{department.id}", language),
            )
        )
    return made


def complaints_of(
    departments: Iterable[Department], languages: Sequence[Language]
) -> Iterator[tuple[str, Department, Language]]:
    """What patients say who belong to a department: (complaint, department, language)."""
    for department in departments:
        if not department.referral_only:
            for language in languages:
                for complaint in department.complaints.in_language(language):
                    yield complaint, department, language


def triage_of(assistant: Assistant, words: str, language: Language) -> TriageDecision:
    """What the assistant decides, before it answers."""
    for part in assistant.stream(words, language=language):
        if isinstance(part, TriageDecision):
            return part
    raise RuntimeError("a stream of parts begins with the triage")


def urgency_records(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """What the red flags' triggers and near misses are decided as; never below the level of the flag a trigger belongs to."""
    rng, made = random.Random(rules.seed), Grounded()
    told = some_of(list(_told(rules.languages)), rules, rng)
    for number, (words, least, language) in enumerate(told):
        progress("urgency", number, len(told))
        level = max(triage_of(assistant, words, language).urgency, least)
        answer = f"{level.title(language)}\n{level.instruction(language)}"
        tags = ("urgency", f"urgency:{level.label}", language)
        made.records.append(
            dialogue(words, answer, system=URGENCY_SYSTEM[language], source=SOURCE, licence=LICENCE, tags=tags)
        )
    return made


def _told(languages: Sequence[Language]) -> Iterator[tuple[str, UrgencyLevel, Language]]:
    for flag in load_red_flags().values():
        for language in languages:
            yield from ((words, flag.level, language) for words in flag.triggers.in_language(language))
            yield from ((words, UrgencyLevel.HOME, language) for words in flag.near_misses.in_language(language))
