"""The guides of a generation by what they are called: which one a text names, or is about, and the dangers it warns of."""

from __future__ import annotations

import re
from functools import cached_property

from knowledge.guidelines import SECTIONS
from knowledge.records import Language
from rag.open_generation import OpenGeneration
from rag.patient import GROWN_UP
from rag.red_flag_matcher import Findings, RedFlagMatcher
from rag.wording import normalise

SHORTEST_NAME = {"zh": 2, "en": 4}  # characters of a name that may stand for a guide
_BETWEEN_NAMES = re.compile(r"[,，、;；|/\n]")


class GuideNames:
    """Titles and other names of one generation's guides. matcher: reads the signs a guide calls dangerous."""

    def __init__(self, index: OpenGeneration, matcher: RedFlagMatcher) -> None:
        self.index, self._matcher = index, matcher
        self._dangers: dict[str, frozenset[str]] = {}

    def is_guide(self, source_id: str) -> bool:
        return source_id in self._source_ids.values()

    def title(self, source_id: str, language: Language) -> str:
        """The title of a guide in a language; "" for a source that is none."""
        if not source_id:
            return ""
        held = self.index.of_source(source_id, language)
        return held[0].title if held and held[0].kind == "guide" else ""

    def named_in(self, plain: str) -> str:
        """The source id of the guide whose title or other name, the longest, stands in a normalised text; "" for none."""
        named = [name for name in self._source_ids if name in plain]
        return self._source_ids[max(named, key=len)] if named else ""

    def about(self, findings: Findings) -> str:
        """The source id of the guide one of whose names holds the patient's word for a sign, the children's for a child."""
        young = bool(findings.patient.likely_ages) and min(findings.patient.likely_ages) < GROWN_UP
        for mention in sorted(findings.affirmed.values(), key=lambda mention: mention.start - mention.end):
            if not self._matcher.is_felt(mention.sign_id) or not _is_long_enough(mention.words):
                continue
            names = [name for name in self._source_ids if mention.words in name]
            suited = [name for name in names if ("children" in self._source_ids[name]) == young] or names
            if suited:
                return self._source_ids[min(suited, key=len)]
        return ""

    def danger_signs(self, source_id: str) -> frozenset[str]:
        """Ids of the signs that the danger section of a guide names."""
        if source_id not in self._dangers:
            held = self.index.of_source(source_id) if source_id else []
            text = "\n".join(passage.text for passage in held if passage.section in SECTIONS["danger"])
            self._dangers[source_id] = frozenset(self._matcher.affirmed_in(normalise(text)))
        return self._dangers[source_id]

    @cached_property
    def _source_ids(self) -> dict[str, str]:
        """Normalised titles and other names of the guides -> source id."""
        source_ids: dict[str, str] = {}
        for passage in self.index.guides():
            for name in (passage.title, *_BETWEEN_NAMES.split(passage.search_terms)):
                plain = normalise(name).strip()
                if _is_long_enough(plain):
                    source_ids.setdefault(plain, passage.source_id)
        return source_ids


def _is_long_enough(name: str) -> bool:
    return len(name) >= SHORTEST_NAME["en" if name.isascii() else "zh"]
