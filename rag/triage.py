"""How urgent, and where to: red flags first, then the ranking of departments."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from knowledge.departments import EMERGENCY_ID, Department
from knowledge.hospital import Hospital
from knowledge.records import Language
from knowledge.red_flags import RedFlag
from knowledge.replies import RankedDepartment, Reason, TriageDecision
from knowledge.self_care import SelfCare
from knowledge.urgency import UrgencyLevel
from rag.minor_complaint import minor_complaint
from rag.red_flag_matcher import Findings, RaisedFlag
from rag.routing import DepartmentScore, admitted, of_untold_age, patient_log_odds, why

MAX_DEPARTMENTS = 5
MAX_REASONS = 3
UNCLEAR_LOG_ODDS = 0.9  # below this nothing in the words speaks for any department
GENERAL_ID = "general_practice"
SOFTMAX_SCALE = 1.0
FLAG_LOG_ODDS = (
    2.0  # what a raised flag of level III or IV adds to the clinic it names first; 4 moved one right department in ten
)
# a further department is suggested from this share of the first one's belief, where at least so much of it is told as of
# the one told most (a flag's clinic needs no telling); chosen on real questions, see RESULTS.md
MIN_SHARE_OF_FIRST, MIN_TOLD = 0.1, 0.5
MIN_BESIDE_EMERGENCY = 0.2  # share of belief over all departments, for one beside the emergency department
_TEXT = {
    "unclear": {
        "zh": "还看不出是哪一科的问题，先由全科医生判断",
        "en": "Not clear yet which department; a general doctor decides first",
    },
    "emergency": {
        "zh": "危险信号：先到急诊，其他以后再说",
        "en": "Warning sign: the emergency department first, everything else later",
    },
    "no_flag": {"zh": "目前说到的情况里没有发现危险信号", "en": "Nothing said so far is a warning sign"},
    "unclear_level": {
        "zh": "说得还不够清楚，不能判断为可以在家观察",
        "en": "Too little is known to say that staying at home is safe",
    },
    "nothing_told": {"zh": "还没有说哪里不舒服", "en": "No complaint has been told yet"},
    "held": {"zh": "前面说的或选的情况已经到了这个等级", "en": "What was said or answered before reached this level"},
    "flag_department": {"zh": "因为：{name}", "en": "Because of: {name}"},
}


@dataclass(frozen=True)
class TriageContext:
    """What a decision is made with, beside the patient's words."""

    departments: Mapping[str, Department]
    hospital: Hospital
    self_care: Sequence[SelfCare]


def decide_triage(
    findings: Findings,
    scores: Sequence[DepartmentScore],
    so_far: UrgencyLevel,
    context: TriageContext,
    language: Language,
    before: Sequence[RedFlag] = (),
) -> TriageDecision:
    """Urgency from red flags (never below `so_far`), and the departments ranked.

    scores: evidence per department from the words, answers to questions included. before: flags raised earlier in the
    talk; they stay raised, whatever is said since.
    """
    findings = _still_raised(findings, before)
    minor = minor_complaint(findings, context.self_care)
    floor = floor_level(findings, context.self_care)
    urgency = max([floor, so_far, *(raised.flag.level for raised in findings.raised)])
    departments = _ranked(findings, scores, urgency, context, language)
    return TriageDecision(
        urgency=urgency,
        reasons=_reasons(findings, urgency, minor, departments, language),
        red_flags=tuple(raised.flag for raised in findings.raised),
        departments=departments,
    )


def nothing_told(so_far: UrgencyLevel, language: Language) -> TriageDecision:
    """The decision while no complaint has been told: nothing is known, so nobody is sent home and nobody anywhere."""
    reason = Reason(_TEXT["nothing_told"][language])
    return TriageDecision(max(so_far, UrgencyLevel.IV), (reason,), (), ())


def _still_raised(findings: Findings, before: Sequence[RedFlag]) -> Findings:
    now = {raised.flag.id for raised in findings.raised}
    kept = [RaisedFlag(flag, ()) for flag in before if flag.id not in now]
    if not kept:
        return findings
    raised = sorted([*findings.raised, *kept], key=lambda raised: -raised.flag.level)
    return replace(findings, raised=tuple(raised))


def floor_level(findings: Findings, self_care: Sequence[SelfCare]) -> UrgencyLevel:
    """The least urgent level there can be: home for a minor complaint alone, IV for everything else, the unclear included."""
    return UrgencyLevel.HOME if minor_complaint(findings, self_care) else UrgencyLevel.IV


