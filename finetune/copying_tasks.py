"""Any text as questions over passages: what teaches a small model to copy from its prompt instead of from memory.

A base that reads the same few guides again and again learns them by heart and then answers every question out of its
head, which the gates refuse. Here the passages of a task are stretches of any text at all, drawn anew each time, in the
prompt of serving; the question is a clause of one sentence (the inverse cloze task of Lee et al., 2019,
arXiv 1906.00300) and the answer that sentence and what follows it, with its key. Nobody can know it without reading it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from finetune.records import DialogueRecord, Message
from finetune.task_prompts import PASSAGE_QUESTIONS
from knowledge.prompts import ABSTAINS, NumberedPassage, answer_messages
from knowledge.records import Language
from knowledge.urgency import UrgencyLevel
from rag.dialogue import language_of
from rag.sentences import split_sentences

PASSAGES = (3, 6)  # of a task, least and most
PASSAGE_CHARS: dict[Language, int] = {"zh": 160, "en": 420}  # about; a passage ends with a sentence
SENTENCES = (1, 3)  # of an answer
ABSTAINING_SHARE = 0.08
SECOND_ANSWER_SHARE = 0.2  # of the tasks, those whose answer stands in two passages
_CLAUSE = re.compile(r"[，。；：、！？,.;:!?“”「」()（）\n]")
_CLAUSE_CHARS: dict[Language, tuple[int, int]] = {"zh": (4, 20), "en": (14, 80)}


def copying_tasks(texts: Sequence[str], seed: int, rounds: int = 1) -> Iterator[DialogueRecord]:
    """Tasks over the texts, each text used about once a round, its neighbours others each time."""
    by_language: dict[Language, list[tuple[str, ...]]] = {"zh": [], "en": []}
    for text in texts:
        by_language[language_of(text)] += passages_of_text(text)
    rng = random.Random(seed)
    for _ in range(rounds):
        for language, passages in by_language.items():
            rng.shuffle(passages)
            place = 0
            while place + PASSAGES[1] < len(passages):
                count = rng.randint(*PASSAGES)
                shown, hidden = passages[place : place + count], passages[place + count]
                place += count
                task = _task(shown, hidden, language, rng)
                if task is not None:
                    yield task


def passages_of_text(text: str) -> list[tuple[str, ...]]:
    """A text as passages, each a run of whole sentences."""
    most = PASSAGE_CHARS[language_of(text)]
    passages: list[tuple[str, ...]] = []
    run: list[str] = []
    for sentence in split_sentences(text):
        said = " ".join(sentence.text.split())
        if not 6 <= len(said) <= 2 * most:
            continue
        run.append(said)
        if sum(map(len, run)) >= most:
            passages.append(tuple(run))
            run = []
    return passages + ([tuple(run)] if len(run) > 1 else [])


def _task(
    shown: list[tuple[str, ...]], hidden: tuple[str, ...], language: Language, rng: random.Random
) -> DialogueRecord | None:
    joined = "" if language == "zh" else " "
    keyed = [NumberedPassage(str(key), _heading(one, language), joined.join(one)) for key, one in enumerate(shown, 1)]
    abstains = rng.random() < ABSTAINING_SHARE
    asked_of = rng.sample(range(len(shown)), 2 if rng.random() < SECOND_ANSWER_SHARE else 1)
    questions, said = [], []
    for number in asked_of:
        sentences = hidden if abstains else shown[number]
        start = rng.randrange(len(sentences))
        clause = _clause(sentences[start], language, rng)
        if not clause:
            return None
        questions.append(clause)
        told = sentences[start : start + rng.randint(*SENTENCES)]
        said += [f"{one}[{number + 1}]" if language == "zh" else f"{one} [{number + 1}]" for one in told]
    wording = rng.choice(PASSAGE_QUESTIONS[language])
    question = wording.format(clause=("，" if language == "zh" else ", and ").join(questions))
    system, user = answer_messages(question, keyed, language, UrgencyLevel.IV.title(language), "")
    answer = ABSTAINS[language] + ("。" if language == "zh" else ".") if abstains else joined.join(said)
    return DialogueRecord((Message("user", user.content), Message("assistant", answer)), system.content)


def _heading(passage: tuple[str, ...], language: Language) -> str:
    """Its first words, as a title would be."""
    return passage[0][:8] if language == "zh" else " ".join(passage[0].split()[:4])


def _clause(sentence: str, language: Language, rng: random.Random) -> str:
    least, most = _CLAUSE_CHARS[language]
    clauses = [part.strip() for part in _CLAUSE.split(sentence)]
    fitting = [part for part in clauses if least <= len(part) <= most]
    return rng.choice(fitting) if fitting else ""
