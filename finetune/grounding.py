"""Training records from the project's own index: answers from passages, and abstentions; and what every kind of them shares.

Grounded records teach what is asked of a model in use: answer from the passages and cite them, or say that they do not
answer. The prompt is word for word the one of serving (knowledge/prompts.py). Among the passages are near ones that do
not help (RAFT, Zhang et al. 2024, arXiv 2403.10131), and in a share of the rows none that does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from finetune.cleaning import prescribing
from finetune.records import DialogueRecord, dialogue
from finetune.task_prompts import (
    SECTION_QUESTIONS,
)
from knowledge.guidelines import SECTIONS, Guide, load_guides
from knowledge.prompts import ABSTAINS, NumberedPassage, answer_messages
from knowledge.records import LANGUAGES, Language
from knowledge.replies import TriageDecision
from knowledge.script import BETWEEN_SENTENCES, FULL_STOP
from rag.assistant import Assistant
from rag.passages import Passage
from rag.retriever import PassageFilter
from rag.sentences import split_sentences

SOURCE, LICENCE = "daozhen knowledge", "Apache-2.0"
MAX_SENTENCES = 6
Progress = Callable[[str, int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class GroundingRules:
    """What is made. abstain_share: of the grounded rows, those without a passage that answers. ask_share: of the assistant's
    turns in follow-up dialogues, those that ask. at_most: rows of each kind."""

    languages: tuple[Language, ...] = LANGUAGES
    abstain_share: float = 0.25
    ask_share: float = 0.5
    passages: int = 6
    at_most: int | None = None
    seed: int = 1


@dataclass
class Grounded:
    """What was made, and why questions gave no row."""

    records: list[Any] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class AskedPassage:
    """A question and the passage that answers it."""

    question: str
    passage: Passage
    guide: Guide
    language: Language


def grounded_records(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """Question, passages, and the answer cited sentence by sentence, or the abstention."""
    rng, made = random.Random(rules.seed), Grounded()
    asked = some_of(list(asked_passages(assistant.search.index.guides(), rules.languages)), rules, rng)
    for number, one in enumerate(asked):
        progress("grounded", number, len(asked))
        record = _grounded(one, assistant, rules, rng, made.left_out)
        if record is not None:
            made.records.append(record)
    return made


def asked_passages(passages: Iterable[Passage], languages: Sequence[Language]) -> Iterator[AskedPassage]:
    """The guides' own questions, and one for every other part of a guide as patients ask about it."""
    guides = load_guides()
    keys = {heading: key for key, pair in SECTIONS.items() for heading in pair}
    for passage in passages:
        guide = guides.get(passage.source_id.removeprefix("guidelines/"))
        language: Language = "zh" if passage.language == "zh" else "en"
        if passage.kind != "guide" or guide is None or language not in languages:
            continue
        heading, _, question = passage.section.partition(" > ")
        if question:
            yield AskedPassage(question, passage, guide, language)
            continue
        title = guide.header.title.in_language(language)
        title = title if language == "zh" else title[:1].lower() + title[1:]
        wordings = SECTION_QUESTIONS.get(keys.get(heading, ""), {}).get(language, ())
        for wording in wordings[passage.start % len(wordings) : passage.start % len(wordings) + 1] if wordings else ():
            yield AskedPassage(wording.format(title=title), passage, guide, language)


def _grounded(
    one: AskedPassage, assistant: Assistant, rules: GroundingRules, rng: random.Random, left_out: Counter[str]
) -> DialogueRecord | None:
    found = [
        hit.passage
        for hit in assistant.search.search(one.question, rules.passages * 3, PassageFilter(language=one.language))
    ]
    unhelpful = [passage for passage in found if not may_answer(passage, one)][: rules.passages - 1]
    abstains = rng.random() < rules.abstain_share
    shown = list(unhelpful) if abstains else [one.passage, *unhelpful]
    if abstains and not shown:
        left_out["no passage that does not answer"] += 1
        return None
    rng.shuffle(shown)
    keyed = {str(number): passage for number, passage in enumerate(shown, 1)}
    if abstains:
        answer = ABSTAINS[one.language] + FULL_STOP[one.language]
    else:
        key = next(key for key, passage in keyed.items() if passage is one.passage)
        answer = cited(one.passage.text, key, one.language)
    if not answer:
        left_out["every sentence is about the use of a medicine"] += 1
        return None
    triage = triage_of(assistant, one.question, one.language)
    department = triage.departments[0].department.name.in_language(one.language) if triage.departments else ""
    system, user = answer_messages(
        one.question, numbered(keyed), one.language, triage.urgency.title(one.language), department
    )
    tags = ("grounded", "abstains" if abstains else "answers", one.language)
    return dialogue(user.content, answer, system=system.content, source=SOURCE, licence=LICENCE, tags=tags)


def numbered(keyed: dict[str, Passage]) -> list[NumberedPassage]:
    """Passages as a model is shown them: key, title and section, text."""
    return [
        NumberedPassage(key, " · ".join(part for part in (passage.title, passage.section) if part), passage.text)
        for key, passage in keyed.items()
    ]


def cited(text: str, key: str, language: Language) -> str:
    """The sentences of a passage that may be said, each with its key."""
    sentences = [sentence.text.lstrip("-•* ").strip() for sentence in split_sentences(text)]
    kept = [sentence for sentence in sentences if sentence and not prescribing(sentence)][:MAX_SENTENCES]
    gap = BETWEEN_SENTENCES[language]
    return gap.join(f"{sentence}{gap}[{key}]" for sentence in kept)


def may_answer(passage: Passage, one: AskedPassage) -> bool:
    """Whether a passage is of the same guide, or names what is asked about: such a one is no negative."""
    if passage.source_id == one.passage.source_id:
        return True
    names = (one.guide.header.title.in_language(one.language), *one.guide.header.synonyms.in_language(one.language))
    said = f"{passage.title} {passage.section} {passage.text}".casefold()
    return any(name.casefold() in said for name in names)


def triage_of(assistant: Assistant, words: str, language: Language) -> TriageDecision:
    """What the assistant decides, before it answers."""
    for part in assistant.stream(words, language=language):
        if isinstance(part, TriageDecision):
            return part
    raise RuntimeError("a stream of parts begins with the triage")


def some_of(rows: list[T], rules: GroundingRules, rng: random.Random) -> list[T]:
    """The rows in a random order, as many as the rules allow."""
    rng.shuffle(rows)
    return rows if rules.at_most is None else rows[: rules.at_most]