def _ranked(
    findings: Findings,
    scores: Sequence[DepartmentScore],
    urgency: UrgencyLevel,
    context: TriageContext,
    language: Language,
) -> tuple[RankedDepartment, ...]:
    log_odds: dict[str, float] = {}
    reasons: dict[str, str] = {}
    told: dict[str, float] = {}
    flagged = {department_id for raised in findings.raised for department_id in raised.flag.departments}
    for score in scores:
        department = context.departments[score.department_id]
        if not admitted(department, findings.patient):
            continue
        if department.id == EMERGENCY_ID and (urgency is not UrgencyLevel.III or EMERGENCY_ID not in flagged):
            continue  # above level III it is first in any case, below it nobody is sent there
        log_odds[department.id] = score.log_odds + patient_log_odds(department, findings.patient)
        reasons[department.id] = why(score.phrase(language), language)
        told[department.id] = 0.0 if of_untold_age(department, findings.patient) else score.told
    for raised in findings.raised:
        _count_flag(raised, log_odds, reasons, language)
    if max(log_odds.values(), default=0.0) < UNCLEAR_LOG_ODDS:
        log_odds[GENERAL_ID] = UNCLEAR_LOG_ODDS + 1
        reasons[GENERAL_ID] = _TEXT["unclear"][language]
    shares = softmax(log_odds)
    ranking = sorted(shares, key=lambda department_id: -shares[department_id])
    suggested = _suggested(shares, told, flagged, urgency)
    ranked = [
        _at_hospital(department_id, shares[department_id], reasons[department_id], context, department_id in suggested)
        for department_id in ranking
    ]
    ranked = each_once(ranked)[:MAX_DEPARTMENTS]
    if urgency >= UrgencyLevel.II:
        emergency = _at_hospital(EMERGENCY_ID, 1.0, _TEXT["emergency"][language], context)
        return (emergency, *ranked[: MAX_DEPARTMENTS - 1])
    return (replace(ranked[0], suggested=True), *ranked[1:])


def each_once(ranked: Sequence[RankedDepartment]) -> list[RankedDepartment]:
    """Where a hospital has one department for several, it is named once: at its best place, suggested if any of them was."""
    shown = {entry.department.id for entry in ranked if entry.suggested}
    first: dict[str, RankedDepartment] = {}
    for entry in ranked:
        first.setdefault(entry.department.id, entry)
    return [replace(entry, suggested=name in shown) for name, entry in first.items()]


def _suggested(
    shares: Mapping[str, float], told: Mapping[str, float], flagged: Collection[str], urgency: UrgencyLevel
) -> set[str]:
    """Ids of the departments worth naming beside the first: likely enough, and spoken of. Two right ones are better than a
    third that puzzles."""
    least = MIN_BESIDE_EMERGENCY if urgency >= UrgencyLevel.II else MIN_SHARE_OF_FIRST * max(shares.values())
    least_told = MIN_TOLD * max(told.values(), default=0.0)
    return {
        department_id
        for department_id, share in shares.items()
        if share >= least and (department_id in flagged or told.get(department_id, 1.0) >= least_told)
    }


def _count_flag(raised: RaisedFlag, log_odds: dict[str, float], reasons: dict[str, str], language: Language) -> None:
    """A flag of level III or IV that names a clinic speaks for that clinic."""
    for place, department_id in enumerate(raised.flag.departments):
        if department_id in log_odds and department_id != GENERAL_ID:
            log_odds[department_id] += FLAG_LOG_ODDS / (place + 1)
            reasons[department_id] = _TEXT["flag_department"][language].format(
                name=raised.flag.name.in_language(language)
            )


def _at_hospital(
    department_id: str, share: float, reason: str, context: TriageContext, suggested: bool = True
) -> RankedDepartment:
    department = context.departments[context.hospital.destination(department_id)]
    return RankedDepartment(context.hospital.renamed(department), round(share, 4), reason, suggested)


def softmax(log_odds: Mapping[str, float]) -> dict[str, float]:
    """Shares of belief that sum to 1."""
    highest = max(log_odds.values())
    weights = {key: math.exp((value - highest) * SOFTMAX_SCALE) for key, value in log_odds.items()}
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items()}


def _reasons(
    findings: Findings,
    urgency: UrgencyLevel,
    minor: SelfCare | None,
    departments: Sequence[RankedDepartment],
    language: Language,
) -> tuple[Reason, ...]:
    decisive = [raised for raised in findings.raised if raised.flag.level is urgency]
    reasons = [_flag_reason(raised, language) for raised in decisive[:MAX_REASONS]]
    reasons += [
        Reason(f"{vital.words}：{vital.doubt}" if language == "zh" else f"{vital.words}: {vital.doubt}")
        for vital in findings.vitals
        if vital.doubt
    ]
    if reasons:
        return tuple(reasons)
    if urgency is UrgencyLevel.HOME and minor is not None:
        return (Reason(minor.watch_for.in_language(language)),)
    if urgency > max([UrgencyLevel.IV, *(raised.flag.level for raised in findings.raised)]):
        return (Reason(_TEXT["held"][language]),)
    unclear = departments and departments[0].why == _TEXT["unclear"][language]
    return (Reason(_TEXT["unclear_level" if unclear else "no_flag"][language]),)


def _flag_reason(raised: RaisedFlag, language: Language) -> Reason:
    name = raised.flag.name.in_language(language)
    if not raised.words:
        return Reason(name, raised.flag.id)
    words = ("、" if language == "zh" else ", ").join(raised.words)
    return Reason(f"{name}（您说的：{words}）" if language == "zh" else f"{name} (you said: {words})", raised.flag.id)
