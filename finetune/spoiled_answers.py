"""Answers spoiled by rule beside the cited one: from these pairs a reward model and preferences learn what a good answer is.

Each spoiler gives a worse answer, or "" where it does not apply.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from finetune.altered_words import NUMBER
from finetune.cited_answers import CitedRow, cited_rows, prompt_of, written
from finetune.grounding import LICENCE, SOURCE, Grounded, GroundingRules, Progress
from finetune.records import Message, PreferenceRecord
from knowledge.prompts import abstention
from knowledge.records import Language
from rag.assistant import Assistant
from rag.evidence import DraftSentence
from rag.sentences import split_sentences
from rag.word_for_word import may_be_quoted


def cited_preferences(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """The cited answer beside one spoiled by rule: see SPOILERS."""
    rng, made = random.Random(rules.seed + 1), Grounded()
    for row in cited_rows(assistant, rules, rng, made, progress):
        names = list(SPOILERS) if row.answer else ["answers_from_elsewhere"]
        rng.shuffle(names)
        for name in names:
            spoiled = SPOILERS[name](row, rng)
            if spoiled and spoiled.strip() != row.text.strip():
                system, user = prompt_of(row)
                tags = ("grounded", f"spoiled:{name}", row.evidence.language)
                pair = PreferenceRecord((Message("user", user),), row.text, spoiled, system, SOURCE, LICENCE, tags)
                made.records.append(pair)
                break
    return made


_DENIALS: dict[Language, tuple[tuple[str, str], ...]] = {
    "zh": (("不要", "要"), ("不能", "能"), ("不宜", "宜"), ("不需要", "需要"), ("没有", "有"), ("不会", "会")),
    "en": ((" do not ", " do "), (" not ", " "), (" cannot ", " can "), (" never ", " always "), (" no ", " ")),
}


def _wrong_key(row: CitedRow, rng: random.Random) -> str:
    """Every sentence cited to a passage that does not say it."""
    cited = []
    for text, _ in row.answer:
        others = [found.passage for found in row.evidence.passages if not may_be_quoted(DraftSentence(text, (found.passage,)), row.evidence)]  # fmt: skip
        if not others:
            return ""
        cited.append((text, rng.choice(others)))
    return written(cited, row.evidence)


def _no_key(row: CitedRow, rng: random.Random) -> str:
    return ("" if row.evidence.language == "zh" else " ").join(text for text, _ in row.answer)


def _another_passage(row: CitedRow, rng: random.Random) -> str:
    """Well cited, and beside the point."""
    right = row.answer[0][1] if row.answer else None
    others = [found.passage for found in row.evidence.passages if found.passage != right]
    if not others:
        return ""
    passage = rng.choice(others)
    texts = [sentence.text.lstrip("-•* ").strip() for sentence in split_sentences(passage.text)]
    return written([(text, passage) for text in texts[: max(2, len(row.answer))] if text], row.evidence)


def _another_number(row: CitedRow, rng: random.Random) -> str:
    changed = [(NUMBER.sub(lambda found: str(int(found[0]) + rng.choice([1, 2, 5, 10])), text), passage) for text, passage in row.answer]  # fmt: skip
    return written(changed, row.evidence)


def _denied(row: CitedRow, rng: random.Random) -> str:
    changed = []
    for text, passage in row.answer:
        pair = next((pair for pair in _DENIALS[row.evidence.language] if pair[0] in text), None)
        changed.append((text.replace(*pair, 1) if pair else text, passage))
    return written(changed, row.evidence)


def _repeated(row: CitedRow, rng: random.Random) -> str:
    return written([*row.answer, *[row.answer[-1]] * rng.randint(2, 4)], row.evidence)


def _cut_off(row: CitedRow, rng: random.Random) -> str:
    text, passage = row.answer[-1]
    return written([*row.answer[:-1], (text[: max(4, len(text) // 2)], passage)], row.evidence)


def _gives_up(row: CitedRow, rng: random.Random) -> str:
    return abstention(row.evidence.language)


SPOILERS: dict[str, Callable[[CitedRow, random.Random], str]] = {
    "wrong_key": _wrong_key,
    "no_key": _no_key,
    "answers_from_elsewhere": _another_passage,
    "another_number": _another_number,
    "denied": _denied,
    "repeated": _repeated,
    "cut_off": _cut_off,
    "gives_up": _gives_up,
}
