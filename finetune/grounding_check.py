"""A model's cited answer held against the passages it was given, by the very gates of serving."""

from __future__ import annotations

from collections.abc import Sequence

from knowledge.urgency import UrgencyLevel
from rag.citations import written_sentences
from rag.dialogue import language_of
from rag.evidence import DraftSentence, Evidence
from rag.gates import Admitted, judge
from rag.model_writer import abstains
from rag.passages import Passage, RetrievedPassage


def evidence_of(passages: Sequence[str]) -> Evidence:
    """Passages as the gates take them, numbered as they come."""
    text = " ".join(passages)
    language = language_of(text) if text.strip() else "zh"
    found = tuple(
        RetrievedPassage(Passage(f"given:p0:{number}", "given", "", "", None, number, one, language, "document"), 1.0)
        for number, one in enumerate(passages)
    )
    return Evidence("", language, UrgencyLevel.HOME, "", {}, found)


def admitted_share(text: str, passages: Sequence[str]) -> float:
    """The share of an answer's sentences that stand in the passages they cite.

    An answer that says the passages do not answer counts 1 where there are none, else 0; so does an empty answer 0.
    """
    sentences = list(written_sentences([text]))
    if not passages or any(abstains(sentence) for sentence in sentences):
        return float(not passages and any(abstains(sentence) for sentence in sentences))
    evidence = evidence_of(passages)
    keyed = evidence.keyed()
    admitted = [
        judge(DraftSentence(one.text, [keyed[key] for key in one.keys if key in keyed]), evidence) for one in sentences
    ]
    return sum(isinstance(one, Admitted) for one in admitted) / len(admitted) if admitted else 0.0
