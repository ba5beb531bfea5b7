"""Do the questions help? Cases reduced to their first sentence; a scripted patient answers the rest from the full text.

    python -m tests.benchmarks.dialogue [--vignettes N] [--phrases N] [--triage DIR] [--public N] [--talks]

The scripted patient says what the full text says and no more: a danger sign, an age, a temperature, an option of a
department's question is chosen only where the same matcher, or most of the option's words, are found in the full text;
"none" only where all of it is denied there; otherwise "not sure". Urgency is scored on tests/data/urgency_vignettes.jsonl, the first department on
tests/data/routing_phrases.jsonl (their departments were given by hand before any router existed) and, with --triage, on
Toyhom and CMtMedQA questions, whose texts are long enough to answer questions from. Departments are scored before the
emergency override: the first department that is not the emergency department, unless that is the right one.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge.conversation import Conversation, FollowUp
from knowledge.departments import EMERGENCY_ID
from knowledge.records import Language
from knowledge.replies import AssistantReply
from knowledge.urgency import UrgencyLevel
from rag.assistant import Assistant
from rag.dialogue import language_of
from rag.sentences import split_sentences
from rag.statements import BETWEEN, NO, YES
from rag.words import share_covered, tokens_of
from tests.benchmarks.routing import Case, own_cases, public_cases
from tests.benchmarks.urgency import share
from ui.ready import ready_assistant

DATA = Path(__file__).resolve().parents[1] / "data"
GROUPS = ("home", "routine", "urgent", "emergency")
MIN_SHARE_SAID = 0.6  # of an option's words, by rarity, that must stand in the full text for it to be the answer
MAX_TURNS = 8
SEED = 5


@dataclass(frozen=True)
class Talk:
    """What one reduced case became. ranked: the departments' ids before and after the questions, best first."""

    level_before: UrgencyLevel
    level_after: UrgencyLevel
    ranked_before: tuple[str, ...]
    ranked_after: tuple[str, ...]
    asked: int
    known: int  # questions the scripted patient could answer


class ScriptedPatient:
    """Answers closed questions from a full text, honestly."""

    def __init__(self, assistant: Assistant, full: str, language: Language) -> None:
        self.assistant, self.language = assistant, language
        self.full = assistant.matcher.read(full)
        self.denied = {mention.sign_id for mention in self.full.denied}

    def answer(self, question: FollowUp) -> str:
        """The option that the full text supports; "not sure" otherwise."""
        not_sure = question.options[-1]
        record = self.assistant.dialogue.bank.by_id(question.question_id)
        name = question.question_id.partition(BETWEEN)[0]
        if record is None:
            return not_sure
        if name == "danger":
            return self._danger(question)
        if name.startswith("intake_"):
            return self._history(question) or not_sure
        return self._department(question) or not_sure

    def _danger(self, question: FollowUp) -> str:
        signs = self.assistant.dialogue.bank.signs_of(question.question_id)
        for sign, option in zip(signs, question.options, strict=False):
            if not self.full.affirmed.keys().isdisjoint(sign.signs):
                return option
        all_denied = all(not self.denied.isdisjoint(sign.signs) for sign in signs)
        return question.options[-2] if all_denied else question.options[-1]

    def _history(self, question: FollowUp) -> str | None:
        patient = self.full.patient
        if question.question_id == "intake_age" and patient.likely_ages:
            return question.options[sum(min(patient.likely_ages) >= limit for limit in (0.25, 6, 14, 65))]
        if question.question_id == "intake_pregnancy":
            known = {True: 0, False: 2}.get(patient.pregnant) if patient.pregnant is not None else None
            known = 3 if known is None and patient.sex == "male" else known
            return None if known is None else question.options[known]
        kind = {"intake_temperature": "temperature", "intake_severity": "pain_score"}.get(question.question_id)
        limits = {"temperature": (38, 39, 40), "pain_score": (4, 7)}
        values = [vital.value for vital in self.full.vitals if vital.kind == kind and vital.usable]
        if kind and values:
            return question.options[sum(max(values) >= limit for limit in limits[kind])]
        if question.question_id.startswith("intake_duration") and self.full.durations:
            hours = max(duration.hours for duration in self.full.durations)
            return question.options[sum(hours >= limit for limit in (24, 84, 168, 700))]
        return None

    def _department(self, question: FollowUp) -> str | None:
        """The option whose words stand in the full text; a bare yes where the question's do; a bare no where they are denied."""
        bare = {option: option.casefold() in YES | NO for option in question.options[:-1]}
        scored = [(self._share_said(option), option) for option, is_bare in bare.items() if not is_bare]
        best = max(scored, default=(0.0, ""))
        if best[0] >= MIN_SHARE_SAID and sum(score >= best[0] - 0.1 for score, _ in scored) == 1:
            return best[1]
        asked = set(self.assistant.matcher.read(question.question).affirmed)
        for option, is_bare in bare.items():
            if is_bare and option.casefold() in YES and self._share_said(question.question) >= MIN_SHARE_SAID:
                return option
            if is_bare and option.casefold() in NO and asked and asked <= self.denied:
                return option
        return None

    def _share_said(self, words: str) -> float:
        """The share of words, by their rarity, that stand in the full text."""
        return share_covered(self.assistant.search.index.word_weights(words), tokens_of(self.full.text))


