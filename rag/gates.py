"""The gates every sentence of an answer passes, whoever wrote it, before anybody sees it.

citation → planted instructions → medicines → urgency → support. A sentence that fails is dropped; one that would show
a medicine's dose or use is replaced by the advice to ask, with the same citation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from knowledge.contrasts import load_contrasts
from knowledge.medicines import load_medicines
from knowledge.prompts import ABSTAINS, ANSWER_SYSTEM
from knowledge.records import Language
from knowledge.replies import AnswerSentence, Citation
from knowledge.urgency import UrgencyLevel
from rag.clauses import nearest_sentence
from rag.evidence import DraftSentence, Evidence
from rag.medicines import gives_dose, may_be_shown, redacted
from rag.passages import Passage
from rag.planted_instructions import instructions_in
from rag.sentences import split_sentences
from rag.support import Claim, is_quoted, unsupported
from rag.wording import normalise

SEEN_SOON = UrgencyLevel.III  # from here on nothing may be said that lets a patient wait
_LINK = re.compile(r"https?://|www\.|[\w.]+@[\w.]+\.\w|!\[|\]\(")
_LEAKED_CHARS = 24  # of the prompt, in one piece


@dataclass(frozen=True)
class Refused:
    """A sentence that was not let through, and which gate stopped it."""

    text: str
    gate: str


@dataclass(frozen=True)
class Admitted:
    """A sentence that may be shown, and the passage it stands in."""

    sentence: DraftSentence
    passage: Passage
    quote: str


def judge(draft: DraftSentence, evidence: Evidence) -> Admitted | Refused:
    """Whether a sentence may be shown to this patient."""
    allowed = evidence.allowed()
    cited = [passage for passage in draft.passages if allowed.get(passage.passage_id) == passage]
    if not cited:
        return Refused(draft.text, "citation")
    if instructions_in(draft.text) or _LINK.search(draft.text) or _leaks_prompt(draft.text):
        return Refused(draft.text, "instruction")
    if not may_be_shown(draft.text):
        return _asking_instead(draft, cited, evidence.language)
    if evidence.urgency >= SEEN_SOON and lets_wait(draft.text):
        return Refused(draft.text, "urgency")
    reason = "support"
    for passage in cited:
        claim = Claim(draft.text, passage.text, f"{passage.title} {passage.section}", evidence.told)
        fault = unsupported(claim, evidence.rarity)
        if fault is None:
            return Admitted(draft, passage, shown_quote(draft.text, passage, evidence.language))
        reason = fault
    return Refused(draft.text, reason)


def lets_wait(sentence: str) -> bool:
    """Whether a sentence tells a patient that there is no need to hurry."""
    return bool(_waiting().search(normalise(sentence)))


def shown_quote(sentence: str, passage: Passage, language: Language) -> str:
    """What is shown of a passage under a sentence: the sentence where it is quoted, else the passage's nearest; never a dose."""
    if is_quoted(sentence, passage.text):
        return sentence
    return redacted(nearest_sentence(sentence, passage.text), language)


def citation_of(admitted: Admitted, key: str) -> Citation:
    """The citation under a sentence."""
    passage = admitted.passage
    return Citation(
        key, passage.title, passage.section, passage.page, passage.source_id, passage.language, admitted.quote
    )


def answer_sentence(admitted: Admitted, key: str) -> AnswerSentence:
    """An admitted sentence as the answer shows it. key: of its citation."""
    return AnswerSentence(admitted.sentence.text, key, admitted.sentence.part)


def _asking_instead(draft: DraftSentence, cited: list[Passage], language: Language) -> Admitted | Refused:
    """The advice to ask a doctor or pharmacist, where the passage itself holds what may not be shown."""
    wording = load_medicines()
    holder = next((passage for passage in cited if not may_be_shown(passage.text)), None)
    if holder is None or not (gives_dose(holder.text) or is_quoted(draft.text, holder.text)):
        return Refused(draft.text, "medicine")
    replaced = DraftSentence(wording.replacement.in_language(language), (holder,), draft.part)
    return Admitted(replaced, holder, wording.mark.in_language(language))


def _leaks_prompt(text: str) -> bool:
    """Whether a sentence repeats the prompt, which is nobody's evidence."""
    if any(token in text for token in ABSTAINS.values()):
        return True
    plain = re.sub(r"\s+", "", text)
    return any(
        plain[start : start + _LEAKED_CHARS] in _prompts()
        for start in range(0, max(1, len(plain) - _LEAKED_CHARS + 1))
        if len(plain) >= _LEAKED_CHARS
    )


@cache
def _prompts() -> str:
    return re.sub(r"\s+", "", "\n".join(ANSWER_SYSTEM.values()))


@cache
def _waiting() -> re.Pattern[str]:
    words = load_contrasts().waiting
    return re.compile(f"(?:{words.zh})|(?:{words.en})")


def holds_instructions(passage: Passage) -> bool:
    """Whether a passage tries to steer a program; such a passage is no evidence."""
    return any(instructions_in(sentence.text) for sentence in split_sentences(passage.text)) or bool(
        instructions_in(passage.text)
    )
