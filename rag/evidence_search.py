"""The evidence for a question: few passages of the best sources, or none where they would not answer it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from knowledge.records import Language
from knowledge.replies import RankedDepartment
from knowledge.urgency import UrgencyLevel
from rag.evidence import Evidence
from rag.facets import PassageFilter
from rag.gates import holds_instructions
from rag.passages import Passage, RetrievedPassage
from rag.patient import PREGNANT, denies_pregnancy, told_of
from rag.pointed_questions import pointed_question
from rag.relevance import RelevanceFeatures, features_of, lead_of, load_relevance
from rag.retriever import HybridSearch
from rag.sentence_choice import is_for_others
from rag.subjects import Subject, folded, words_of
from rag.support import populations
from rag.topics import asks, aspects_of, topics_of
from rag.words import tokens_of

MIN_SCORE = 0.2  # below this a passage is not worth judging
NAMED_SOURCE_BONUS = 0.3  # for each share of what the question is about
NAMED_PLAINLY, NAMED_PLAINLY_BONUS = 0.75, 2.0  # the question is about little else: that source comes before any other
NAMED_DEPARTMENT_BONUS = 0.05
DESCRIPTION_MALUS = 0.4
OTHERS_MALUS = 0.6  # of a guide for children or pregnancy where nobody spoke of either
PER_SOURCE = 2
OBSTETRICS = ("obstetrics",)  # the department whose guides are about pregnancy
_DANGER_LABELS = {"zh": frozenset({"120", "急诊", "当天"}), "en": frozenset({"120", "emergency", "today"})}


@dataclass(frozen=True)
class Asked:
    """A question as the dialogue hands it over.

    question: the patient's own words. rewritten: the same so that it can be understood alone, with the facts gathered;
    "" where that is the question itself. told: everything the patient has said. first_in: source ids that are searched
    before all others (the guide a follow-up question is about).
    """

    question: str
    language: Language
    urgency: UrgencyLevel
    departments: tuple[RankedDepartment, ...]
    rewritten: str = ""
    told: str = ""
    first_in: frozenset[str] = frozenset()

    @property
    def query(self) -> str:
        """The question as it can be understood alone."""
        return self.rewritten or self.question

    @classmethod
    def alone(cls, question: str, language: Language) -> Asked:
        """A question of which nothing else is known."""
        return cls(question, language, UrgencyLevel.IV, ())

    def department_name(self) -> str:
        """Whom to ask: the first department, or general practice."""
        if self.departments:
            return self.departments[0].department.name.in_language(self.language)
        return "全科医学科" if self.language == "zh" else "general practice"


def gather_evidence(asked: Asked, search: HybridSearch, k: int) -> Evidence | None:
    """The few passages to answer from, in the patient's language, else in the other; None where they would not answer."""
    asked = mended(asked, search)
    other: Language = "en" if asked.language == "zh" else "zh"
    places = [(asked.language, asked.first_in)] if asked.first_in else []
    for language, within in (*places, (asked.language, frozenset[str]()), (other, frozenset[str]())):
        found = found_passages(asked, search, language, k, within)
        if not found:
            continue
        features = relevance_features(asked, search, found, language)
        if load_relevance().answers(features, language, asks(asked.question)):
            return _evidence(asked, search, found[:k])
    return None


def mended(asked: Asked, search: HybridSearch) -> Asked:
    """The question with mistyped names set right."""
    names = search.index.subjects(asked.language)
    return replace(asked, question=names.mended(asked.question), rewritten=names.mended(asked.rewritten))


def found_passages(
    asked: Asked, search: HybridSearch, language: Language, k: int, within: frozenset[str] = frozenset()
) -> list[RetrievedPassage]:
    """Passages for the question in the patient's words and for it rewritten, fused; the best of each source, at most two.

    within: the sources to look in; all where there are none.
    """
    only = PassageFilter(language=language, source_ids=within or None)
    named = search.subject(asked.query, language, asked.told).shares(search.index.word_weights(asked.query))
    plainly = frozenset(source_id for source_id, share in named.items() if share >= NAMED_PLAINLY)
    places = [(only, MIN_SCORE)]
    if plainly and not within:
        places.append((PassageFilter(language=language, source_ids=plainly), 0.0))
    best: dict[str, RetrievedPassage] = {}
    for query in dict.fromkeys((asked.question, asked.query)):
        for place, least in places:
            for passage in search.search(query, 4 * k, place, least):
                known = best.get(passage.passage.passage_id)
                if known is None or passage.score > known.score:
                    best[passage.passage.passage_id] = passage
    not_pregnant = denies_pregnancy(f"{asked.told} {asked.query}")
    clean = [
        found
        for found in best.values()
        if not holds_instructions(found.passage) and not (not_pregnant and _is_of_pregnancy(found.passage))
    ]
    return _by_source(clean, asked, named, search.source_strengths(asked.query, only))