def talked(assistant: Assistant, first: str, full: str, language: Language) -> Talk:
    """The talk that begins with the first words of a case."""
    patient = ScriptedPatient(assistant, full, language)
    reply = assistant.reply(first, Conversation(), language)
    before, asked, known = reply, 0, 0
    while reply.follow_up is not None and asked < MAX_TURNS:
        answer = patient.answer(reply.follow_up)
        asked, known = asked + 1, known + (answer != reply.follow_up.options[-1])
        reply = assistant.reply(answer, reply.conversation, language)
    ranked = [ranked_ids(step) for step in (before, reply)]
    return Talk(before.triage.urgency, reply.triage.urgency, ranked[0], ranked[1], asked, known)


def ranked_ids(reply: AssistantReply) -> tuple[str, ...]:
    """The departments shown, best first, before the emergency override."""
    ids = [entry.department.id for entry in reply.triage.departments]
    overridden = reply.triage.urgency >= UrgencyLevel.II and ids[:1] == [EMERGENCY_ID]
    return tuple(ids[1:] if overridden else ids)


def first_part(text: str) -> str:
    """The first sentence; of a single sentence its first clause with at least six characters."""
    sentences = split_sentences(text)
    if len(sentences) > 1:
        return sentences[0].text
    for match in re.finditer(r"[，,；;]", text):
        if match.start() >= 6:
            return text[: match.start()]
    return text


def urgency(assistant: Assistant, rows: Sequence[dict], show: bool) -> None:
    talks = [(row, talked(assistant, first_part(row["text"]), row["text"], row["language"])) for row in rows]
    n = len(talks)
    for when, level in (("before", "level_before"), ("after", "level_after")):
        given = [(row["level"], getattr(talk, level).evaluation_group) for row, talk in talks]
        right = sum(gold == got for gold, got in given)
        under = sum(GROUPS.index(got) < GROUPS.index(gold) for gold, got in given)
        missed = [got for gold, got in given if gold == "emergency" and got != "emergency"]
        emergencies = sum(gold == "emergency" for gold, _ in given)
        over = sum(got == "emergency" for gold, got in given if gold != "emergency")
        print(
            f"urgency {when:6}: right {share(right, n)}; under-triaged {share(under, n)}; "
            f"emergencies not given emergency {share(len(missed), emergencies)}; "
            f"others given emergency {share(over, n - emergencies)}"
        )
    _questions([talk for _, talk in talks])
    if show:
        for row, talk in talks:
            print(
                row["level"], talk.level_before.label, "->", talk.level_after.label, talk.asked, "|", row["text"][:90]
            )


def departments(assistant: Assistant, name: str, cases: Sequence[Case], show: bool) -> None:
    talks = [talked(assistant, first_part(case.text), case.text, language_of(case.text)) for case in cases]
    whole = [ranked_ids(assistant.reply(case.text, language=language_of(case.text))) for case in cases]
    n = len(cases)
    before = sum(is_right(case, talk.ranked_before) for case, talk in zip(cases, talks, strict=True))
    after = sum(is_right(case, talk.ranked_after) for case, talk in zip(cases, talks, strict=True))
    full = sum(is_right(case, ids) for case, ids in zip(cases, whole, strict=True))
    print(f"first department right, {name}: first part {share(before, n)}; after the questions {share(after, n)}")
    print(f"   with the full text at once {share(full, n)}")
    _questions(talks)
    for case, talk in zip(cases, talks, strict=True):
        if show and talk.ranked_before[:1] != talk.ranked_after[:1]:
            print(
                sorted(case.right), talk.ranked_before[:1], "->", talk.ranked_after[:1], talk.asked, "|", case.text[:90]
            )


def is_right(case: Case, ids: Sequence[str]) -> bool:
    """Whether the first department of the case's label space is one that counts."""
    inside = [department_id for department_id in ids if case.labels is None or department_id in case.labels]
    return bool(inside) and inside[0] in case.right


def _questions(talks: Sequence[Talk]) -> None:
    asked = [talk.asked for talk in talks]
    known = sum(talk.known for talk in talks) / max(sum(asked), 1)
    print(
        f"   questions: mean {statistics.mean(asked):.2f}, most {max(asked)}; answered otherwise than “not sure” {known:.2f}"
    )


def _rows(name: str, count: int) -> list[dict]:
    rows = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    return random.Random(SEED).sample(rows, min(count, len(rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vignettes", type=int, default=200)
    parser.add_argument("--phrases", type=int, default=510)
    parser.add_argument("--triage", type=Path, help="folder with the public sets")
    parser.add_argument("--public", type=int, default=150, help="questions drawn from each public set")
    parser.add_argument("--talks", action="store_true", help="print every talk")
    chosen = parser.parse_args()
    assistant = ready_assistant()
    if chosen.vignettes:
        urgency(assistant, _rows("urgency_vignettes.jsonl", chosen.vignettes), chosen.talks)
    sets = [("own phrases", [case for case in own_cases() if EMERGENCY_ID not in case.right], chosen.phrases)]
    if chosen.triage:
        public = {name: cases for name, cases, _ in public_cases(chosen.triage) if name in ("toyhom", "cmtmedqa")}
        sets += [(name, cases, chosen.public) for name, cases in public.items()]
    for name, cases, count in sets:
        if count:
            drawn = random.Random(SEED).sample(cases, min(count, len(cases)))
            departments(assistant, name, drawn, chosen.talks)


if __name__ == "__main__":
    main()
