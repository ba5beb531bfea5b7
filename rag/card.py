"""What the patient takes away, and what the nurse reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from knowledge.conversation import SELF, Conversation
from knowledge.guidelines import SECTIONS
from knowledge.records import Language
from knowledge.replies import Abstention, CitedAnswer, HandOffNote, Intake, TriageCard, TriageDecision
from knowledge.self_care import SelfCare
from knowledge.urgency import UrgencyLevel
from rag.mentions import Mention, Status, widest
from rag.near_flags import WeighedSign
from rag.red_flag_matcher import Findings
from rag.statements import QuestionBank, is_denial
from rag.who_is_ill import name_of

MAX_WATCHED, MIN_WATCHED_WEIGHT = 4, 0.2
_TEXT = {
    UrgencyLevel.I: (
        ("立即，一分钟也不要等", "at once, without waiting a minute"),
        ("到了急诊以后按医生说的复诊。", "After emergency care, come back as the doctors there say."),
    ),
    UrgencyLevel.II: (
        ("现在就去", "now"),
        ("到了急诊以后按医生说的复诊；路上加重就拨打急救电话。", "After emergency care, come back as the doctors there say; if it gets worse on the way, call the ambulance."),
    ),
    UrgencyLevel.III: (
        ("今天之内", "today"),
        ("看过以后两三天没有好转，或者任何时候加重，就再来。", "Come back if it is no better two or three days after being seen, and at once if it gets worse."),
    ),
    UrgencyLevel.IV: (
        ("近几天之内", "within days"),
        ("加重、出现新的不舒服，或者看过以后一两个星期没有好转，就再来。", "Come back if it gets worse, if something new appears, or if it is no better a week or two after being seen."),
    ),
    UrgencyLevel.HOME: (
        ("不用马上去医院，先在家观察", "no hospital now; watch at home first"),
        ("三天没有好转、加重，或出现新的不舒服，就去看医生。", "See a doctor if it is no better in three days, gets worse, or something new appears."),
    ),
}  # fmt: skip
_EARLIER = ("{who}：{urgency}（前面说过，仍然有效）", "{who}: {urgency} (said before, and still holds)")


def triage_card(
    conversation: Conversation,
    triage: TriageDecision,
    answer: CitedAnswer | Abstention,
    near: Sequence[WeighedSign],
    minor: SelfCare | None,
    language: Language,
) -> TriageCard:
    """The card. near: the signs that would raise the level, weightiest first; minor: the complaint watched at home, if any."""
    place = 0 if language == "zh" else 1
    how_soon, come_back = (texts[place] for texts in _TEXT[triage.urgency])
    if triage.urgency is UrgencyLevel.HOME and minor is not None:
        come_back = minor.watch_for.in_language(language)
    first, *rest = triage.suggested
    return TriageCard(
        urgency=triage.urgency,
        who=name_of(conversation.episode.who, language),
        how_soon=how_soon,
        where_to=triage.urgency.instruction(language),
        first=first,
        alternatives=tuple(rest),
        deciding=first.why,
        reasons=tuple(reason.text for reason in triage.reasons),
        bring=first.department.bring.in_language(language),
        watch_for=_watch_for(conversation.episode.topic, answer, near, language),
        come_back=come_back,
        sources=tuple(
            dict.fromkeys(f"{citation.title} · {citation.section}" for citation in answer.citations)
            if isinstance(answer, CitedAnswer)
            else ()
        ),
        earlier=tuple(
            _EARLIER[place].format(who=name_of(other.who, language), urgency=other.urgency.title(language))
            for other in conversation.others
            if other.was_told() and other.urgency >= UrgencyLevel.IV
        ),
    )


def hand_off_note(
    conversation: Conversation,
    triage: TriageDecision,
    findings: Findings,
    intake: Intake,
    bank: QuestionBank,
    language: Language,
) -> HandOffNote:
    """The note: the patient's own words as typed, then signs by name, what was denied, flags, questions and answers."""
    episode = conversation.episode
    words = {raised.flag.id: "、".join(raised.words) for raised in findings.raised}
    return HandOffNote(
        urgency=triage.urgency,
        who=name_of(episode.who if episode.who != SELF else findings.patient.relation, language),
        complaint=tuple(episode.complaint().splitlines()),
        intake=intake,
        present=_present(findings),
        denied=_denied(conversation, findings, bank, language),
        vitals=tuple(dict.fromkeys(vital.words for vital in findings.vitals)),
        flags=tuple(
            (flag.level.label, flag.name.in_language(language), words.get(flag.id, "")) for flag in triage.red_flags
        ),
        asked=tuple((turn.answers.question, turn.text) for turn in episode.turns if turn.answers is not None),
        departments=tuple(entry.department.name.in_language(language) for entry in triage.suggested),
    )


def _watch_for(
    topic: str, answer: CitedAnswer | Abstention, near: Sequence[WeighedSign], language: Language
) -> tuple[str, ...]:
    """The danger signs that one fact keeps away, then the danger lines that the complaint's own guide is cited with."""
    weighty = [entry for entry in near if entry.weight >= MIN_WATCHED_WEIGHT]
    signs = [entry.sign.option.in_language(language) for entry in weighty[:MAX_WATCHED]]
    cited = (
        [
            citation.quote
            for citation in answer.citations
            if citation.source_id == topic and citation.section in SECTIONS["danger"]
        ]
        if isinstance(answer, CitedAnswer)
        else []
    )
    return tuple(dict.fromkeys([*signs, *cited]))[: MAX_WATCHED + 2]


def _present(findings: Findings) -> tuple[str, ...]:
    """The patient's words for what is there."""
    words = _words([mention for mention in findings.mentions if mention.status is Status.AFFIRMED])
    return tuple(word for word in words if len(word) > 1)  # 痛 and 疼 alone say no more than what they stand in


def _denied(conversation: Conversation, findings: Findings, bank: QuestionBank, language: Language) -> tuple[str, ...]:
    """What the patient said is not there, in free text and in answers."""
    answered: list[str] = []
    for turn in conversation.episode.turns:
        if not is_denial(turn, bank) or turn.answers is None:
            continue
        asked = bank.signs_of(turn.answers.question_id)
        answered += [sign.option.in_language(language) for sign in asked] or [turn.answers.question]
    return tuple(dict.fromkeys([*_words(findings.denied), *answered]))


def _words(mentions: Iterable[Mention]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(mention.words for mention in widest(mentions)))
