"""Training records from the project's own index and knowledge: answers from passages, abstentions, routing, urgency, follow-up questions.

Grounded records teach what is asked of a model in use: answer from the passages and cite them, or say that they do not
answer. The prompt is word for word the one of serving (knowledge/prompts.py). Among the passages are near ones that do
not help (RAFT, Zhang et al. 2024, arXiv 2403.10131), and in a share of the rows none that does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from finetune.cleaning import prescribing
from finetune.records import DialogueRecord, Message, dialogue
from finetune.task_prompts import (
    CANDIDATES,
    FOLLOW_UP_SYSTEM,
    GO_TO,
    ROUTING_SYSTEM,
    SECTION_QUESTIONS,
    URGENCY_SYSTEM,
)
from knowledge.departments import Department
from knowledge.guidelines import SECTIONS, Guide, load_guides
from knowledge.prompts import ABSTAINS, NumberedPassage, answer_messages
from knowledge.records import LANGUAGES, Language
from knowledge.red_flags import load_red_flags
from knowledge.replies import TriageDecision
from knowledge.urgency import UrgencyLevel
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
    asked = _some(list(asked_passages(assistant.search.index.guides(), rules.languages)), rules, rng)
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
        answer = ABSTAINS[one.language] + ("。" if one.language == "zh" else ".")
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
    return ("" if language == "zh" else " ").join(
        f"{sentence}[{key}]" if language == "zh" else f"{sentence} [{key}]" for sentence in kept
    )


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


# which department


def routing_records(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """A complaint and a list of departments, 3 to 12 long and never the same, in which the router's own near misses stand."""
    rng, made = random.Random(rules.seed), Grounded()
    departments = assistant.context.departments
    complaints = _some(list(_complaints(departments.values(), rules.languages)), rules, rng)
    for number, (complaint, department, language) in enumerate(complaints):
        progress("routing", number, len(complaints))
        ranked = [entry.department for entry in triage_of(assistant, complaint, language).departments]
        others = [other for other in ranked if other.id != department.id][:4]
        rest = [other for other in departments.values() if other.id != department.id and other not in others]
        offered = [department, *others, *rng.sample(rest, min(len(rest), rng.randint(2, 7)))]
        rng.shuffle(offered)
        names = ("、" if language == "zh" else ", ").join(other.name.in_language(language) for other in offered)
        made.records.append(
            dialogue(
                f"{CANDIDATES[language]}: {names}\n\n{complaint}",
                department.name.in_language(language),
                system=ROUTING_SYSTEM[language],
                source=SOURCE,
                licence=LICENCE,
                tags=("routing", f"department:{department.id}", language),
            )
        )
    return made


def _complaints(
    departments: Iterable[Department], languages: Sequence[Language]
) -> Iterator[tuple[str, Department, Language]]:
    for department in departments:
        if not department.referral_only:
            for language in languages:
                for complaint in department.complaints.in_language(language):
                    yield complaint, department, language


# how urgent


