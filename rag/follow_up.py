"""The closed question worth asking next: the one whose answer is expected to settle most, about the level or the department."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from knowledge.conversation import NOT_SURE, SELF, Episode, FollowUp
from knowledge.departments import FollowUpQuestion
from knowledge.records import Language
from knowledge.replies import RankedDepartment, TriageDecision
from knowledge.urgency import UrgencyLevel
from rag.near_flags import MissingFact, WeighedSign
from rag.red_flag_matcher import Findings
from rag.statements import BETWEEN, DANGER, QuestionBank
from rag.told_options import told_already

MAX_QUESTIONS = 5
DECIDED = 0.75  # share of the leading department at which no more is asked about departments
LEADING = 4  # departments a question must tell apart
MIN_GAIN = 0.18  # nats of expected information below which a question is not worth the patient's time
LEVEL_WEIGHT = 1.5  # a nat about the level counts for more than one about the department
DANGER_OPTIONS, MAX_DANGER_QUESTIONS = 4, 2
MIN_DANGER_WEIGHT = 0.25
MAX_HISTORY_TRIED = 2  # history questions whose answers are all tried out, a few milliseconds each
_PREGNANCY_SIGNS = frozenset({"pregnant", "in_pregnancy", "pregnancy_possible", "late_pregnancy"})
_BELLY_SIGNS = frozenset({"abdominal_pain", "belly_pain_more", "gy_lower_pain", "right_lower_pain", "ob_bleeding"})
_CHILDBEARING_AGE = (12, 52)
_AGES_OF_WRITERS = (0.0, 0.0, 0.05, 0.7, 0.25)  # who writes of himself is hardly ever a small child


@dataclass(frozen=True)
class Situation:
    """What a question is chosen on. missing, weighed: as rag.near_flags gives them, weightiest first.

    would_be: the decision had the patient also said that.
    """

    findings: Findings
    triage: TriageDecision
    episode: Episode
    missing: Sequence[MissingFact]
    weighed: Sequence[WeighedSign]
    would_be: Callable[[str], TriageDecision]


@dataclass(frozen=True)
class _Candidate:
    gain: float
    question_id: str
    question: FollowUpQuestion


def next_question(situation: Situation, bank: QuestionBank, language: Language) -> FollowUp | None:
    """The question with the most expected information; None at I and II, when all is decided, or after five."""
    if situation.triage.urgency >= UrgencyLevel.II or len(situation.episode.asked) >= MAX_QUESTIONS:
        return None
    candidates = [
        *_about_danger(situation, bank),
        *_about_history(situation, bank, language),
        *_about_departments(situation),
    ]
    best = max(candidates, key=lambda candidate: candidate.gain, default=None)
    if best is None or best.gain < MIN_GAIN:
        return None
    return put(best.question, language, best.question_id)


def put(question: FollowUpQuestion, language: Language, question_id: str | None = None) -> FollowUp:
    """The question as shown, "not sure" its last option."""
    options = (option.in_language(language) for option in question.options)
    return FollowUp(
        question_id or question.id,
        question.ask.in_language(language),
        (*options, NOT_SURE[language]),
        question.why.in_language(language),
    )


def _about_danger(situation: Situation, bank: QuestionBank) -> Iterator[_Candidate]:
    """The weightiest signs that would complete a red flag, put as one question."""
    if sum(question_id.startswith(DANGER) for question_id in situation.episode.asked) >= MAX_DANGER_QUESTIONS:
        return
    chosen = [entry for entry in situation.weighed if entry.weight >= MIN_DANGER_WEIGHT][:DANGER_OPTIONS]
    if chosen:
        question = bank.danger_question(tuple(entry.sign for entry in chosen))
        yield _Candidate(LEVEL_WEIGHT * entropy(_levels_after(chosen).values()), question.id, question)


def _levels_after(signs: Sequence[WeighedSign]) -> dict[UrgencyLevel, float]:
    """The chance of every level once the signs are asked for, each independent of the others."""
    chances: dict[UrgencyLevel, float] = {}
    none_above = 1.0
    for level in sorted({entry.level for entry in signs}, reverse=True):
        none_here = math.prod(1 - entry.sign.rate for entry in signs if entry.level is level)
        chances[level] = none_above * (1 - none_here)
        none_above *= none_here
    return chances | {UrgencyLevel.HOME: none_above}


def _about_history(situation: Situation, bank: QuestionBank, language: Language) -> Iterator[_Candidate]:
    """Age, pregnancy, time, temperature, pain: where some answer would change the level or the first department."""
    patient = situation.findings.patient
    wanted = list(dict.fromkeys(_history_wanted(situation)))
    for question_id in [wish for wish in wanted if wish not in situation.episode.asked][:MAX_HISTORY_TRIED]:
        question = bank.by_id(question_id)
        if question is None:
            continue
        sign_id = question_id.partition(BETWEEN)[2]
        said = situation.findings.affirmed[sign_id].words if sign_id else ""
        outcomes = [
            situation.would_be(option.says.in_language(language).replace("{sign}", said))
            for option in question.options
            if option.says is not None
        ]
        weights = _AGES_OF_WRITERS if question.id == "intake_age" and patient.relation == SELF else None
        levels = _shares((outcome.urgency for outcome in outcomes), weights)
        firsts = _shares((outcome.departments[0].department.id for outcome in outcomes), weights)
        gain = LEVEL_WEIGHT * entropy(levels.values()) + entropy(firsts.values())
        yield _Candidate(gain, question_id, question)


def _history_wanted(situation: Situation) -> Iterator[str]:
    """Ids of the history questions whose answer some red flag, or the choice between child and grown-up, waits for."""
    findings, patient = situation.findings, situation.findings.patient
    kinds = {vital.kind for vital in findings.vitals}
    if _pregnancy_matters(situation):
        yield "intake_pregnancy"
    if len(patient.likely_ages) > 1:
        yield "intake_age"
    for fact in situation.missing:
        if fact.term.kind == "age" and not patient.likely_ages:
            yield "intake_age"
        elif fact.term.kind == "vital" and fact.term.subjects[0] == "temperature":
            if "temperature" not in kinds and "fever" in findings.affirmed:
                yield "intake_temperature"
        elif fact.term.kind == "vital" and fact.term.subjects[0] == "pain_score":
            if "pain_score" not in kinds and "pain_word" in findings.affirmed:
                yield "intake_severity"
        elif fact.term.kind == "lasting" and not findings.durations and fact.term.subjects[0] in findings.affirmed:
            yield f"intake_duration{BETWEEN}{fact.term.subjects[0]}"


def _pregnancy_matters(situation: Situation) -> bool:
    findings, patient = situation.findings, situation.findings.patient
    low, high = _CHILDBEARING_AGE
    if patient.pregnant is not None or patient.sex == "male" or "pregnancy_possible" in findings.affirmed:
        return False
    if patient.likely_ages and not any(low <= age <= high for age in patient.likely_ages):
        return False
    if patient.sex is None and _BELLY_SIGNS.isdisjoint(findings.affirmed):
        return False
    return any(not _PREGNANCY_SIGNS.isdisjoint(fact.term.subjects) for fact in situation.missing)


def _about_departments(situation: Situation) -> Iterator[_Candidate]:
    ranked = situation.triage.departments
    if not ranked or ranked[0].score >= DECIDED:
        return
    leading = {entry.department.id: entry.score for entry in ranked[:LEADING]}
    for question in _questions_of(ranked[:LEADING], situation.episode.asked):
        if told_already(question, situation.findings.text):
            continue
        yield _Candidate(expected_gain(question, leading), question.id, question)


def _questions_of(ranked: Sequence[RankedDepartment], asked: Collection[str]) -> Iterator[FollowUpQuestion]:
    for entry in ranked:
        yield from (question for question in entry.department.questions if question.id not in asked)


def expected_gain(question: FollowUpQuestion, shares: Mapping[str, float]) -> float:
    """Nats by which the answer is expected to lower the entropy over the departments in `shares`."""
    total = sum(shares.values())
    prior = {department_id: share / total for department_id, share in shares.items()}
    likelihoods = [
        {department_id: math.exp(option.effect.get(department_id, 0)) for department_id in prior}
        for option in question.options
    ]
    by_department = {department_id: sum(row[department_id] for row in likelihoods) for department_id in prior}
    after = 0.0
    for row in likelihoods:
        joint = [prior[department_id] * row[department_id] / by_department[department_id] for department_id in prior]
        chance = sum(joint)
        after += chance * entropy(value / chance for value in joint)
    return entropy(prior.values()) - after


def entropy(shares: Iterable[float]) -> float:
    """Shannon entropy in nats."""
    return -sum(share * math.log(share) for share in shares if share > 0)


def _shares(values: Iterable[Hashable], weights: Sequence[float] | None = None) -> dict[Hashable, float]:
    """The share of each value; equally likely where no weights are given."""
    listed = list(values)
    each = weights if weights and len(weights) == len(listed) else [1 / len(listed)] * len(listed)
    shares: defaultdict[Hashable, float] = defaultdict(float)
    for value, weight in zip(listed, each, strict=True):
        shares[value] += weight
    return dict(shares)
