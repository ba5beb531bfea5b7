"""A dialogue as numbers: its character n-grams, what the general routing makes of it, and its vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag.embedder import Embedder
from rag.masking import mask
from rag.routing import RoutingIndex
from rag.solved_cases import clinician_words, patient_words

NGRAMS, MIN_CASES = (1, 3), 2
ROUTING_SCALE, VECTOR_SCALE = 0.7, 0.4  # against n-grams of length 1; chosen on PG-Bench's training folds
SHORT_KEY = 2  # a department's name so short must be said with its ending: 妇 as 妇科
ENDINGS = ("科", "专业")


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

    def named(self, dialogues: Sequence[str]) -> np.ndarray:
        """(dialogues, labels, 2): whether the department's name stands in the patient's, in the clinician's words."""
        found = np.zeros((len(dialogues), len(self.labels), 2))
        for row, dialogue in enumerate(dialogues):
            for side, words in enumerate((patient_words(dialogue), clinician_words(dialogue))):
                found[row, :, side] = _named_in(words, self.labels)
        return found


def matrix_of(vectoriser: Any, dialogues: Sequence[str], dense: np.ndarray) -> Any:
    """Sparse rows: n-grams, then the dense features."""
    from scipy.sparse import csr_matrix, hstack

    return hstack([vectoriser.transform(dialogues), csr_matrix(dense)]).tocsr()


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    shares: np.ndarray = powers / powers.sum()
    return shares


def _vectoriser(vocabulary: dict[str, int] | None, min_cases: int) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer="char", ngram_range=NGRAMS, sublinear_tf=True, min_df=min_cases, vocabulary=vocabulary
    )


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
