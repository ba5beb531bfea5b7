"""Whether a complaint may be watched at home: only what is plainly minor, in somebody well, with nothing else said.

What no rule understands counts against it: no red flag may be raised, and every word of trouble, whether a sign holds
it or not, must belong to the minor complaint or be denied. A doubt gives level IV, never a risk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from knowledge.self_care import SelfCare
from rag.mentions import Mention, Status
from rag.red_flag_matcher import Findings
from rag.vitals import VitalSign

MAX_AGE = 70
MAX_TEMPERATURE = 37.7  # ℃; above it a fever has to be looked at
MAX_PAIN = 3  # of 10
NOT_AT_HOME = frozenset(
    {
        "pregnant",
        "in_pregnancy",
        "pregnancy_possible",
        "postpartum",
        "immunosuppressed",
        "immune_weak_said",
        "dialysis",
        "anticoagulant",
        "bleeding_tablet_said",
        "bleeding_disorder",
        "diabetic",
        "diabetic_said",
        "heart_disease",
        "heart_trouble_said",
        "post_operative",
        "asthma_known",
        "chronic_lung_disease",
        "confirmed_cancer",
        "on_cancer_drugs",
        "organ_transplant",
        "adrenal_patient",
        "cirrhosis",
        "known_epilepsy",
    }
)
WELL = "feels_well_otherwise"
_TROUBLE = re.compile(
    r"痛|疼|肿|血|晕|重影|飞蚊|不清|耳鸣|聋|臭|化疗|手术|透析|癌|瘤|结节|扭|断|刺(?!激)|钉|卡住|误吃|误食|怕光|嗡|倒流|耳|激素|免疫|长期(?:吃|服)|在(?:吃|服)药|尿频|尿急|白带|心脏|胎|孕|昏|麻|烧|烫|吐|喘|憋|胀|痒|烂|脓|泡|抽|瘦|黄|紫|(?<!晚)黑|硬(?!币)|哑|慌|闷|抖|瘫|歪|摔|撞|咬|抓|拉稀|拉肚|便秘|咳|发炎|过敏|没力|无力|糊|看不|听不|尿不|睡不|吃不|不吃|不喝"
    r"|\b(?:pain\w*|hurt\w*|ach\w+|swell\w*|swollen|bleed\w*|blood\w*|dizz\w*|faint\w*|numb\w*|fever\w*|vomit\w*|sick|breath\w*|wheez\w*|itch\w*|pus|blister\w*|"
    r"weak\w*|lump\w*|rash\w*|yellow|purple|black|hard|hoarse|shak\w*|shiver\w*|fell|hit|bit me|bit by|bitten|scratch(?!y throat)\w*|rust\w*|sore\w*|ears?|i (?:take|am on|am taking)|nail|swallowed|sprain\w*|twist\w*|discharge|spotting|pregnan\w*|surgery|chemo\w*|stroke|heart|cough\w*|diarrhea|constipat\w*|allerg\w*|burn\w*|infect\w*|worse|losing)\b"
)  # fmt: skip
_NOT_SO = re.compile(
    r"(?:没有|没|不|无|未)(?:怎么|咋个|咋|太|大|再|是|会|有|起|发|流|觉得|也|很)*$"
    r"|\b(?:no|not|without|isn't|nor|or|never|stopped|haven't|hasn't|doesn't)(?: \w+){0,3} $"
)


def minor_complaint(findings: Findings, records: Sequence[SelfCare]) -> SelfCare | None:
    """The minor complaint that is all a patient speaks of, if it may be watched at home."""
    if findings.raised or findings.patient.pregnant or not NOT_AT_HOME.isdisjoint(findings.affirmed):
        return None
    if not all(_is_harmless(vital) for vital in findings.vitals):
        return None
    ages = findings.patient.likely_ages
    longest = max((duration.hours for duration in findings.durations), default=0.0)
    return next(
        (
            record
            for record in records
            if longest <= 24 * record.max_days
            and all(record.min_age <= age <= MAX_AGE for age in ages)
            and _is_all_there_is(record, findings)
        ),
        None,
    )


def _is_harmless(vital: VitalSign) -> bool:
    """A temperature without fever, or slight pain; everything else that was measured had its reason."""
    limits = {"temperature": MAX_TEMPERATURE, "pain_score": MAX_PAIN}
    return vital.usable and vital.value <= limits.get(vital.kind, -1)


def _is_all_there_is(record: SelfCare, findings: Findings) -> bool:
    """Whether the record's signs are there, and everything else said is harmless or denied."""
    affirmed = [mention for mention in findings.mentions if mention.status is Status.AFFIRMED]
    own = [mention for mention in affirmed if mention.sign_id in record.signs]
    if not own:
        return False
    fine = [*own, *(mention for mention in affirmed if mention.sign_id in (*record.also_fine, WELL))]
    said_not = [mention for mention in findings.mentions if mention.status is Status.DENIED]
    return all(
        _is_inside(match.start(), match.end(), [*fine, *said_not]) or _NOT_SO.search(findings.text[: match.start()])
        for match in _TROUBLE.finditer(findings.text)
    )


def _is_inside(start: int, end: int, spans: Iterable[Mention]) -> bool:
    return any(span.start <= start and end <= span.end for span in spans)
