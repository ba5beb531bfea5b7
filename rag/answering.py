"""From a question to a cited answer, or an abstention: evidence first, then the writer, then the gates, sentence by sentence."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TypeVar

from knowledge.hotlines import load_hotlines
from knowledge.not_answered import NotAnswered, load_not_answered
from knowledge.records import Language
from knowledge.red_flags import RedFlag
from knowledge.replies import Abstention, AnswerPiece, AnswerSentence, Citation, CitedAnswer
from knowledge.urgency import UrgencyLevel
from rag.evidence_search import Asked, gather_evidence
from rag.medicines import asks_for_dose
from rag.retriever import HybridSearch
from rag.wording import normalise
from rag.writers import Writer
from rag.written_answer import written_answer

Keyed = TypeVar("Keyed", AnswerSentence, Citation)

_ABSTAINS = {
    "zh": "资料里没有足够的依据回答这个问题，我不能凭空说。请把这个问题留给{department}的医生，或者在导诊台当面问护士。",
    "en": "The documents at hand do not say enough to answer this, and I will not guess. Please ask a doctor in {department}, or the nurse at the desk.",
}
MAX_FLAGS_ADVISED = 3
_HOTLINES = {"zh": "求助电话", "en": "Helplines"}
_FLAG_SECTION = {"zh": "危险信号", "en": "Red flag"}


def red_flag_advice(flags: Sequence[RedFlag], language: Language, locale: str) -> CitedAnswer | None:
    """The most urgent flags' own advice, each sentence cited to its record, and the hotlines they name; None without flags."""
    if not flags:
        return None
    decisive = [flag for flag in flags if flag.level is flags[0].level][:MAX_FLAGS_ADVISED]
    entries = {
        flag.advice.in_language(language): (flag.name.in_language(language), f"red_flags/{flag.id}")
        for flag in decisive
    }
    for kind in dict.fromkeys(flag.hotline for flag in flags if flag.hotline):
        hotlines = load_hotlines()
        entries[hotlines.of(kind, locale).sentence(language)] = (
            f"{_HOTLINES[language]} ({hotlines.as_of})",
            "hotlines",
        )
    citations, sentences = [], []
    for number, (text, (title, source_id)) in enumerate(entries.items(), 1):
        citations.append(Citation(str(number), title, _FLAG_SECTION[language], None, source_id, language, text))
        sentences.append(AnswerSentence(text, str(number)))
    return CitedAnswer(tuple(sentences), tuple(citations))


def level_advice(level: UrgencyLevel, language: Language) -> CitedAnswer:
    """The level's own instruction, for an emergency that an answer to a closed question told."""
    text, title = level.instruction(language), level.title(language)
    citation = Citation("1", title, _FLAG_SECTION[language], None, "urgency", language, text)
    return CitedAnswer((AnswerSentence(text, "1"),), (citation,))


def following(
    first: CitedAnswer | None, said: Generator[AnswerPiece, None, CitedAnswer | Abstention]
) -> Generator[AnswerPiece, None, CitedAnswer | Abstention]:
    """The pieces of an answer, then those of another, keys numbered through; returns both as one.

    first may be None; an abstention adds nothing to it.
    """
    if first is None:
        return (yield from said)
    for sentence, citation in zip(first.sentences, first.citations, strict=True):
        yield AnswerPiece(sentence, citation)
    shift = len(first.citations)
    while True:
        try:
            piece = next(said)
        except StopIteration as end:
            second: CitedAnswer | Abstention = end.value
            break
        yield AnswerPiece(_behind(piece.sentence, shift), _shifted(piece.citation, shift))
    if isinstance(second, Abstention):
        return first
    sentences = (_behind(sentence, shift) for sentence in second.sentences)
    citations = (_shifted(citation, shift) for citation in second.citations)
    return CitedAnswer((*first.sentences, *sentences), (*first.citations, *citations), second.writer, second.note)


def _shifted(keyed: Keyed, shift: int) -> Keyed:
    return replace(keyed, key=str(shift + int(keyed.key)))


def _behind(sentence: AnswerSentence, shift: int) -> AnswerSentence:
    """A sentence behind advice that comes first, and may itself be what was asked for: nothing leads to it."""
    return replace(_shifted(sentence, shift), before="")


def answer_from_passages(
    asked: Asked, search: HybridSearch, writer: Writer, k: int
) -> Generator[AnswerPiece, None, CitedAnswer | Abstention]:
    """What the passages say: each sentence as soon as it has passed the gates; returns the whole answer or the abstention."""
    kind = kind_not_answered(asked.question)
    if kind is not None and kind.even_with_documents:
        return abstention(asked, kind)
    evidence = search.whole(lambda one: gather_evidence(asked, one, k))
    if evidence is None or (kind is not None and evidence.passages[0].passage.kind != "document"):
        return abstention(asked, kind)
    written = yield from written_answer(writer, evidence)
    return written or abstention(asked)


def kind_not_answered(question: str) -> NotAnswered | None:
    """The kind of question that no guide answers, such as a dose, a price or a personal outcome; None for any other."""
    kinds = load_not_answered()
    if asks_for_dose(question):
        return kinds["dose"]
    plain = normalise(question)
    return next((kind for kind in kinds.values() if kind.asked_in(plain)), None)


def abstention(asked: Asked, kind: NotAnswered | None = None) -> Abstention:
    """Says that the documents do not answer, and whom to ask."""
    wording = kind.says.in_language(asked.language) if kind else _ABSTAINS[asked.language]
    return Abstention(wording.format(department=asked.department_name()))
