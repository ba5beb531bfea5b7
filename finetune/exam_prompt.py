"""How an exam question is put to a model, and how its answer is read: the same in training and in measuring."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_HAN = re.compile(r"[\u4e00-\u9fff]")
_LETTERS = r"[A-Z](?:\s*(?:[,，、和与及/&]\s*)?(?:and\s+)?\s*[A-Z](?![a-z]))*"
_NOT_A_WORD = r"(?![A-Za-z]|\s+[a-z])"  # "A" may be an article
_MARKED = re.compile(
    rf"(?i:答案|选项|answers?|options?|选)\s*(?i:是|为|应为|应选|is|are|:|：)*\s*[\[（(【*]*\s*({_LETTERS})(?![a-z])"
)
_LEADING = re.compile(rf"^\s*[\[（(【*]*({_LETTERS}){_NOT_A_WORD}")
_ALONE = re.compile(rf"(?<![A-Za-z])([A-Z]){_NOT_A_WORD}")


def exam_prompt(question: str, options: Mapping[str, str]) -> list[dict[str, str]]:
    """A question with lettered options, of which one or several are right."""
    lines = [question.strip(), *(f"{letter}. {text}" for letter, text in options.items())]
    ask = (
        "只写正确选项的字母；可能不止一个。"
        if _HAN.search(question)
        else "Write only the letters of the right options; there may be several."
    )
    return [{"role": "user", "content": "\n".join([*lines, ask])}]


def answered_letters(text: str, options: Collection[str]) -> frozenset[str]:
    """The option letters an answer settles on; none where it names none.

    What follows "答案是" or "answer:" counts before what the answer begins with, and that before letters standing alone.
    """
    known = {letter.upper() for letter in options}
    for found in (list(_MARKED.finditer(text))[-1:], [_LEADING.match(text)]):
        for match in found:
            letters = frozenset(re.findall(r"[A-Z]", match[1])) if match else frozenset()
            if letters and letters <= known:
                return letters
    return frozenset(letter for letter in _ALONE.findall(text) if letter in known)
