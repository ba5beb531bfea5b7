"""Any text as questions over passages: what teaches a small model to copy from its prompt instead of from memory.

A base that reads the same few guides again and again learns them by heart and then answers every question out of its
head, which the gates refuse. Here the passages of a task are stretches of any text at all, drawn anew each time, in the
prompt of serving; the answer is a few sentences of one of them, each with its key. The question is the one the text was
told in answer to, a clause of the first sentence (the inverse cloze task of Lee et al., 2019, arXiv 1906.00300), or
fragments of it, since who asks seldom says it as the passage does. Nobody can know the answer without reading it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune.records import DialogueRecord, Message
from finetune.task_prompts import PASSAGE_QUESTIONS
from knowledge.departments import load_departments
from knowledge.prompts import NumberedPassage, abstention, answer_messages
from knowledge.records import Language
from knowledge.script import BETWEEN_SENTENCES, HAN, chinese_characters
from knowledge.urgency import UrgencyLevel
from rag.sentences import split_sentences

PASSAGES = (2, 6)  # of a task, least and most
PASSAGE_CHARS: dict[Language, tuple[int, int]] = {"zh": (50, 320), "en": (150, 900)}  # about; it ends with a sentence
LONGEST_QUESTION: dict[Language, int] = {"zh": 90, "en": 240}
SENTENCES = (1, 4)  # of an answer
ABSTAINING_SHARE = 0.06
SECOND_ANSWER_SHARE = 0.2  # of the tasks, those whose answer stands in two passages
OWN_QUESTION_SHARE = 0.7  # of the passages told in answer to a question, those asked for by it
FRAGMENTS_SHARE = 0.45  # of the other questions; the rest are clauses
CHINESE_SHARE = 0.2  # of a text's letters, from which it counts as Chinese
_CLAUSE = re.compile(r"[，。；：、！？,.;:!?“”「」()（）\n]")
_CLAUSE_CHARS: dict[Language, tuple[int, int]] = {"zh": (4, 20), "en": (14, 80)}
_PIECES: dict[Language, re.Pattern[str]] = {
    "zh": re.compile(f"[{HAN}]{{2,5}}"),
    "en": re.compile(r"[^\W\d_]{4,}"),
}
_FRAGMENTS: dict[Language, tuple[int, int]] = {"zh": (1, 3), "en": (2, 5)}


@dataclass(frozen=True)
class Told:
    """A text, and the question it was told in answer to; "" where nobody asked."""

    text: str
    question: str = ""


@dataclass(frozen=True)
class _Stretch:
    """A run of whole sentences, and the question its first sentence answers."""

    sentences: tuple[str, ...]
    question: str


def copying_tasks(texts: Sequence[Told], seed: int, rounds: int = 1) -> Iterator[DialogueRecord]:
    """Tasks over the texts, each text used about once a round, its neighbours and its cuts others each time."""
    rng = random.Random(seed)
    departments = [one.name for one in load_departments().values()]
    for _ in range(rounds):
        by_language: dict[Language, list[_Stretch]] = {"zh": [], "en": []}
        for told in texts:
            language = main_language(told.text)
            by_language[language] += stretches_of(told, language, rng)
        for language, stretches in by_language.items():
            rng.shuffle(stretches)
            place = 0
            while place + PASSAGES[1] < len(stretches):
                count = rng.randint(*PASSAGES)
                shown, hidden = stretches[place : place + count], stretches[place + count]
                place += count
                department = rng.choice(departments).in_language(language)
                task = _task(shown, hidden, language, department, rng)
                if task is not None:
                    yield task


def main_language(text: str) -> Language:
    """Chinese where a fifth of the letters are: a name or a mark in it makes no English text Chinese."""
    return "zh" if len(chinese_characters(text)) > CHINESE_SHARE * sum(map(str.isalpha, text)) else "en"


def stretches_of(told: Told, language: Language, rng: random.Random) -> list[_Stretch]:
    """A text as stretches of lengths drawn anew; the first of them answers its question."""
    found: list[_Stretch] = []
    run: list[str] = []
    question = " ".join(told.question.split())
    question = question if len(question) <= LONGEST_QUESTION[language] else ""
    least, most = PASSAGE_CHARS[language]
    enough = rng.randint(least, most)
    for sentence in split_sentences(told.text):
        said = " ".join(sentence.text.split())
        if not 6 <= len(said) <= most:
            continue
        run.append(said)
        if sum(map(len, run)) >= enough:
            found.append(_Stretch(tuple(run), "" if found else question))
            run, enough = [], rng.randint(least, most)
    return found + ([_Stretch(tuple(run), "" if found else question)] if len(run) > 1 else [])


def _task(
    shown: list[_Stretch], hidden: _Stretch, language: Language, department: str, rng: random.Random
) -> DialogueRecord | None:
    gap = BETWEEN_SENTENCES[language]
    keyed = [
        NumberedPassage(str(key), _heading(one, language, rng), gap.join(one.sentences))
        for key, one in enumerate(shown, 1)
    ]
    abstains = rng.random() < ABSTAINING_SHARE
    asked_of = rng.sample(range(len(shown)), 2 if rng.random() < SECOND_ANSWER_SHARE else 1)
    questions, said = [], []
    for number in asked_of:
        stretch = hidden if abstains else shown[number]
        question, start = _question(stretch, language, rng)
        if not question:
            return None
        questions.append(question)
        told = stretch.sentences[start : start + rng.randint(*SENTENCES)]
        said += [f"{one}{gap}[{number + 1}]" for one in told]
    asked = ("，" if language == "zh" else ", and ").join(questions)
    level = rng.choice([UrgencyLevel.HOME, UrgencyLevel.IV, UrgencyLevel.III])
    system, user = answer_messages(asked, keyed, language, level.title(language), department)
    answer = abstention(language) if abstains else gap.join(said)
    return DialogueRecord((Message("user", user.content), Message("assistant", answer)), system.content)


def _heading(stretch: _Stretch, language: Language, rng: random.Random) -> str:
    """Its first words, as a title would be."""
    first = stretch.sentences[0]
    return first[: rng.randint(4, 12)] if language == "zh" else " ".join(first.split()[: rng.randint(2, 6)])


def _question(stretch: _Stretch, language: Language, rng: random.Random) -> tuple[str, int]:
    """A question, and the place of the sentence that answers it; "" where none can be made."""
    if stretch.question and rng.random() < OWN_QUESTION_SHARE:
        return stretch.question, 0
    place = rng.randrange(len(stretch.sentences))
    sentence = stretch.sentences[place]
    if rng.random() < FRAGMENTS_SHARE:
        pieces = _PIECES[language].findall(sentence)
        count = min(len(pieces), rng.randint(*_FRAGMENTS[language]))
        return " ".join(pieces[at] for at in sorted(rng.sample(range(len(pieces)), count))), place
    least, most = _CLAUSE_CHARS[language]
    fitting = [part for part in map(str.strip, _CLAUSE.split(sentence)) if least <= len(part) <= most]
    return (rng.choice(PASSAGE_QUESTIONS[language]).format(clause=rng.choice(fitting)) if fitting else ""), place
