"""What retrieval asks of an open generation, wherever it is kept: on this machine's disk, or in a served store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from knowledge.errors import AssistantError
from knowledge.records import Language
from rag.facets import PassageFilter
from rag.manifest import Manifest
from rag.passages import Passage
from rag.subjects import SubjectNames


@dataclass(frozen=True)
class Ranking:
    """Rows of a generation, best first, each with its score and its source's id; the lower row first among equals."""

    rows: list[int]
    scores: list[float]
    sources: list[str]

    def best(self) -> float:
        """The highest score; 0 where nothing was found."""
        return self.scores[0] if self.scores else 0.0


@dataclass(frozen=True)
class Weighed:
    """A passage as a question sees it. cosine: of their vectors; covered: the largest share of any of the question's
    focuses, weighted by rarity, that the passage holds, in [0, 1]."""

    passage: Passage
    cosine: float
    covered: float


@dataclass(frozen=True)
class Held:
    """A passage as it is kept. vector: (dimension,) float32 of unit length; added: its metadata where it was added through
    the Python interface, None for one that was ingested."""

    passage: Passage
    vector: np.ndarray
    added: Mapping[str, Any] | None


class OpenGeneration(Protocol):
    """An open generation. It never changes; every method may raise StoreUnavailable where it is kept elsewhere.

    folder: holds at least the manifest, the departments' phrases (ROUTING) and the prepared rules.
    """

    @property
    def manifest(self) -> Manifest: ...
    @property
    def folder(self) -> Path: ...

    def by_meaning(self, query: np.ndarray, k: int, only: PassageFilter) -> Ranking:
        """The k passages nearest to a (dimension,) unit query among those a filter admits; scores are cosines."""

    def by_words(self, question: str, k: int, only: PassageFilter) -> Ranking:
        """At most k passages that hold any of the question's words; scores are BM25."""

    def word_weights(self, text: str) -> dict[str, float]:
        """Each of a text's words with its rarity; a word no passage holds weighs as the rarest."""

    def weighed(self, rows: Sequence[int], query: np.ndarray, focuses: Sequence[dict[str, float]]) -> list[Weighed]:
        """The passages of rows, in their order. focuses: words with their weights, any of which may be covered."""

    def cosine_of(self, passage_id: str, query: np.ndarray) -> float:
        """The cosine of a query and a passage; 0 where the generation does not hold it."""

    def of_source(self, source_id: str, language: str | None = None) -> list[Passage]:
        """Every passage of a source (in a language), in order."""

    def held_at(self, rows: Sequence[int]) -> list[Held]:
        """The passages of rows as they are kept, in the order of the rows."""

    def rows_of_ids(self, passage_ids: Sequence[str]) -> dict[str, int]:
        """passage_id -> row, for those that are there."""

    def guides(self) -> Iterable[Passage]:
        """Every passage of a guide, in order."""

    def subjects(self, language: Language) -> SubjectNames:
        """What the sources in a language are called."""

    def page_text(self, source_id: str, page: int | None, section: str, quote: str = "") -> str | None:
        """The whole text of the page or section a quote stands in; None where the source has no such text."""


@runtime_checkable
class Serving(Protocol):
    """Always the generation that serves."""

    def current(self) -> OpenGeneration:
        """The generation that serves now; one question should ask for it once."""


@runtime_checkable
class Served(Serving, Protocol):
    """Always the generation a store serves, with this machine's own to stand in for it."""

    def instead(self, fault: AssistantError) -> OpenGeneration:
        """This machine's own generation, because the store failed; raises that fault where there is none."""

    def at_home(self) -> OpenGeneration:
        """This machine's own generation where there is one."""
