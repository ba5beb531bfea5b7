"""Passages: what is embedded, found and quoted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

PassageKind = Literal["guide", "department", "document"]


@dataclass(frozen=True)
class Passage:
    """A stretch of one page or section, short enough to embed and to quote, never cut inside a sentence."""

    passage_id: str  # "<source_id>:p<page>:<start>", page 0 where there are none
    source_id: str
    title: str
    section: str  # heading path, " > " between levels
    page: int | None  # 1-based, as a PDF viewer shows it
    start: int  # character offset in the page's or section's text
    text: str
    language: str
    kind: PassageKind
    departments: tuple[str, ...] = ()
    search_terms: str = ""  # other names of what the passage is about, one a line
    page_label: str | None = None  # as printed on the page, where that is not its number
    also_in: tuple[str, ...] = ()  # source_ids of other sources that say the same, kept once

    def embedded_text(self) -> str:
        """What is embedded and searched: the text under its headings. Only `text` may be quoted."""
        names = self.search_terms.replace("\n", " ")
        headings = " ".join(part for part in (self.title, names, self.section) if part)
        return f"{headings}\n{self.text}" if headings else self.text

    def as_row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Passage:
        return cls(**{**row, "departments": tuple(row["departments"]), "also_in": tuple(row.get("also_in", ()))})


@dataclass(frozen=True)
class RetrievedPassage:
    """A passage found for a question.

    score: relevance in [0, 1], the mean of the cosine and of the share of the question's words
    (weighted by their rarity) that the passage holds; of a long question its best-covered sentence counts. Passages are ordered by reciprocal rank fusion,
    so scores need not fall strictly from one to the next.
    """

    passage: Passage
    score: float
