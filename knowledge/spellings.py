"""How people mistype and vary the words of complaints, and the spelling they are read as."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from knowledge.records import KNOWLEDGE_DIR, Record, read_yaml, validated

_WORD = re.compile(r"[a-z][a-z'-]*")


class Spellings(Record):
    """english, chinese: wrong or variant form -> the form phrases use; word_parts: British -> American inside words."""

    english: dict[str, str]
    english_word_parts: dict[str, str]
    chinese: dict[str, str]

    def mend_english(self, text: str) -> str:
        """Lower-case English with contractions written out and variants unified."""
        return _WORD.sub(lambda match: self._mend_word(match[0]), text)

    def mend_chinese(self, text: str) -> str:
        """Simplified Chinese with mistyped words mended (胸通 → 胸痛)."""
        if not text or text.isascii():
            return text
        for wrong, right in self.chinese.items():
            if wrong in text:
                text = text.replace(wrong, right)
        return text

    def _mend_word(self, word: str) -> str:
        word = self.english.get(word, word)
        if word.endswith("'s"):
            word = f"{word[:-2]} is"  # "my leg's swollen"; a possessive read so does no harm
        for british, american in self.english_word_parts.items():
            if british in word:
                word = word.replace(british, american)
        return self.english.get(word, word)


@cache
def load_spellings(path: Path = KNOWLEDGE_DIR / "spellings.yaml") -> Spellings:
    """The table of spellings, validated."""
    return validated(Spellings, read_yaml(path), path)
