"""How likely the passages found answer the question: a small logistic model over features that can be read.

Its weights are fitted by `python -m tests.benchmarks.calibrate_relevance` on questions whose right guide is known
(tests/data/answers_dev.jsonl), never on those that are reported.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from knowledge.departments import load_departments
from knowledge.records import Language
from rag.passages import Passage, RetrievedPassage
from rag.pointed_questions import PointedQuestion, pointed_question
from rag.sentence_choice import question_in
from rag.subjects import Subject
from rag.wording import normalise
from rag.words import share_covered, tokens_of

MAX_FOREIGN = 2
_LATIN_WORD = re.compile(r"[a-z][a-z0-9]+|[0-9]+[a-z]+")
KNOWS = 2  # times a source must speak of a disease to know it
COMPLAINT_SHARE = 0.5  # of the threshold: what suffices where symptoms are told and nothing is asked
# the two characters before an ending that makes a disease's name; plain words of illness are none
_CHINESE_DISEASE = re.compile(
    r"(?!毛病|看病|得病|生病|治病|什么病|啥病|这病|种病|疾病|发病|个病)[\u3400-\u9fff]{2}(?<![的了是有个么这那种看得生治什啥是不])(?:综合征|病(?!人|房|历|情|了|的|吗)|症(?!状)|炎|瘤|癌|癣|疹)"
)
_ENGLISH_DISEASE = re.compile(
    r"\b(?!(?:the|a|my|this|that|any|some|heart|lung|skin|what|of) )[a-z]+(?: (?:is|s))? (?:disease|syndrome|disorder|sclerosis|fibrosis|palsy|dystrophy|deficiency|an[a]?emia)\b|\b[a-z]{3,}(?:itis|osis|oma|opathy|lepsy|algia|penia|emia)\b"
)
WEIGHTS_FILE = Path(__file__).resolve().parent / "models" / "relevance.json"


@dataclass(frozen=True)
class RelevanceFeatures:
    """What is known of a question and the best source found for it; each in [0, 1] but for `words` and `words_in_all`.

    score: of the best passage. cosine: of question and best passage. covered: share of the words the question is about
    (by rarity) in the best passage; covered_by_source: in all of its source. missing_rarest: how rare the rarest of them
    is that the source lacks, against the rarest. named: how surely the question names the source. named_share: the share
    of what the question is about that those names make up; other_named: that only names of other sources make up.
    rest_covered: the share of what is left that the source holds, where the question names it. headed: the largest share under
    one heading. brief: one by the number of words the question is about. agreeing: share of the
    first five passages that come from this source. other_condition: a disease is named that the source does not know.
    told: 1 where the source tells the one thing asked for, -1 where it does not, 0 where no one thing is asked for. foreign:
    of a Chinese question, how many of its words in Latin letters (genes, brands, substances) the source lacks, at most 2.
    """

    score: float
    cosine: float
    covered: float
    covered_by_source: float
    missing_rarest: float
    named: float
    named_share: float
    other_named: float
    rest_covered: float
    headed: float
    brief: float
    agreeing: float
    guide: float
    asks_department: float
    other_condition: float
    nearest: float
    words: float
    words_in_all: float
    lead: float
    told: float = 0.0
    foreign: float = 0.0


@dataclass(frozen=True)
class RelevanceModel:
    """Weights by feature, with "intercept" and "chinese"; threshold by language: the chance from which the documents answer."""

    weights: Mapping[str, float]
    threshold: Mapping[str, float]
    fitted_on: str

    def chance(self, features: RelevanceFeatures, language: str) -> float:
        """The chance in [0, 1] that the source answers the question."""
        total = self.weights["intercept"] + (self.weights["chinese"] if language == "zh" else 0.0)
        total += sum(self.weights[name] * value for name, value in asdict(features).items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))

    def answers(self, features: RelevanceFeatures, language: str, asks: bool = True) -> bool:
        """Whether the documents are taken to answer. asks: a question wants its answer, a complaint is met by its guide."""
        return self.chance(features, language) >= self.threshold[language] * (1.0 if asks else COMPLAINT_SHARE)


@cache
def load_relevance(path: Path = WEIGHTS_FILE) -> RelevanceModel:
    """The shipped weights."""
    return RelevanceModel(**json.loads(path.read_text(encoding="utf-8")))


def features_of(
    question: str,
    subject: Subject,
    weights: Mapping[str, float],
    found: Sequence[RetrievedPassage],
    cosine: float,
    source: Sequence[Passage],
    topics: Collection[str],
    reach: tuple[float, float, float],
    lead: float,
    language: Language,
) -> RelevanceFeatures:
    """The features of a question and of the source of the first passage found.

    weights: the question's words by rarity. source: every passage of it. topics: the sections of a guide the question
    asks for. reach: HybridSearch.reach. language: of the question and the source.
    """
    best = found[0].passage
    own = subject.tokens(best.source_id)
    names, rest = _weighed(subject.tokens(), weights), _weighed(subject.rest, weights)
    asked = {**names, **rest} or dict(weights)
    whole = {token for passage in source for token in tokens_of(passage.embedded_text())}
    rarest = max(asked.values(), default=1.0)
    missing = max((weight for token, weight in asked.items() if token not in whole), default=0.0)
    return RelevanceFeatures(
        score=found[0].score,
        cosine=max(0.0, cosine),
        covered=share_covered(asked, tokens_of(best.embedded_text())),
        covered_by_source=share_covered(asked, list(whole)),
        missing_rarest=missing / rarest if rarest else 0.0,
        named=subject.surely(best.source_id),
        named_share=share_covered(asked, list(own)),
        other_named=share_covered(asked, list(names.keys() - own)),
        rest_covered=(share_covered(rest, list(whole)) if rest else 1.0) * float(bool(own)),
        headed=max(share_covered(asked, tokens_of(f"{passage.title} {passage.section}")) for passage in source),
        brief=1 / max(1, len(asked)),
        guide=float(best.kind != "department"),
        asks_department=float("department" in topics),
        other_condition=float(_names_other_condition(normalise(question), source)),
        nearest=max(0.0, reach[0]),
        words=reach[1],
        words_in_all=reach[2],
        lead=lead,
        told=_told(pointed_question(question, language, subject.main_name(best.source_id)), source),
        foreign=float(
            min(MAX_FOREIGN, sum(1 for word in _foreign_words(question) if whole.isdisjoint(tokens_of(word))))
        ),
        agreeing=sum(entry.passage.source_id == best.source_id for entry in found[:5]) / min(5, len(found)),
    )


def _weighed(tokens: Collection[str], weights: Mapping[str, float]) -> dict[str, float]:
    return {token: weights[token] for token in tokens if token in weights}


def _told(pointed: PointedQuestion | None, source: Sequence[Passage]) -> float:
    if pointed is None:
        return 0.0
    questions = (question_in(passage.section) for passage in source)
    asked_too = any(question and pointed.is_asked_in(question) for question in questions)
    return 1.0 if asked_too or any(pointed.told_by(passage.text) for passage in source) else -1.0


def _foreign_words(question: str) -> list[str]:
    plain = normalise(question)
    return [] if plain.isascii() else _LATIN_WORD.findall(plain)


def lead_of(source_id: str, strengths: Mapping[str, float]) -> float:
    """By how much a source is stronger than the next, as a share of its strength; below 0 where another is stronger."""
    own = strengths.get(source_id, 0.0)
    next_best = max((value for name, value in strengths.items() if name != source_id), default=0.0)
    return max(-1.0, (own - next_best) / own) if own else -1.0


def _names_other_condition(plain: str, source: Sequence[Passage]) -> bool:
    read = normalise("\n".join(passage.embedded_text() for passage in source))
    called = normalise(" ".join({passage.title + " " + passage.search_terms for passage in source}))
    named = [
        term
        for term in _conditions()
        if term in plain and (not term.isascii() or re.search(rf"\b{re.escape(term)}", plain))
    ]
    longest = [term for term in named if not any(term != other and term in other for other in named)]
    if any(term not in called and read.count(term) < KNOWS for term in longest):
        return True
    return any(term not in called and read.count(term) < KNOWS for term in _disease_words(plain))


def _disease_words(plain: str) -> Iterator[str]:
    """What by its ending is a disease's name: its last characters, or its last two English words."""
    for match in _CHINESE_DISEASE.finditer(plain):
        yield match[0]
    for match in _ENGLISH_DISEASE.finditer(plain):
        yield match[0]


@cache
def _conditions() -> frozenset[str]:
    """Conditions that departments treat, normalised; short English words mean too many things."""
    terms = (normalise(term) for department in load_departments().values() for term in department.treats.both())
    return frozenset(term for term in terms if len(term) >= (5 if term.isascii() else 3))
