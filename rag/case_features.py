"""A dialogue as numbers: its character n-grams, what the general routing makes of it, and its vector."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag.embedder import Embedder
from rag.learned_scorers import Dialogues, softmax
from rag.masking import mask
from rag.routing import RoutingIndex
from rag.solved_cases import clinician_words, patient_words, turns

NGRAMS, MIN_CASES = (1, 3), 2
ROUTING_SCALE, VECTOR_SCALE = 0.7, 0.4  # against n-grams of length 1; chosen on PG-Bench's training folds
SHORT_KEY = 2  # a department's name so short must be said with its ending: 妇 as 妇科
ENDINGS = ("科", "专业")
_CLAUSE_ENDS = re.compile(r"[，。；！？,;!?（）()]+|\.\s")


@dataclass(frozen=True)
class Reader:
    """The general routing and the embedder, through which dialogues are read."""

    routing: RoutingIndex
    embedder: Embedder

    @property
    def fingerprint(self) -> str:
        """Changes with the embedder and with the departments' phrases."""
        return f"{self.embedder.fingerprint}-{self.routing.fingerprint}"

    def general(self, dialogue: str, vector: np.ndarray | None = None) -> np.ndarray:
        """(departments,) the general routing's log-odds for the patient's own words."""
        words = patient_words(dialogue) or dialogue
        query = self.embedder.encode_queries([words])[0] if vector is None else vector
        return self.routing.log_odds(words, query)

    def dense(self, dialogues: Sequence[str]) -> np.ndarray:
        """(dialogues, departments + dimension) the general routing's shares and the vectors, scaled."""
        shares = np.sqrt([softmax(self.general(dialogue)) for dialogue in dialogues])
        return np.hstack([ROUTING_SCALE * shares, VECTOR_SCALE * self.embedder.encode_queries(dialogues)])


def prepared(dialogue: str) -> str:
    """The form in which a dialogue is kept and read: masked."""
    return mask(dialogue)


@dataclass(frozen=True)
class CaseFeatures:
    """Fitted on solved cases. vocabulary: n-grams; idf: their weights; labels: departments by key."""

    vocabulary: tuple[str, ...]
    idf: np.ndarray
    labels: tuple[str, ...]

    @classmethod
    def fit(cls, dialogues: Sequence[str], labels: Sequence[str]) -> CaseFeatures:
        vectoriser = _vectoriser(None, MIN_CASES if len(dialogues) > 20 else 1)
        vectoriser.fit(dialogues)
        return cls(tuple(vectoriser.get_feature_names_out()), vectoriser.idf_, tuple(labels))

    def words(self) -> Any:
        """The vectoriser; keep it, making it takes longer than using it."""
        vectoriser = _vectoriser({word: place for place, word in enumerate(self.vocabulary)}, 1)
        vectoriser.idf_ = self.idf
        return vectoriser

    def dialogues(self, vectoriser: Any, texts: Sequence[str], dense: np.ndarray) -> Dialogues:
        """Dialogues as the scorers read them. dense: (dialogues, departments + dimension), see Reader.dense."""
        from scipy.sparse import csr_matrix, hstack

        clauses = [_clauses(text) for text in texts]
        return Dialogues(
            hstack([vectoriser.transform(texts), csr_matrix(dense)]).tocsr(),
            vectoriser.transform([clause for found in clauses for clause in found]),
            np.repeat(np.arange(len(texts)), [len(found) for found in clauses]),
            self.mentions(texts),
        )

    def mentions(self, texts: Sequence[str]) -> np.ndarray:
        """(dialogues, labels, 5): whether the department's name stands in the patient's, in the clinician's words;
        and the share of the name's telling character pairs in the clinician's, the patient's and the clinician's
        last words ("麻醉方面的检查" for 口腔麻醉). A pair tells the more, the fewer names have it."""
        pairs, shares = _telling_pairs(self.labels)
        found = np.zeros((len(texts), len(self.labels), 5))
        for row, text in enumerate(texts):
            patient, clinician = patient_words(text), clinician_words(text)
            found[row, :, 0], found[row, :, 1] = _named_in(patient, self.labels), _named_in(clinician, self.labels)
            for column, words in enumerate((clinician, patient, clinician.rpartition("\n")[2]), start=2):
                plain = words.casefold()
                found[row, :, column] = np.array([pair in plain for pair in pairs], dtype=float) @ shares
        return found


def _vectoriser(vocabulary: dict[str, int] | None, min_cases: int) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer="char", ngram_range=NGRAMS, sublinear_tf=True, min_df=min_cases, vocabulary=vocabulary
    )


def _clauses(text: str) -> list[str]:
    """The clauses of a dialogue, without who said them; the whole where there is none."""
    found = [clause for _, words in turns(text) for clause in _CLAUSE_ENDS.split(words) if len(clause.strip()) > 1]
    return found or [text]


def _telling_pairs(labels: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The character pairs of all names, and (pairs, labels) what share of a name each stands for."""
    of_label = [{label[place : place + 2] for place in range(max(1, len(label) - 1))} for label in labels]
    pairs = sorted(set().union(*of_label))
    has = np.array([[pair in own for own in of_label] for pair in pairs], dtype=float)
    weights = has * np.log(1 + len(labels) / has.sum(axis=1, keepdims=True)) ** 2
    return pairs, weights / weights.sum(axis=0)


def _named_in(words: str, labels: Sequence[str]) -> np.ndarray:
    """Longer names first; what they cover does not count for a shorter one (儿科 in 小儿科)."""
    said = np.zeros(len(labels))
    rest = words.casefold()
    for place in sorted(range(len(labels)), key=lambda place: -len(labels[place])):
        key = labels[place]
        for form in (key,) if len(key) > SHORT_KEY else tuple(key + ending for ending in ENDINGS):
            if form in rest:
                said[place] = 1.0
                rest = rest.replace(form, "\n")
    return said
