"""Medicines in a text: their names, and whether it gives a dose or tells to start, stop or change one.

Nothing daozhen shows may do the latter, whoever wrote it: 互联网诊疗监管细则（试行）, 2022, leaves prescribing to doctors.
The rules err on one side: a doubtful sentence is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Literal

from knowledge.medicines import load_medicines
from knowledge.records import Language
from knowledge.script import HAN, holds_chinese
from rag.sentences import split_sentences
from rag.wording import normalise

Prescription = Literal["dose", "instruction"]
_CLAUSE = re.compile(r"[，,；;]")


def medicines_named(text: str) -> frozenset[str]:
    """Every medicine or class of medicines in a text, by a key that is the same in any sentence: its ending and what tells it apart."""
    return frozenset(match for match in _names_in(normalise(text)))


def without_medicines(text: str) -> str:
    """The text, normalised, without the names of medicines."""
    wording = _wording()
    return wording.en_names.sub(" ", wording.zh_names.sub("", normalise(text)))


def gives_dose(text: str) -> bool:
    """Whether a text states an amount or a frequency of a medicine."""
    return any(_has_dose(normalise(sentence.text)) for sentence in split_sentences(text))


def prescribes(text: str) -> Prescription | None:
    """What a text does first of all: give a dose, else tell to start, stop or change a medicine; None where it does neither.

    Leaving it to a doctor, and warnings, are no instructions.
    """
    plain = [normalise(sentence.text) for sentence in split_sentences(text)]
    if any(map(_has_dose, plain)):
        return "dose"
    return "instruction" if any(map(_has_instruction, plain)) else None


def may_be_shown(text: str) -> bool:
    """Whether a text neither gives a dose nor instructs about a medicine."""
    return prescribes(text) is None


def asks_for_dose(question: str) -> bool:
    """Whether a question asks how much of a medicine to take, or how often."""
    return bool(_wording().asks_for_dose.search(normalise(question)))


def redacted(text: str, language: Language) -> str:
    """The text with every sentence that gives a dose or an instruction replaced by a mark; all else as it was."""
    mark = load_medicines().mark.in_language(language)
    shown: list[str] = []
    end = 0
    for sentence in split_sentences(text):
        if may_be_shown(sentence.text):
            continue
        gap = text[end : sentence.start]
        if not (shown and shown[-1] == mark and not gap.strip()):
            shown += [gap, mark]
        end = sentence.end
    return "".join([*shown, text[end:]])


def _has_dose(sentence: str) -> bool:
    wording = _wording()
    if wording.dose.search(sentence):
        return True
    if not wording.frequency.search(sentence):
        return False
    if wording.about_medicine.search(sentence) or next(_names_in(sentence), None):
        return True
    return not wording.about_else.search(sentence)


def _has_instruction(sentence: str) -> bool:
    if not holds_chinese(sentence):
        return _english_instruction(sentence)
    wording = _wording()
    clauses = [clause.strip(" -") for clause in _CLAUSE.split(sentence)]
    if any(wording.zh_hard.search(clause) and not wording.left_to_doctor.search(clause) for clause in clauses):
        return True
    told = [  # the quick patterns first: they leave few clauses to the long one
        clause
        for clause in clauses
        if not (wording.left_to_doctor.search(clause) or wording.descriptive.search(clause))
    ]
    if any(wording.zh_instruction.search(clause) for clause in told):
        return True
    if clauses[0] in told and wording.zh_imperative.search(clauses[0]):
        return True
    if not any(wording.zh_amount_change.search(clause) for clause in told):
        return False
    return bool(wording.about_medicine.search(sentence) or wording.zh_names.search(sentence))


def _english_instruction(sentence: str) -> bool:
    wording = _wording()
    return any(
        not wording.en_frames.search(clause)
        for clause in re.split(r"[;:]|, (?:and|but|then) ", sentence)
        if wording.en_instruction.search(clause)
    )


def _names_in(plain: str) -> Iterator[str]:
    wording = _wording()
    for match in wording.zh_names.finditer(plain):
        yield match[0]
    for match in wording.en_names.finditer(plain):
        yield match[0].removesuffix("s")


class _Wording:
    """The expressions of medicines.yaml, compiled."""

    def __init__(self) -> None:
        records = load_medicines()
        names, told = records.names, records.instructions
        zh_names = "|".join(
            (
                *sorted(map(re.escape, names.zh_words), key=len, reverse=True),
                rf"[{HAN}](?:{'|'.join(names.zh_endings)})",
                rf"[{HAN}]{{2}}(?:{'|'.join(names.zh_forms)})",
            )
        )
        en_names = rf"\b(?:{'|'.join(sorted(map(re.escape, names.en_words), key=len, reverse=True))}|[a-z]{{2,}}(?:{'|'.join(names.en_endings)})s?)\b"
        self.zh_names, self.en_names = re.compile(zh_names), re.compile(en_names)
        self.dose = _any_of(records.dose_always)
        self.asks_for_dose = re.compile(
            "|".join(f"(?:{part})" for part in records.asks_for_dose).replace(
                "{medicine}", f"(?:{zh_names}|{en_names})"
            )
        )
        self.frequency = _any_of(records.frequency)
        self.about_else = _any_of((records.frequency_is_not_dose.zh, records.frequency_is_not_dose.en))
        self.about_medicine = _any_of((records.medicine_context.zh, records.medicine_context.en))
        self.zh_instruction = re.compile(
            "|".join(f"(?:{part})" for part in (told.zh_change, told.zh_start, told.zh_bare)).replace(
                "{medicine}", zh_names
            )
        )
        self.zh_imperative = re.compile(told.zh_imperative.replace("{medicine}", zh_names))
        self.zh_amount_change = re.compile(told.zh_amount_change)
        self.left_to_doctor = re.compile(told.zh_left_to_doctor)
        self.descriptive = re.compile(told.zh_descriptive)
        self.zh_hard, self.en_frames = re.compile(told.zh_hard), re.compile(told.en_frames)
        objects = told.en_objects.replace("{medicine}", en_names)
        verbs, modals, near = told.en_verbs, told.en_modals, r"(?:\s+\S+){0,5}?\s+"
        passive = "(?:stopped|discontinued|taken|increased|reduced|started|given|doubled|switched|changed)"
        self.en_instruction = re.compile(
            rf"(?:^|\b(?:{modals})\s+|\band\s+|\bthen\s+){verbs}\b{near}{objects}"
            rf"|(?:treatment|therapy|{objects})\b(?:\s+\S+){{0,4}}?\s+(?:should|must|can|may) be {passive}\b"
            rf"|\b(?:{modals})\s+(?:stop|discontinue|taper)\b(?! (?:smoking|drinking|eating|driving|exercis\w*|and))"
            rf"|^(?:stop|start|keep) (?:taking|using)\b|\bdiscontinue (?:use|treatment|therapy|if|immediately)\b"
        )


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


@cache
def _wording() -> _Wording:
    return _Wording()
