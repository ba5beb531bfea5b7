"""Which department: the patient's words against the complaints, conditions and names of every department."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from knowledge.departments import Department
from knowledge.records import Language
from rag.embedder import Embedder
from rag.lexical import LexicalIndex
from rag.patient import Patient
from rag.wording import normalise

PHRASES, VECTORS = "phrases.json", "vectors.npy"
NEAREST = 3  # phrases of a department whose cosines are averaged
SAYS_THE_SAME = 0.6  # that average, from which the patient says what the department's phrases say in other words
CHILD_MAX_AGE, OLD_MIN_AGE = 17, 60
NAMED_GUIDE = 2.0  # log-odds for a department one of whose guides is all that is spoken of; see RESULTS.md
FOR_THE_PREGNANT = ("obstetrics",)  # and for those who have just given birth
MIN_NAMED_CHARS = 2  # a condition's name shorter than this is no evidence when met in a text


@dataclass(frozen=True)
class RoutingWeights:
    """Weights of the evidence for a department, in log-odds per unit; chosen on real questions (see RESULTS.md).

    best_phrase: BM25 of the nearest phrase, as a share of the question's own weight; all_words: the same over everything
    the department says; nearest: mean cosine of its nearest phrases; named: one of its conditions or names stands in the text.
    unlikely_age: for a department of children or of the old when nobody of that age is spoken of; pregnancy: for obstetrics
    when pregnant; pregnancy_denied: for it when the patient says she is not.
    """

    best_phrase: float = 5.0
    all_words: float = 10.0
    nearest: float = 8.0
    named: float = 0.5
    unlikely_age: float = -3.0
    pregnancy: float = 1.5
    pregnancy_denied: float = -3.0


@dataclass(frozen=True)
class RoutingPhrase:
    """A phrase that speaks for a department. is_name: a condition or a name, not a whole complaint."""

    department_id: str
    text: str
    is_name: bool


@dataclass(frozen=True)
class DepartmentScore:
    """log_odds: evidence for the department, comparable within one question; phrases: by language, the nearest of its own.

    told: how much of it the patient's words tell, against the department they tell most of; in [0, 1]. One that lacks it
    is only vaguely alike.
    """

    department_id: str
    log_odds: float
    phrases: Mapping[str, str]
    told: float = 1.0

    def phrase(self, language: Language) -> str:
        """The nearest phrase in that language, or in the other where it has none."""
        return self.phrases.get(language) or next(iter(self.phrases.values()))

    def moved(self, by: float) -> DepartmentScore:
        """With more evidence, or less, than the words give: an answer, a hospital's solved cases. What speaks for it tells it."""
        return replace(self, log_odds=self.log_odds + by, told=1.0 if by > 0 else self.told)


