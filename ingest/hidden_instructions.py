"""Words in a document that are meant for a program, not for a reader: found so that a person looks at the document.

Passages are data wherever they are used: no rule of triage reads them and every quotation is checked. This is the
second line of defence, against texts made to steer a language model (OWASP Top 10 for LLM applications, prompt injection).
"""

from __future__ import annotations

import re

from rag.planted_instructions import instructions_in

_STEERED = re.compile("[\u202a-\u202e\u2066-\u2069]")  # the order of characters turned round
_TAGS = re.compile("[\U000e0020-\U000e007f]")  # invisible doubles of ASCII
_LONG_UNSEEN = re.compile("(?:[\u200b-\u200f\u2060-\u2064]){4,}")
_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff]")
REMEDY = "look at this place in the document and remove it if nobody should read it"


def unseen_reason(text: str) -> str | None:
    """Why the invisible characters of a text are suspect; None for the odd zero-width mark that editors leave."""
    if _TAGS.search(text):
        return f"invisible letters ({len(_TAGS.findall(text))} tag characters)"
    if _STEERED.search(text) and not _RIGHT_TO_LEFT.search(text):
        return "marks that turn round the order of characters"
    if _LONG_UNSEEN.search(text):
        return "runs of zero-width characters"
    return None


def suspicions(text: str) -> list[str]:
    """What is suspect in a text that is taken, one reason each."""
    found = []
    if reason := unseen_reason(text):
        found.append(f"holds {reason}, which were removed")
    if phrase := instructions_in(text):
        found.append(f"gives orders to a program: “{phrase}”")
    return found


def hidden_reason(texts: list[str], how: str) -> str:
    """The reason for text a reader cannot see, which was not taken. how: "white", "off the page", ..."""
    whole = " ".join(" ".join(texts).split())
    phrase = instructions_in(whole)
    said = (
        f", and gives orders to a program: “{phrase}”"
        if phrase
        else f": “{whole[:40]}{'…' if len(whole) > 40 else ''}”"
    )
    return f"hidden text ({how}, {len(whole)} characters) was not taken{said}"
