"""The project's own records as text pairs: the only place where the embedder meets both languages side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune.embedder_pairs import TextPair
from knowledge.departments import Department, load_departments
from knowledge.guidelines import Guide, load_guides
from knowledge.records import LANGUAGES, Bilingual, BilingualList, Language
from knowledge.red_flags import RedFlag, Sign, load_red_flags, load_signs

_PATTERN_SIGNS = re.compile(r"[()|~]|\.\.")  # what a phrase of the pattern language holds and a plain phrase does not


def department_pairs() -> Iterator[TextPair]:
    """Names, complaints, boundaries and questions of the departments, across both languages."""
    departments = load_departments()
    for department in departments.values():
        yield from _of_department(department, departments)


def guide_pairs() -> Iterator[TextPair]:
    """Titles, other names, questions and sections of the guides."""
    for guide in load_guides().values():
        yield from _of_guide(guide)


def red_flag_pairs() -> Iterator[TextPair]:
    """Phrases of the signs, and triggers and advice of the red flags."""
    for sign in load_signs().values():
        yield from _of_sign(sign)
    for flag in load_red_flags().values():
        yield from _of_red_flag(flag)


def _of_department(department: Department, departments: dict[str, Department]) -> Iterator[TextPair]:
    topic = f"department/{department.id}"
    yield from across(department.name, department.about, topic=topic)
    yield from joined_across(department.treats, department.aliases, topic=topic)
    for lists in (department.bring, department.prepare, department.first_tests):
        yield from joined_across(lists, topic="")
    for alias in department.aliases.both():
        for language in LANGUAGES:
            yield pair(alias, department.name.in_language(language), topic)
    for complaint in department.complaints.both():
        for language in LANGUAGES:
            yield pair(complaint, portrait(department, language), topic)
            yield pair(complaint, department.about.in_language(language), topic)
    for boundary in department.boundaries:
        yield from across(boundary.complaint, boundary.decides)
        neighbour = departments.get(boundary.belongs_to)
        if neighbour is not None:
            for language in LANGUAGES:
                complaint = boundary.complaint.in_language(language)
                yield pair(complaint, portrait(neighbour, language), f"department/{neighbour.id}")
    for question in department.questions:
        yield from across(question.ask, question.why)
        for option in question.options:
            yield from across(Bilingual(zh=option.zh, en=option.en))


def _of_guide(guide: Guide) -> Iterator[TextPair]:
    header = guide.header
    yield from across(header.title, topic=f"guide/{guide.id}")
    yield from joined_across(header.synonyms, topic=f"guide/{guide.id}")
    for synonym in header.synonyms.both():
        for language in LANGUAGES:
            yield pair(synonym, header.title.in_language(language), f"guide/{guide.id}")
    for section in guide.sections:
        topic = f"guide/{guide.id}/{section.key}"
        yield pair(f"{header.title.in_language(section.language)} {section.heading}", section.text, topic)
        other = guide.section(section.key, "en") if section.language == "zh" else None
        if other is not None:
            yield pair(section.text, other.text, topic)
            signs, other_signs = section.danger_signs(), other.danger_signs()
            if [level for level, _ in signs] == [level for level, _ in other_signs]:  # told line by line alike
                for (_, chinese), (_, english) in zip(signs, other_signs, strict=True):
                    yield pair(chinese, english)
        for asked, answer in re.findall(r"^### (.+)\n+((?:(?!###).+\n?)+)", section.text, re.MULTILINE):
            yield pair(asked, answer.strip())


def _of_sign(sign: Sign) -> Iterator[TextPair]:
    yield from across(sign.name, topic=f"sign/{sign.id}")
    for phrase in (*sign.zh, *sign.en):
        if not _PATTERN_SIGNS.search(phrase):
            for language in LANGUAGES:
                yield pair(phrase, sign.name.in_language(language), f"sign/{sign.id}")


def _of_red_flag(flag: RedFlag) -> Iterator[TextPair]:
    yield from across(flag.name, flag.advice, topic=f"flag/{flag.id}")
    for trigger in flag.triggers.both():
        for language in LANGUAGES:
            yield pair(trigger, flag.name.in_language(language), f"flag/{flag.id}")


def portrait(department: Department, language: Language) -> str:
    """What a department is called and treats, as one text."""
    return f"{department.name.in_language(language)}: {', '.join(department.treats.in_language(language))}"


def pair(anchor: str, positive: str, topic: str = "") -> TextPair:
    """A pair split by its anchor. topic: pairs of one topic are no negatives of each other."""
    return TextPair(anchor, positive, key=anchor, topic=topic)


def across(*texts: Bilingual, topic: str = "") -> Iterator[TextPair]:
    """Each text's Chinese beside its English."""
    for text in texts:
        yield pair(text.zh, text.en, topic)


def joined_across(*lists: BilingualList, topic: str = "") -> Iterator[TextPair]:
    """Both languages' phrases as one text each: as a whole they say the same, one by one they need not."""
    for phrases in lists:
        if phrases.zh and phrases.en:
            yield pair(", ".join(phrases.zh), ", ".join(phrases.en), topic)