class RoutingIndex:
    """Every department's phrases, ready to be compared with a question."""

    def __init__(
        self, phrases: Sequence[RoutingPhrase], vectors: np.ndarray, words: LexicalIndex, documents: LexicalIndex
    ) -> None:
        self.phrases = tuple(phrases)
        self._vectors = vectors  # (phrases, dimension) float32, unit rows
        self._words, self._documents = words, documents
        self.department_ids = tuple(dict.fromkeys(phrase.department_id for phrase in phrases))
        places = {department_id: [] for department_id in self.department_ids}  # type: dict[str, list[int]]
        for place, phrase in enumerate(phrases):
            places[phrase.department_id].append(place)
        self._places = {department_id: np.array(found) for department_id, found in places.items()}
        self._names = [(normalise(phrase.text), phrase.department_id) for phrase in phrases if phrase.is_name]

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over the phrases; changes whenever a department gains or loses one."""
        rows = [[phrase.department_id, phrase.text] for phrase in self.phrases]
        return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()[:16]

    @classmethod
    def build(cls, departments: Mapping[str, Department], embedder: Embedder) -> RoutingIndex:
        """From the department records; departments one is only referred to take no part."""
        phrases = [
            phrase
            for department in departments.values()
            if not department.referral_only
            for phrase in phrases_of(department)
        ]
        vectors = embedder.encode_passages([phrase.text for phrase in phrases])
        documents: dict[str, list[str]] = {}
        for phrase in phrases:
            documents.setdefault(phrase.department_id, []).append(phrase.text)
        words = LexicalIndex.build([phrase.text for phrase in phrases])
        return cls(phrases, vectors, words, LexicalIndex.build(["\n".join(texts) for texts in documents.values()]))

    def save(self, folder: Path) -> None:
        """Arrays and JSON, no pickle."""
        for name, index in (("words", self._words), ("documents", self._documents)):
            (folder / name).mkdir(parents=True)
            index.save(folder / name)
        np.save(folder / VECTORS, self._vectors.astype(np.float16), allow_pickle=False)
        rows = [[phrase.department_id, phrase.text, phrase.is_name] for phrase in self.phrases]
        (folder / PHRASES).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> RoutingIndex:
        rows = json.loads((folder / PHRASES).read_text(encoding="utf-8"))
        vectors = np.load(folder / VECTORS, allow_pickle=False).astype(np.float32)
        return cls(
            [RoutingPhrase(*row) for row in rows],
            vectors,
            LexicalIndex.load(folder / "words"),
            LexicalIndex.load(folder / "documents"),
        )

    def scores(self, text: str, query: np.ndarray, weights: RoutingWeights = RoutingWeights()) -> list[DepartmentScore]:
        """Every department's evidence in a text. query: the text's (dimension,) unit vector."""
        evidence = self.evidence(text, query)
        log_odds = _weighed(evidence.matrix, weights)
        return [
            DepartmentScore(department_id, float(value), nearest, float(told))
            for department_id, value, nearest, told in zip(
                self.department_ids, log_odds, evidence.nearest_phrases, evidence.told(), strict=True
            )
        ]

    def log_odds(self, text: str, query: np.ndarray, weights: RoutingWeights = RoutingWeights()) -> np.ndarray:
        """(departments,) the evidence alone, in the order of department_ids, without the phrases that show it."""
        return _weighed(self.evidence(text, query, with_phrases=False).matrix, weights)

    def evidence(self, text: str, query: np.ndarray, with_phrases: bool = True) -> RoutingEvidence:
        """The four measures of RoutingWeights for every department."""
        total = sum(self._words.weights(text).values()) or 1.0
        by_words = self._words.scores(text) / total
        by_document = self._documents.scores(text) / total
        by_vector = self._vectors @ query
        named = self._named_in(normalise(text))
        rows, nearest = [], []
        for number, department_id in enumerate(self.department_ids):
            places = self._places[department_id]
            cosines = by_vector[places]
            top = np.partition(cosines, -min(NEAREST, len(cosines)))[-NEAREST:]
            rows.append([by_words[places].max(), by_document[number], top.mean(), named.get(department_id, 0.0)])
            if with_phrases:
                nearest.append(self._nearest_by_language(places, by_words[places] + cosines))
        return RoutingEvidence(np.array(rows), tuple(nearest))

    def _nearest_by_language(self, places: np.ndarray, fit: np.ndarray) -> dict[str, str]:
        found: dict[str, str] = {}
        for order in np.argsort(-fit, kind="stable"):
            text = self.phrases[int(places[order])].text
            found.setdefault("en" if text.isascii() else "zh", text)
            if len(found) == 2:
                break
        return found

    def _named_in(self, plain: str) -> dict[str, float]:
        """Departments one of whose names or conditions stands in the text; a longer name counts more, up to 1.5."""
        found: dict[str, float] = {}
        for name, department_id in self._names:
            if len(name) >= MIN_NAMED_CHARS and name in plain and (not name.isascii() or f" {name} " in f" {plain} "):
                length = len(name) / (3 if not name.isascii() else 10)
                found[department_id] = max(found.get(department_id, 0.0), min(1.5, 0.5 + 0.5 * length))
        return found


@dataclass(frozen=True)
class RoutingEvidence:
    """matrix: (departments, 4) best_phrase, all_words, nearest, named; nearest_phrases: by language, for each department."""

    matrix: np.ndarray
    nearest_phrases: tuple[dict[str, str], ...]

    def told(self) -> np.ndarray:
        """(departments,) the better of best_phrase and all_words, each as a share of the highest of any department."""
        by_words, near = self.matrix[:, :2], self.matrix[:, 2]
        shares: np.ndarray = (by_words / np.maximum(by_words.max(axis=0), 1e-9)).max(axis=1)
        return np.where(near >= SAYS_THE_SAME, 1.0, shares)


def _weighed(matrix: np.ndarray, weights: RoutingWeights) -> np.ndarray:
    log_odds: np.ndarray = matrix @ [weights.best_phrase, weights.all_words, weights.nearest, weights.named]
    return log_odds


def phrases_of(department: Department) -> list[RoutingPhrase]:
    """Everything that speaks for a department, in both languages."""
    names = dict.fromkeys((*department.all_names(), *department.treats.both()))
    complaints = dict.fromkeys(department.complaints.both())
    return [RoutingPhrase(department.id, text, True) for text in names] + [
        RoutingPhrase(department.id, text, False) for text in complaints
    ]


def admitted(department: Department, patient: Patient) -> bool:
    """Whether the patient may be sent there at all."""
    limits = department.patients
    ages = patient.likely_ages or (None,)
    return not department.referral_only and any(limits.admits(age, patient.sex, patient.pregnant) for age in ages)


def of_untold_age(department: Department, patient: Patient) -> bool:
    """Whether a department sees only children, or only the old, and nothing told how old the patient is."""
    limits = department.patients
    for_children = limits.max_age_years is not None and limits.max_age_years <= CHILD_MAX_AGE
    for_the_old = limits.min_age_years is not None and limits.min_age_years >= OLD_MIN_AGE
    return (for_children or for_the_old) and not patient.likely_ages


def patient_log_odds(department: Department, patient: Patient, weights: RoutingWeights = RoutingWeights()) -> float:
    """What age and pregnancy say for or against a department, beside the words."""
    value = weights.unlikely_age if of_untold_age(department, patient) else 0.0
    if department.id in FOR_THE_PREGNANT and patient.pregnant is not None:
        value += weights.pregnancy if patient.pregnant else weights.pregnancy_denied
    return value


def why(phrase: str, language: Language) -> str:
    """The reason shown with a department: which of its usual complaints is nearest."""
    return f"与该科常见的情况相近：{phrase}" if language == "zh" else f"Close to what is seen there: {phrase}"
