"""From a question to a cited answer, or an abstention: evidence first, then the writer, then the gates, sentence by sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from knowledge.errors import WriterUnavailable
from knowledge.hotlines import load_hotlines
from knowledge.not_answered import NotAnswered, load_not_answered
from knowledge.records import Language
from knowledge.red_flags import RedFlag
from knowledge.replies import Abstention, AnswerSentence, Citation, CitedAnswer, RankedDepartment
from knowledge.urgency import UrgencyLevel
from rag.evidence import Evidence
from rag.gates import Admitted, answer_sentence, citation_of, holds_instructions, judge
from rag.medicines import asks_for_dose
from rag.passages import Passage, RetrievedPassage
from rag.relevance import RelevanceFeatures, features_of, load_relevance
from rag.retriever import HybridSearch, PassageFilter
from rag.topics import topics_of
from rag.wording import normalise
from rag.writers import ExtractiveWriter, Writer, is_named

MIN_SCORE = 0.2  # below this a passage is not worth judging
SOURCE_WEIGHTS = (1.0, 0.5, 0.3)  # of a source's best passages; chosen on the calibration questions
NAMED_SOURCE_BONUS = 0.05
NAMED_DEPARTMENT_BONUS = 0.05
DESCRIPTION_MALUS = 0.4
PER_SOURCE = 2
MIN_MODEL_SENTENCES = 2  # let through; with fewer the extractive answer is given instead

_ABSTAINS = {
    "zh": "资料里没有足够的依据回答这个问题，我不能凭空说。请把这个问题留给{department}的医生，或者在导诊台当面问护士。",
    "en": "The documents at hand do not say enough to answer this, and I will not guess. Please ask a doctor in {department}, or the nurse at the desk.",
}
_NOTES = {
    "unavailable": {
        "zh": "语言模型暂时用不了，以下是资料原文中的句子。",
        "en": "The language model is unavailable just now; these are sentences of the documents themselves.",
    },
    "too_little": {
        "zh": "语言模型写的内容没有通过核对，以下是资料原文中的句子。",
        "en": "What the language model wrote did not pass the checks; these are sentences of the documents themselves.",
    },
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


def joined(first: CitedAnswer, second: CitedAnswer | Abstention) -> CitedAnswer:
    """One answer of two, keys numbered through; an abstention adds nothing."""
    if isinstance(second, Abstention):
        return first
    shift = len(first.citations)
    citations = [replace(citation, key=str(shift + int(citation.key))) for citation in second.citations]
    sentences = [replace(sentence, key=str(shift + int(sentence.key))) for sentence in second.sentences]
    return CitedAnswer((*first.sentences, *sentences), (*first.citations, *citations))


@dataclass(frozen=True)
class Asked:
    """A question as the dialogue hands it over.

    question: the patient's own words. rewritten: the same so that it can be understood alone, with the facts gathered;
    "" where that is the question itself. told: everything the patient has said.
    """

    question: str
    language: Language
    urgency: UrgencyLevel
    departments: tuple[RankedDepartment, ...]
    rewritten: str = ""
    told: str = ""

    @classmethod
    def alone(cls, question: str, language: Language) -> Asked:
        """A question of which nothing else is known."""
        return cls(question, language, UrgencyLevel.IV, ())


AnswerPiece = tuple[AnswerSentence, Citation]


def answer_from_passages(
    asked: Asked, search: HybridSearch, writer: Writer, k: int
) -> Iterator[AnswerPiece | CitedAnswer | Abstention]:
    """What the passages say: each sentence as soon as it has passed the gates, and last the whole answer or the abstention."""
    kind = kind_not_answered(asked.question)
    if kind is not None and kind.even_with_documents:
        yield abstention(asked, kind)
        return
    evidence = gather_evidence(asked, search, k)
    if evidence is None or (kind is not None and evidence.passages[0].passage.kind != "document"):
        yield abstention(asked, kind)
        return
    written = yield from _written(writer, evidence)
    yield written or abstention(asked)


def _written(writer: Writer, evidence: Evidence) -> Iterator[AnswerPiece]:
    """The writer's answer; where it fails or too little of it passes, the extractive one with a note that says so."""
    note = ""
    pieces: list[AnswerPiece] = []
    if not isinstance(writer, ExtractiveWriter):
        try:
            for piece in _admitted(writer, evidence):
                pieces.append(piece)
                yield piece
        except WriterUnavailable:
            note = "unavailable"
        if len(pieces) >= MIN_MODEL_SENTENCES:
            return _whole(pieces, writer.name, _NOTES[note][evidence.language] if note else "")
        note = note or "too_little"
    pieces = pieces[:0]
    for piece in _admitted(ExtractiveWriter(), evidence):
        pieces.append(piece)
        yield piece
    return _whole(pieces, ExtractiveWriter.name, _NOTES[note][evidence.language] if note else "") if pieces else None


