"""From a question to a cited answer, or an abstention: evidence first, then the writer, then the check of every sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from knowledge.hotlines import load_hotlines
from knowledge.records import Language
from knowledge.red_flags import RedFlag
from knowledge.replies import Abstention, AnswerSentence, Citation, CitedAnswer, RankedDepartment
from knowledge.urgency import UrgencyLevel
from rag.passages import Passage, RetrievedPassage
from rag.retriever import HybridSearch, PassageFilter
from rag.writers import DraftSentence, Evidence, Writer

EVIDENCE_MIN_SCORE = {"zh": 0.30, "en": 0.42}  # below this a passage is not about the question; see RESULTS.md
GUIDE_MIN_SCORE = 0.36
NAMED_DEPARTMENT_BONUS = 0.05
PER_SOURCE = 2

_ABSTAINS = {
    "zh": "资料里没有足够的依据回答这个问题，我不能凭空说。请把这个问题留给{department}的医生，或者在导诊台当面问护士。",
    "en": "The documents at hand do not say enough to answer this, and I will not guess. Please ask a doctor in {department}, or the nurse at the desk.",
}
MAX_FLAGS_ADVISED = 3
_HOTLINES = {"zh": "求助电话", "en": "Helplines"}
_FLAG_SECTION = {"zh": "危险信号", "en": "Red flag"}
_DANGER_LABELS = {"zh": frozenset({"120", "急诊", "当天"}), "en": frozenset({"120", "emergency", "today"})}


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


def joined(first: CitedAnswer, second: CitedAnswer | Abstention) -> CitedAnswer:
    """One answer of two, keys numbered through; an abstention adds nothing."""
    if isinstance(second, Abstention):
        return first
    shift = len(first.citations)
    citations = [replace(citation, key=str(shift + int(citation.key))) for citation in second.citations]
    sentences = [replace(sentence, key=str(shift + int(sentence.key))) for sentence in second.sentences]
    return CitedAnswer((*first.sentences, *sentences), (*first.citations, *citations))


def answer_from_passages(
    question: str,
    search: HybridSearch,
    writer: Writer,
    departments: Sequence[RankedDepartment],
    language: Language,
    k: int,
    first_in: frozenset[str] = frozenset(),
) -> CitedAnswer | Abstention:
    """What the passages say to the question, every sentence cited; an abstention where they say too little.

    first_in: source ids that are searched before all others (the guide a follow-up question is about).
    """
    passages = find_evidence(question, search, departments, language, k, first_in)
    if not passages:
        return abstention(departments, language)
    evidence = Evidence(
        question=question,
        language=language,
        weights=search.index.lexical.weights(question),
        passages=tuple(passages),
        guide=_best_guide(passages, search),
        danger_labels=_DANGER_LABELS[language],
    )
    return cited(writer.write(evidence), [*[found.passage for found in passages], *evidence.guide]) or abstention(
        departments, language
    )


def find_evidence(
    question: str,
    search: HybridSearch,
    departments: Sequence[RankedDepartment],
    language: Language,
    k: int,
    first_in: frozenset[str] = frozenset(),
) -> list[RetrievedPassage]:
    """At most k passages relevant enough to speak from: in the reply's language, else in the other; at most two a source."""
    if first_in:
        here = PassageFilter(language=language, source_ids=first_in)
        found = search.search(question, k, here, EVIDENCE_MIN_SCORE[language])
        if found:
            return found
    for chosen in (language, "en" if language == "zh" else "zh"):
        found = search.search(question, 4 * k, PassageFilter(language=chosen), EVIDENCE_MIN_SCORE[chosen])
        if found:
            return _few_a_source(_preferring(found, departments), k)
    return []


def _preferring(found: Sequence[RetrievedPassage], departments: Sequence[RankedDepartment]) -> list[RetrievedPassage]:
    """Hospital documents and passages of the leading departments move up a little."""
    leading = {entry.department.id for entry in departments[:2]}

    def key(passage: RetrievedPassage) -> float:
        preferred = passage.passage.kind == "document" or bool(leading.intersection(passage.passage.departments))
        return passage.score + (NAMED_DEPARTMENT_BONUS if preferred else 0.0)

    return sorted(found, key=key, reverse=True)


def _few_a_source(found: Sequence[RetrievedPassage], k: int) -> list[RetrievedPassage]:
    taken: defaultdict[str, int] = defaultdict(int)
    few = []
    for passage in found:
        source = passage.passage.source_id
        if taken[source] < PER_SOURCE:
            taken[source] += 1
            few.append(passage)
    return few[:k]


def _best_guide(passages: Sequence[RetrievedPassage], search: HybridSearch) -> tuple[Passage, ...]:
    """Every passage of the guide the evidence points to, if it points to one clearly."""
    scores: defaultdict[tuple[str, str], float] = defaultdict(float)
    for found in passages:
        if found.passage.kind == "guide":
            key = (found.passage.source_id, found.passage.language)
            scores[key] = max(scores[key], found.score)
    if not scores:
        return ()
    source_id, language = max(scores, key=lambda key: scores[key])
    if scores[source_id, language] < GUIDE_MIN_SCORE:
        return ()
    rows = search.index.rows_of(PassageFilter(language, source_ids=frozenset([source_id])))
    return tuple(passage for passage in search.index.passages.at(rows) if passage.source_id == source_id)


def cited(draft: Sequence[DraftSentence], allowed: Collection[Passage]) -> CitedAnswer | None:
    """The draft with a citation for each sentence; a sentence that does not stand in its passage, word for word, is dropped."""
    citations: dict[str, Citation] = {}
    sentences = []
    known = {passage.passage_id for passage in allowed}
    for sentence in draft:
        passage = sentence.passage
        if passage.passage_id not in known or sentence.text not in passage.text:
            continue
        key = str(len(citations) + 1)
        citations[key] = Citation(
            key, passage.title, passage.section, passage.page, passage.source_id, passage.language, sentence.text
        )
        sentences.append(AnswerSentence(sentence.text, key))
    return CitedAnswer(tuple(sentences), tuple(citations.values())) if sentences else None


def abstention(departments: Sequence[RankedDepartment], language: Language) -> Abstention:
    """Says that the evidence is too thin, and whom to ask."""
    name = (
        departments[0].department.name.in_language(language)
        if departments
        else ("全科医学科" if language == "zh" else "general practice")
    )
    return Abstention(_ABSTAINS[language].format(department=name))
