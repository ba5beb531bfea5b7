"""The history, taken from what the patient said and answered; nothing is guessed."""

from __future__ import annotations

import re

from knowledge.conversation import Episode
from knowledge.intake import IntakeKnowledge
from knowledge.records import Language
from knowledge.replies import Intake
from rag.mentions import SignLexicon, Status
from rag.red_flag_matcher import Findings
from rag.statements import QuestionBank, option_of

_ALLERGIES = re.compile(
    r"(?<!不)(?<!没有)对([一-鿿a-z]{1,8}?)(?:有点|有|会)?过敏|\b(?:is |am |i'm )?allergic to ([a-z][a-z ]{2,24}?)(?=[,.;!?\n]| and | but |$)"
)
_NO_ALLERGY = re.compile(r"(?:没有|无|否认)[^，。,.;；]{0,6}过敏|\bno (?:known )?(?:drug )?allerg|\bnot allergic\b")
_DRUG_HISTORY = re.compile(
    r"对[^，。,;；]{0,6}(?:青霉素|头孢|磺胺|阿司匹林|布洛芬|碘|麻药|药)[^，。,;；]{0,4}过敏|(?:青霉素|头孢|磺胺|药物)过敏"
    r"|\ballerg(?:ic|y) to (?:penicillin|amoxicillin|sulfa|aspirin|ibuprofen|iodine|latex|any (?:drug|medicine))"
    r"|(?:在|一直|长期|正在|平时)(?:吃|服|服用|用)[^，。,;；]{1,12}(?:药|片|胶囊|沙班|法林|双胍|布洛芬|阿司匹林|他汀|地平|沙坦)[^，。,;；]{0,4}",
    re.IGNORECASE,
)
_CLAUSES = re.compile(r"[^，。,;；\n]+[，。,;；\n]*")
_UNSPECIFIC = frozenset({"什么", "谁", "它", "药物", "啥", "哪些"})
_SEX = {"female": ("女", "female"), "male": ("男", "male")}
_PREGNANCY = {True: ("怀孕", "pregnant"), False: ("未怀孕", "not pregnant")}
_POSSIBLE = ("可能怀孕", "possibly pregnant")
_SEVERITY = {"severe_pain": ("很重", "severe"), "mild_word": ("轻", "mild")}
_NO_ALLERGIES = ("无", "none known")


def without_drug_history(text: str) -> str:
    """The text without the clauses that tell only medicines taken and drug allergies; the text itself when nothing else is left.

    A drug allergy beside a headache says nothing about which department sees the headache.
    """
    clauses = _CLAUSES.findall(text)
    kept = [clause for clause in clauses if not _DRUG_HISTORY.search(clause)]
    return "".join(kept) if len(kept) < len(clauses) and len("".join(kept)) >= 4 else text


class IntakeReader:
    """The background's phrases made ready once."""

    def __init__(self, knowledge: IntakeKnowledge) -> None:
        self._background = {record.id: record for record in knowledge.background}
        self._lexicon = SignLexicon(
            [(record.id, "background", record.zh + record.en) for record in knowledge.background]
        )

    def read(self, findings: Findings, episode: Episode, bank: QuestionBank, language: Language) -> Intake:
        """What is known of the patient of an episode, in the language asked for."""
        place = 0 if language == "zh" else 1
        mentions = self._lexicon.find(findings.text, findings.patient.relation)
        told = [
            self._background[mention.sign_id]
            for mention in mentions
            if mention.status in (Status.AFFIRMED, Status.PAST)
        ]
        groups: dict[str, tuple[str, ...]] = {
            group: tuple(dict.fromkeys(record.name.in_language(language) for record in told if record.group == group))
            for group in ("chronic", "medicines")
        }
        return Intake(
            who=episode.who,
            age=_age(findings, episode, bank, language),
            sex=_SEX[findings.patient.sex][place] if findings.patient.sex else "",
            pregnancy=_pregnancy(findings, place),
            since_hours=max((duration.hours for duration in findings.durations), default=None),
            severity=_severity(findings, place),
            chronic=groups["chronic"],
            medicines=groups["medicines"],
            allergies=_allergies(findings.text, place),
        )


def _age(findings: Findings, episode: Episode, bank: QuestionBank, language: Language) -> str:
    """The age as said, or the band that was tapped."""
    for turn in episode.turns:
        option = option_of(turn, bank)
        if turn.answers is not None and turn.answers.question_id == "intake_age" and option is not None:
            return option.in_language(language)
    years = findings.patient.age_years
    if years is None:
        return ""
    for least, per_year, zh, en in ((2, 1.0, "岁", "years"), (1 / 6, 12, "个月", "months"), (0, 365.25, "天", "days")):
        if years >= least:
            number = round(years * per_year)
            return f"{number}{zh}" if language == "zh" else f"{number} {en}"
    return ""


def _pregnancy(findings: Findings, place: int) -> str:
    if findings.patient.pregnant is not None:
        possible = "pregnancy_possible" in findings.affirmed and "in_pregnancy" not in findings.affirmed
        return (
            _POSSIBLE[place] if possible and findings.patient.pregnant else _PREGNANCY[findings.patient.pregnant][place]
        )
    return _POSSIBLE[place] if "pregnancy_possible" in findings.affirmed else ""


def _severity(findings: Findings, place: int) -> str:
    scores = [vital.value for vital in findings.vitals if vital.kind == "pain_score" and vital.usable]
    if scores:
        return f"{max(scores):g}/10"
    return next((words[place] for sign_id, words in _SEVERITY.items() if sign_id in findings.affirmed), "")


def _allergies(text: str, place: int) -> tuple[str, ...]:
    found = [(match[1] or match[2]).strip() for match in _ALLERGIES.finditer(text)]
    named = tuple(dict.fromkeys(word for word in found if word not in _UNSPECIFIC))
    if not named and _NO_ALLERGY.search(text):
        return (_NO_ALLERGIES[place],)
    return named