def _admitted(writer: Writer, evidence: Evidence) -> Iterator[AnswerPiece]:
    """The sentences that pass the gates, each once, numbered through."""
    shown: set[str] = set()
    for draft in writer.write(evidence):
        judged = judge(draft, evidence)
        if isinstance(judged, Admitted) and judged.sentence.text not in shown:
            shown.add(judged.sentence.text)
            key = str(len(shown))
            yield answer_sentence(judged, key), citation_of(judged, key)


def _whole(pieces: Sequence[AnswerPiece], writer: str, note: str) -> CitedAnswer:
    sentences, citations = zip(*pieces, strict=True)
    return CitedAnswer(sentences, citations, writer, note)


def gather_evidence(asked: Asked, search: HybridSearch, k: int) -> Evidence | None:
    """The few passages to answer from, in the patient's language, else in the other; None where they would not answer."""
    other: Language = "en" if asked.language == "zh" else "zh"
    for language in (asked.language, other):
        found = found_passages(asked, search, language, k)
        if found and load_relevance().answers(relevance_features(asked, search, found, language), language):
            return _evidence(asked, search, found[:k])
    return None


def found_passages(asked: Asked, search: HybridSearch, language: Language, k: int) -> list[RetrievedPassage]:
    """Passages for the question in the patient's words and for it rewritten, fused; the best of each source, at most two."""
    best: dict[str, RetrievedPassage] = {}
    for query in dict.fromkeys((asked.question, asked.rewritten or asked.question)):
        for passage in search.search(query, 4 * k, PassageFilter(language=language), MIN_SCORE):
            known = best.get(passage.passage.passage_id)
            if known is None or passage.score > known.score:
                best[passage.passage.passage_id] = passage
    clean = [found for found in best.values() if not holds_instructions(found.passage)]
    return _by_source(clean, asked)


def relevance_features(
    asked: Asked, search: HybridSearch, found: Sequence[RetrievedPassage], language: Language
) -> RelevanceFeatures:
    """What decides whether the passages found answer the question."""
    query = asked.rewritten or asked.question
    best = found[0].passage
    return features_of(
        query,
        search.index.lexical.weights(query),
        found,
        search.cosine(query, best),
        search.passages_of(best.source_id, language),
        topics_of(query, language),
    )


def _evidence(asked: Asked, search: HybridSearch, found: Sequence[RetrievedPassage]) -> Evidence:
    query = asked.rewritten or asked.question
    guide = _best_guide(found, search)
    read = "\n".join(
        f"{passage.title} {passage.section} {passage.text}" for passage in (*(entry.passage for entry in found), *guide)
    )
    return Evidence(
        question=asked.question,
        language=asked.language,
        urgency=asked.urgency,
        department=_department_name(asked),
        weights=search.index.lexical.weights(query),
        passages=tuple(found),
        guide=guide,
        topics=topics_of(asked.question, asked.language),
        danger_labels=_DANGER_LABELS[asked.language],
        told=asked.told or asked.question,
        rarity=search.index.lexical.weights(read),
    )


def _by_source(found: Sequence[RetrievedPassage], asked: Asked) -> list[RetrievedPassage]:
    """At most two passages of each source, the best source's first.

    A source is as good as its three best passages together: one that merely shares a word with the question has one.
    Sources the question names, hospital documents and the leading departments' guides move up; what a department says
    of itself moves down unless the question asks where to go.
    """
    passages: defaultdict[str, list[RetrievedPassage]] = defaultdict(list)
    for entry in sorted(found, key=lambda entry: -entry.score):
        passages[entry.passage.source_id].append(entry)
    leading = {entry.department.id for entry in asked.departments[:2]}
    where_to = "department" in topics_of(asked.question, asked.language)

    def worth(entries: list[RetrievedPassage]) -> float:
        best = entries[0].passage
        preferred = best.kind == "document" or bool(leading.intersection(best.departments))
        described = best.kind == "department" and not where_to
        return (
            sum(entry.score * weight for entry, weight in zip(entries, SOURCE_WEIGHTS, strict=False))
            + (NAMED_SOURCE_BONUS if is_named(best, asked.rewritten or asked.question) else 0.0)
            + (NAMED_DEPARTMENT_BONUS if preferred else 0.0)
            - (DESCRIPTION_MALUS if described else 0.0)
        )

    return [entry for entries in sorted(passages.values(), key=worth, reverse=True) for entry in entries[:PER_SOURCE]]


def _best_guide(found: Sequence[RetrievedPassage], search: HybridSearch) -> tuple[Passage, ...]:
    """Every passage of the best guide among the evidence."""
    best = next((entry.passage for entry in found if entry.passage.kind == "guide"), None)
    return () if best is None else tuple(search.passages_of(best.source_id, best.language))


def _department_name(asked: Asked) -> str:
    if asked.departments:
        return asked.departments[0].department.name.in_language(asked.language)
    return "全科医学科" if asked.language == "zh" else "general practice"


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
    return Abstention(wording.format(department=_department_name(asked)))
