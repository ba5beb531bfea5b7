"""How likely the passages found answer the question: a small logistic model over features that can be read.

Its weights are fitted by `python -m tests.benchmarks.calibrate_relevance` on questions whose right guide is known
(tests/data/answers_dev.jsonl), never on those that are reported.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from knowledge.departments import load_departments
from rag.passages import Passage, RetrievedPassage
from rag.wording import normalise
from rag.words import share_covered, tokens_of

COMPLAINT_SHARE = 0.5  # of the threshold: what suffices where symptoms are told and nothing is asked
WEIGHTS_FILE = Path(__file__).resolve().parent / "models" / "relevance.json"


@dataclass(frozen=True)
class RelevanceFeatures:
    """What is known of a question and the best source found for it; each in [0, 1] but for `words` and `words_in_all`.

    score: of the best passage. cosine: of question and best passage. covered: share of the question's words (by rarity)
    in the best passage; covered_by_source: in all of its source. missing_rarest: how rare the rarest word is that the
    source lacks, against the question's rarest. named: the question names the source's subject. named_share: the share of
    the question those names make up. agreeing: share of the first five passages that come from this source.
    """

    score: float
    cosine: float
    covered: float
    covered_by_source: float
    missing_rarest: float
    named: float
    named_share: float
    agreeing: float
    guide: float
    asks_department: float
    other_condition: float
    nearest: float
    words: float
    words_in_all: float
    lead: float


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
    weights: Mapping[str, float],
    found: Sequence[RetrievedPassage],
    cosine: float,
    source: Sequence[Passage],
    topics: Collection[str],
    reach: tuple[float, float, float],
    lead: float,
) -> RelevanceFeatures:
    """The features of a question and of the source of the first passage found.

    source: every passage of it. topics: the sections of a guide the question asks for. reach: HybridSearch.reach.
    """
    best = found[0].passage
    asked = dict(weights)
    whole = {token for passage in source for token in tokens_of(passage.embedded_text())}
    rarest = max(asked.values(), default=1.0)
    missing = max((weight for token, weight in asked.items() if token not in whole), default=0.0)
    plain = normalise(question)
    names = [name for name in _names(source) if name in plain]
    longest = max(map(len, names), default=0)
    return RelevanceFeatures(
        score=found[0].score,
        cosine=max(0.0, cosine),
        covered=share_covered(asked, tokens_of(best.embedded_text())),
        covered_by_source=share_covered(asked, list(whole)),
        missing_rarest=missing / rarest if rarest else 0.0,
        named=float(bool(names)),
        named_share=min(1.0, longest / max(1, len(plain))),
        guide=float(best.kind != "department"),
        asks_department=float("department" in topics),
        other_condition=float(_names_other_condition(plain, source)),
        nearest=max(0.0, reach[0]),
        words=reach[1],
        words_in_all=reach[2],
        lead=lead,
        agreeing=sum(entry.passage.source_id == best.source_id for entry in found[:5]) / min(5, len(found)),
    )


def lead_of(source_id: str, strengths: Mapping[str, float]) -> float:
    """By how much a source is stronger than the next, as a share of its strength; below 0 where another is stronger."""
    own = strengths.get(source_id, 0.0)
    next_best = max((value for name, value in strengths.items() if name != source_id), default=0.0)
    return max(-1.0, (own - next_best) / own) if own else -1.0


def _names_other_condition(plain: str, source: Sequence[Passage]) -> bool:
    read = normalise("\n".join(passage.embedded_text() for passage in source))
    named = [
        term
        for term in _conditions()
        if term in plain and (not term.isascii() or re.search(rf"\b{re.escape(term)}", plain))
    ]
    longest = [term for term in named if not any(term != other and term in other for other in named)]
    return any(term not in read for term in longest)


@cache
def _conditions() -> frozenset[str]:
    """Conditions that departments treat, normalised; short English words mean too many things."""
    terms = (normalise(term) for department in load_departments().values() for term in department.treats.both())
    return frozenset(term for term in terms if len(term) >= (5 if term.isascii() else 3))


def _names(source: Sequence[Passage]) -> set[str]:
    """What the source is called, normalised: its titles and the other names it is searched by."""
    titles = {normalise(passage.title) for passage in source}
    others = {name for passage in source for name in normalise(passage.search_terms).split(" ") if len(name) >= 2}
    return {name for name in titles | others if name}