def _is_of_pregnancy(passage: Passage) -> bool:
    """Whether a passage's guide or document is about pregnancy: by its title, or by the department it belongs to first."""
    return PREGNANT in populations(passage.title) or passage.departments[:1] == OBSTETRICS


def relevance_features(
    asked: Asked, search: HybridSearch, found: Sequence[RetrievedPassage], language: Language
) -> RelevanceFeatures:
    """What decides whether the passages found answer the question."""
    best = found[0].passage
    return features_of(
        asked.query,
        search.subject(asked.query, language, asked.told),
        search.index.word_weights(asked.query),
        found,
        search.cosine(asked.query, best),
        search.passages_of(best.source_id, language),
        topics_of(asked.query, language),
        search.reach(asked.query, PassageFilter(language=language)),
        lead_of(best.source_id, search.source_strengths(asked.query, PassageFilter(language=language))),
        language,
    )


def _evidence(asked: Asked, search: HybridSearch, found: Sequence[RetrievedPassage]) -> Evidence:
    subject = search.subject(asked.query, asked.language, asked.told)
    guide = _best_guide(found, search)
    chosen = {found[0].passage.source_id, *(passage.source_id for passage in guide)}
    found = [entry for entry in found if entry.passage.source_id in chosen or _is_about(entry.passage, subject)]
    main = subject.main_name(guide[0].source_id) if guide else None
    named = main.tokens if main else frozenset[str]()
    particulars = frozenset(map(folded, (subject.rest | subject.tokens()) - named))
    pointed = pointed_question(asked.question, asked.language, main)
    read = "\n".join(
        f"{passage.title} {passage.section} {passage.text}" for passage in (*(entry.passage for entry in found), *guide)
    )
    return Evidence(
        question=asked.question,
        language=asked.language,
        urgency=asked.urgency,
        department=asked.department_name(),
        weights=search.index.word_weights(asked.query),
        passages=tuple(found),
        guide=guide,
        topics=topics_of(asked.question, asked.language),
        danger_labels=_DANGER_LABELS[asked.language],
        told=asked.told or asked.question,
        rarity=search.index.word_weights(read),
        named=frozenset(map(folded, named)),
        particulars=particulars,
        aspects=aspects_of(asked.question, asked.language),
        pointed=pointed.judging(particulars - words_of(guide[0].title if guide else "")) if pointed else None,
    )


def _is_about(passage: Passage, subject: Subject) -> bool:
    """Whether a passage is the hospital's or headed by what the question names."""
    if passage.kind == "document":
        return True
    said = set(tokens_of(f"{passage.title} {passage.section}"))
    return any(name.tokens <= said for name in subject.named)


def _by_source(
    found: Sequence[RetrievedPassage], asked: Asked, named: Mapping[str, float], strengths: Mapping[str, float]
) -> list[RetrievedPassage]:
    """At most two passages of each source, the best source's first.

    strengths: of the sources, as HybridSearch.source_strengths gives them. Sources the question names, hospital documents and the leading departments' guides move up; what a department says
    of itself moves down unless the question asks where to go.
    """
    passages: defaultdict[str, list[RetrievedPassage]] = defaultdict(list)
    for entry in sorted(found, key=lambda entry: -entry.score):
        passages[entry.passage.source_id].append(entry)
    leading = {entry.department.id for entry in asked.departments[:2]}
    told = told_of(f"{asked.told} {asked.query}")
    where_to = "department" in topics_of(asked.question, asked.language)

    def worth(entries: list[RetrievedPassage]) -> float:
        best = entries[0].passage
        preferred = best.kind == "document" or bool(leading.intersection(best.departments))
        described = best.kind == "department" and not where_to
        return (
            strengths.get(best.source_id, 0.0)
            + NAMED_SOURCE_BONUS * named.get(best.source_id, 0.0)
            + (NAMED_PLAINLY_BONUS if named.get(best.source_id, 0.0) >= NAMED_PLAINLY else 0.0)
            + (NAMED_DEPARTMENT_BONUS if preferred else 0.0)
            - (DESCRIPTION_MALUS if described else 0.0)
            - (OTHERS_MALUS if is_for_others(best.title, told) else 0.0)
        )

    return [entry for entries in sorted(passages.values(), key=worth, reverse=True) for entry in entries[:PER_SOURCE]]


def _best_guide(found: Sequence[RetrievedPassage], search: HybridSearch) -> tuple[Passage, ...]:
    """Every passage of the best guide among the evidence."""
    best = next((entry.passage for entry in found if entry.passage.kind == "guide"), None)
    return () if best is None else tuple(search.passages_of(best.source_id, best.language))
