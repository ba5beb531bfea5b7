"""Training records of consultations: closed questions until the assistant can advise, or everything told at once."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from finetune.grounding import LICENCE, SOURCE, Grounded, GroundingRules, Progress, some_of
from finetune.records import DialogueRecord, Message
from finetune.task_prompts import FOLLOW_UP_SYSTEM, GO_TO
from finetune.triage_records import complaints_of
from knowledge.departments import Department
from knowledge.guidelines import load_guides
from knowledge.records import Language
from knowledge.script import BETWEEN_SENTENCES, LIST_MARK
from knowledge.urgency import UrgencyLevel
from rag.assistant import Assistant


def follow_up_records(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """Dialogues in which the assistant asks closed questions until it can advise, as BianQue and DISC-MedLLM train it.

    Tagged `ask` where it asks at all, and `advise` where it advises at once. Where more than `ask_share` of its turns
    would ask, patients say everything at once.
    """
    rng, made = random.Random(rules.seed), Grounded()
    openings = some_of(list(_openings(assistant.context.departments.values(), rules.languages)), rules, rng)
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
    yield from ((complaint, language) for complaint, _, language in complaints_of(departments, languages))


def _conversation(assistant: Assistant, complaint: str, language: Language, rng: random.Random) -> DialogueRecord:
    messages = [Message("user", complaint)]
    reply = assistant.reply(complaint, language=language)
    while reply.follow_up is not None:
        question = reply.follow_up
        options = LIST_MARK[language].join(question.options)
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
        advice += BETWEEN_SENTENCES[language] + GO_TO[language].format(
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