def urgency_records(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """What the red flags' triggers and near misses are decided as; never below the level of the flag a trigger belongs to."""
    rng, made = random.Random(rules.seed), Grounded()
    told = _some(list(_told(rules.languages)), rules, rng)
    for number, (words, least, language) in enumerate(told):
        progress("urgency", number, len(told))
        level = max(triage_of(assistant, words, language).urgency, least)
        answer = f"{level.title(language)}\n{level.instruction(language)}"
        tags = ("urgency", f"urgency:{level.label}", language)
        made.records.append(
            dialogue(words, answer, system=URGENCY_SYSTEM[language], source=SOURCE, licence=LICENCE, tags=tags)
        )
    return made


def _told(languages: Sequence[Language]) -> Iterator[tuple[str, UrgencyLevel, Language]]:
    for flag in load_red_flags().values():
        for language in languages:
            yield from ((words, flag.level, language) for words in flag.triggers.in_language(language))
            yield from ((words, UrgencyLevel.HOME, language) for words in flag.near_misses.in_language(language))


# what to ask next


def follow_up_records(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """Dialogues in which the assistant asks closed questions until it can advise, as BianQue and DISC-MedLLM train it.

    Tagged `ask` where it asks at all, and `advise` where it advises at once. Where more than `ask_share` of its turns
    would ask, patients say everything at once.
    """
    rng, made = random.Random(rules.seed), Grounded()
    openings = _some(list(_openings(assistant.context.departments.values(), rules.languages)), rules, rng)
    spoken = []
    for number, (words, language) in enumerate(openings):
        progress("follow-up", number, len(openings))
        spoken.append(_conversation(assistant, words, language, rng))
    made.records = with_ask_share(spoken, rules.ask_share, rng)
    return made


def _openings(departments: Iterable[Department], languages: Sequence[Language]) -> Iterator[tuple[str, Language]]:
    """What patients open with: a few words for a complaint, as guides list them, and whole complaints, which leave less to ask."""
    for guide in load_guides().values():
        for language in languages:
            yield from ((words, language) for words in guide.header.synonyms.in_language(language))
    yield from ((complaint, language) for complaint, _, language in _complaints(departments, languages))


def _conversation(assistant: Assistant, complaint: str, language: Language, rng: random.Random) -> DialogueRecord:
    messages = [Message("user", complaint)]
    reply = assistant.reply(complaint, language=language)
    while reply.follow_up is not None:
        question = reply.follow_up
        options = ("、" if language == "zh" else ", ").join(question.options)
        messages.append(
            Message(
                "assistant",
                f"{question.question}\n（{options}）" if language == "zh" else f"{question.question}\n({options})",
            )
        )
        chosen = rng.choice(question.options)
        messages.append(Message("user", chosen))
        reply = assistant.reply(chosen, reply.conversation, language)
    level, departments = reply.triage.urgency, reply.triage.departments
    advice = level.instruction(language)
    if departments and level < UrgencyLevel.II:
        advice += ("" if language == "zh" else " ") + GO_TO[language].format(
            department=departments[0].department.name.in_language(language)
        )
    messages.append(Message("assistant", advice))
    tags = ("follow_up", "ask" if len(messages) > 2 else "advise", language)
    return DialogueRecord(tuple(messages), FOLLOW_UP_SYSTEM[language], SOURCE, LICENCE, tags)


def asking_turns(records: Iterable[DialogueRecord]) -> tuple[int, int]:
    """(turns of the assistant that ask, all its turns): every turn but the last of a dialogue asks."""
    turns = [len(record.messages) // 2 for record in records]
    return sum(turns) - len(turns), sum(turns)


def with_ask_share(records: Sequence[DialogueRecord], share: float, rng: random.Random) -> list[DialogueRecord]:
    """The dialogues, so many of them told at once that at most that share of the assistant's turns ask."""
    kept = list(records)
    order = [number for number, record in enumerate(kept) if len(record.messages) > 2]
    rng.shuffle(order)
    asking, turns = asking_turns(kept)
    for number in order:
        if asking <= share * turns:
            break
        asked = len(kept[number].messages) // 2 - 1
        kept[number] = told_at_once(kept[number])
        asking, turns = asking - asked, turns - asked
    return kept


def told_at_once(record: DialogueRecord) -> DialogueRecord:
    """The same consultation by a patient who says everything in the first message, so that nothing is left to ask."""
    told = [record.messages[0].content]
    for question, answer in zip(record.messages[1:-1:2], record.messages[2:-1:2], strict=True):
        told.append(f"{question.content.splitlines()[0].rstrip('？?')}: {answer.content}")
    tags = tuple("advise" if tag == "ask" else tag for tag in record.tags)
    return replace(record, messages=(Message("user", "\n".join(told)), record.messages[-1]), tags=tags)


def _some(rows: list[T], rules: GroundingRules, rng: random.Random) -> list[T]:
    rng.shuffle(rows)
    return rows if rules.at_most is None else rows[: rules.at_most]
