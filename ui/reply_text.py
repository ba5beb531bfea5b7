"""A reply, its card and its hand-off note as text, in either language. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

from knowledge.records import Language
from knowledge.replies import (
    AssistantReply,
    CitedAnswer,
    FollowUp,
    HandOffNote,
    Intake,
    RankedDepartment,
    TriageCard,
    TriageDecision,
)

WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "why": "原因",
        "departments": "科室",
        "answer": "依据资料",
        "sources": "出处",
        "ask": "想再问一句",
        "notice": "这是就医指引，不是诊断。",
        "card": "就医卡",
        "about": "病人",
        "how_soon": "多快",
        "where": "怎么去",
        "first": "首选科室",
        "or": "也可能",
        "bring": "带上",
        "watch": "出现这些马上去急诊",
        "come_back": "什么时候再来",
        "earlier": "前面说到的人",
        "note": "给护士的交接单",
        "complaint": "病人原话",
        "history": "病史",
        "present": "说到的症状",
        "denied": "说没有的",
        "vitals": "测得的数值",
        "flags": "危险信号",
        "asked": "问过的",
        "urgency": "紧急程度",
        "age": "年龄",
        "sex": "性别",
        "pregnancy": "怀孕",
        "since": "持续",
        "severity": "程度",
        "chronic": "慢性病",
        "medicines": "用药",
        "allergies": "过敏",
        "none": "没有说到",
    },
    "en": {
        "why": "Why",
        "departments": "Departments",
        "answer": "From the guidance",
        "sources": "Sources",
        "ask": "One more question",
        "notice": "This is guidance, not a diagnosis.",
        "card": "Your card",
        "about": "Patient",
        "how_soon": "How soon",
        "where": "Where to",
        "first": "First choice",
        "or": "Possibly",
        "bring": "Bring",
        "watch": "Go to emergency at once with",
        "come_back": "When to be seen again",
        "earlier": "Spoken of before",
        "note": "Hand-off note for the nurse",
        "complaint": "In the patient's words",
        "history": "History",
        "present": "Complained of",
        "denied": "Said not to be there",
        "vitals": "Measured",
        "flags": "Red flags",
        "asked": "Asked and answered",
        "urgency": "Urgency",
        "age": "age",
        "sex": "sex",
        "pregnancy": "pregnancy",
        "since": "for",
        "severity": "severity",
        "chronic": "chronic illness",
        "medicines": "medicines",
        "allergies": "allergies",
        "none": "not told",
    },
}
_HOURS = ((24 * 60, 24 * 30.44, "个月", "months"), (48, 24, "天", "days"), (1, 1, "小时", "hours"))


def reply_as_text(reply: AssistantReply) -> str:
    """The reply as a person reads it in a terminal: calm words if any, then urgency first."""
    language, triage, answer = reply.language, reply.triage, reply.answer
    words = WORDS[language]
    opening = [reply.message.text, ""] if reply.message else []
    if not reply.is_medical:
        return "\n".join([*opening, *question_as_lines(reply.follow_up, language)]).rstrip()
    lines = [*opening, *triage_as_lines(triage, language)]
    lines += ["", f"{words['answer']}:", *(f"  {line}" for line in answer.text.splitlines())]
    if isinstance(answer, CitedAnswer):
        lines += sources_as_lines(answer, language)
    lines += question_as_lines(reply.follow_up, language)
    return "\n".join([*lines, "", words["notice"]])


def triage_as_lines(triage: TriageDecision, language: Language) -> list[str]:
    """How urgent, what to do, why, and the departments."""
    words = WORDS[language]
    lines = [f"【{triage.urgency.title(language)}】", triage.urgency.instruction(language), ""]
    lines += [f"{words['why']}: {reason.text}" for reason in triage.reasons]
    lines += ["", f"{words['departments']}:"]
    return lines + [f"  {_department(entry, language)}" for entry in triage.suggested]


def sources_as_lines(answer: CitedAnswer, language: Language) -> list[str]:
    """Where each numbered sentence stands."""
    return ["", f"{WORDS[language]['sources']}:"] + [
        f"  [{citation.key}] {citation.title} · {citation.section}{f' · p. {citation.page}' if citation.page else ''}"
        for citation in answer.citations
    ]


def chosen(typed: str, pending: FollowUp | None) -> str:
    """The option a number stands for; anything else as typed."""
    number = typed.strip().rstrip(".。、)")
    if pending is not None and number.isdecimal() and 1 <= int(number) <= len(pending.options):
        return pending.options[int(number) - 1]
    return typed


def question_as_lines(question: FollowUp | None, language: Language) -> list[str]:
    """The closed question with its options numbered, and what its answer decides."""
    if question is None:
        return []
    options = [f"  {number}. {option}" for number, option in enumerate(question.options, 1)]
    return ["", f"{WORDS[language]['ask']}: {question.question}", f"  ({question.why})", *options]


def card_as_text(card: TriageCard, language: Language) -> str:
    """The card, one thing a line."""
    words = WORDS[language]
    rows = [
        (words["urgency"], card.urgency.title(language)),
        (words["about"], card.who),
        (words["how_soon"], card.how_soon),
        (words["where"], card.where_to),
        (words["first"], _department(card.first, language)),
        (words["or"], _joined((entry.department.name.in_language(language) for entry in card.alternatives), language)),
        (words["why"], _joined(card.reasons, language)),
        (words["bring"], _joined(card.bring, language)),
        (words["watch"], _joined(card.watch_for, language)),
        (words["come_back"], card.come_back),
        (words["earlier"], _joined(card.earlier, language)),
        (words["sources"], _joined(card.sources, language)),
    ]
    return _titled(words["card"], rows, language)


def note_as_text(note: HandOffNote, language: Language) -> str:
    """The hand-off note, one thing a line; what was not told is said to be so."""
    words = WORDS[language]
    rows = [
        (words["urgency"], f"{note.urgency.label} · {note.urgency.title(language)}"),
        (words["about"], note.who),
        (words["complaint"], " / ".join(note.complaint)),
        (words["history"], _intake(note.intake, language)),
        (words["present"], _joined(note.present, language) or words["none"]),
        (words["denied"], _joined(note.denied, language) or words["none"]),
        (words["vitals"], _joined(note.vitals, language)),
        (words["flags"], _joined((f"{level} {name}" for level, name, _ in note.flags), language)),
        (words["asked"], _joined((f"{question} → {answer}" for question, answer in note.asked), language)),
        (words["departments"], _joined(note.departments, language)),
    ]
    return _titled(words["note"], rows, language)


def _intake(intake: Intake, language: Language) -> str:
    words = WORDS[language]
    told = [
        (words["age"], intake.age),
        (words["sex"], intake.sex),
        (words["pregnancy"], intake.pregnancy),
        (words["since"], duration_as_text(intake.since_hours, language)),
        (words["severity"], intake.severity),
        (words["chronic"], _joined(intake.chronic, language)),
        (words["medicines"], _joined(intake.medicines, language)),
        (words["allergies"], _joined(intake.allergies, language)),
    ]
    return _joined((f"{name} {value}" for name, value in told if value), language) or words["none"]


def duration_as_text(hours: float | None, language: Language) -> str:
    """Hours in the unit a person would use."""
    for least, per_unit, zh, en in _HOURS:
        if hours is not None and hours >= least:
            number = f"{hours / per_unit:.0f}"
            return f"{number}{zh}" if language == "zh" else f"{number} {en}"
    return ""


def _department(entry: RankedDepartment, language: Language) -> str:
    return f"{entry.department.name.in_language(language)}  — {entry.why}"


def _joined(parts: Iterable[str], language: Language) -> str:
    return ("；" if language == "zh" else "; ").join(parts)


def _titled(title: str, rows: Iterable[tuple[str, str]], language: Language) -> str:
    mark = "：" if language == "zh" else ": "
    return "\n".join([f"── {title} ──", *(f"{name}{mark}{value}" for name, value in rows if value)])
