"""Cited answers by the thousand: every part of every guide asked in many wordings, over what serving would find.

The prompt is in the form of serving, its passages in the order the search finds them; the answer is the few
sentences that answer, each with its key. Questions are made without a teacher: from the guides' own questions, from
their sections, and from single sentences (the inverse cloze task of Lee et al., 2019, arXiv 1906.00300). In a share of
the rows every passage but one is a near one that does not help (RAFT, Zhang et al. 2024, arXiv 2403.10131); in another
none answers, and the right answer is to say so.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from finetune.altered_words import altered
from finetune.cleaning import prescribing
from finetune.grounding import LICENCE, SOURCE, Grounded, GroundingRules, Progress, some_of
from finetune.records import DialogueRecord, Message
from finetune.task_prompts import DETAIL_QUESTIONS, SECTION_QUESTIONS
from knowledge.departments import load_departments
from knowledge.guidelines import SECTIONS, Guide, load_guides
from knowledge.prompts import abstention, answer_messages
from knowledge.records import Language
from knowledge.script import BETWEEN_SENTENCES
from knowledge.urgency import UrgencyLevel
from rag.assistant import Assistant
from rag.evidence import DraftSentence, Evidence
from rag.evidence_search import Asked, found_passages
from rag.passages import Passage, RetrievedPassage
from rag.sentences import split_sentences
from rag.word_for_word import may_be_quoted

MOST_SENTENCES = 4  # of an answer: the direct one; where to go and when to hurry are added for every writer
DETAILS_A_PASSAGE = 2
NAMES_A_GUIDE = 4
UNHELPFUL_SHARE = 0.2  # of the rows that answer, those whose other passages do not
SHUFFLED_SHARE = 0.5  # of the rows whose passages stand in no order: with .15 a small model cited the first, always
_CLAUSE = {"zh": re.compile(r"[，。；：、！？]"), "en": re.compile(r"[,.;:!?]|\b(?:and|or|but|because)\b")}
_CLAUSE_CHARS = {"zh": (4, 18), "en": (14, 70)}
_DETAILED = ("what", "causes", "doctor", "treatment", "self_care", "prevention", "questions")


@dataclass(frozen=True)
class AskedPassage:
    """A question, the passage that answers it, and which of its sentences do."""

    question: str
    passage: Passage
    guide: Guide
    language: Language
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class CitedRow:
    """A prompt with its evidence and the answer; answer: sentences and the passage each stands in, none to abstain."""

    evidence: Evidence
    answer: tuple[tuple[str, Passage], ...]

    @property
    def text(self) -> str:
        return written(self.answer, self.evidence) if self.answer else abstention(self.evidence.language)


def cited_records(assistant: Assistant, rules: GroundingRules, progress: Progress = lambda *_: None) -> Grounded:
    """Questions over passages with the cited answer or the abstention, as dialogues that name their passages."""
    rng, made = random.Random(rules.seed), Grounded()
    rows = cited_rows(assistant, rules, rng, made, progress)
    made.records += with_altered_words(map(as_dialogue, rows), rules)
    return made


def with_altered_words(records: Iterable[DialogueRecord], rules: GroundingRules) -> Iterator[DialogueRecord]:
    """The records, in a share of those that answer words exchanged, which are no longer true and are tagged `altered`.

    Which records are made does not depend on the share. One whose altered answer would be about the use of a medicine
    stays as it is.
    """
    rng = random.Random(f"altered {rules.seed}")
    for record in records:
        if "answers" in record.tags and rng.random() < rules.altered_share:
            other = altered(record, rng)
            if other != record and not prescribing(other.targets[0]):
                record = replace(other, tags=(*other.tags, "altered"))
        yield record


def as_dialogue(row: CitedRow) -> DialogueRecord:
    """The prompt of serving and the answer, with the passages it may rest on."""
    system, user = prompt_of(row)
    tags = ("grounded", "answers" if row.answer else "abstains", row.evidence.language)
    messages = (Message("user", user), Message("assistant", row.text))
    return DialogueRecord(messages, system, SOURCE, LICENCE, tags, _texts(row))


def cited_rows(
    assistant: Assistant, rules: GroundingRules, rng: random.Random, made: Grounded, progress: Progress
) -> Iterator[CitedRow]:
    asked = [one for language in rules.languages for one in questions_over(assistant, language, rng)]
    asked = some_of(asked, rules, rng)
    for number, one in enumerate(asked):
        progress("cited", number, len(asked))
        row = _row(one, assistant, rules, rng, made.left_out)
        if row is not None:
            yield row


def questions_over(assistant: Assistant, language: Language, rng: random.Random) -> Iterator[AskedPassage]:
    """Every question over the guides' passages of a language."""
    guides = load_guides()
    keys = {heading: key for key, pair in SECTIONS.items() for heading in pair}
    for passage in assistant.search.index.guides():
        guide = guides.get(passage.source_id.removeprefix("guidelines/"))
        if passage.kind != "guide" or guide is None or passage.language != language:
            continue
        heading, _, own = passage.section.partition(" > ")
        sentences = tuple(sentence.text.lstrip("-•* ").strip() for sentence in split_sentences(passage.text))
        names = _names(guide, language)
        if own:
            yield AskedPassage(own, passage, guide, language, sentences[:MOST_SENTENCES])
            name = rng.choice(names)
            yield AskedPassage(f"{name}，{own}" if language == "zh" else f"{name}: {own}", passage, guide, language, sentences[:MOST_SENTENCES])  # fmt: skip
        for wording in SECTION_QUESTIONS.get(keys.get(heading, ""), {}).get(language, ()):
            name = rng.choice(names)
            yield AskedPassage(wording.format(title=name), passage, guide, language, sentences[:MOST_SENTENCES])
        if keys.get(heading) in _DETAILED:
            yield from _details(passage, guide, language, sentences, names, rng)


def _details(
    passage: Passage, guide: Guide, language: Language, sentences: Sequence[str], names: list[str], rng: random.Random
) -> Iterator[AskedPassage]:
    """Questions after one clause of one sentence; the answer is that sentence and what directly follows."""
    for place in rng.sample(range(len(sentences)), min(DETAILS_A_PASSAGE, len(sentences))):
        least, most = _CLAUSE_CHARS[language]
        clauses = [part.strip() for part in _CLAUSE[language].split(sentences[place]) if part]
        clauses = [part for part in clauses if least <= len(part) <= most]
        if clauses:
            wording = rng.choice(DETAIL_QUESTIONS[language])
            question = wording.format(title=rng.choice(names), clause=rng.choice(clauses))
            yield AskedPassage(question, passage, guide, language, tuple(sentences[place : place + 2]))


def _names(guide: Guide, language: Language) -> list[str]:
    """The title and the first of its everyday names."""
    title = guide.header.title.in_language(language)
    title = title if language == "zh" else title[:1].lower() + title[1:]
    return [title, *guide.header.synonyms.in_language(language)][:NAMES_A_GUIDE]


def _row(
    one: AskedPassage, assistant: Assistant, rules: GroundingRules, rng: random.Random, left_out: Counter[str]
) -> CitedRow | None:
    found = found_passages(Asked.alone(one.question, one.language), assistant.search, one.language, 3 * rules.passages)
    abstains = rng.random() < rules.abstain_share
    unhelpful = abstains or rng.random() < UNHELPFUL_SHARE
    shown = [entry.passage for entry in found if not (unhelpful and may_answer(entry.passage, one))][: rules.passages]
    if not abstains and one.passage not in shown:
        shown = shown[: rules.passages - 1]
        shown.insert(rng.randint(0, min(2, len(shown))), one.passage)
    if rng.random() < SHUFFLED_SHARE:
        rng.shuffle(shown)
    if not shown:
        left_out["no passage that does not answer"] += 1
        return None
    evidence = evidence_over(one, shown, rng)
    if abstains:
        return CitedRow(evidence, ())
    drafts = [DraftSentence(text, (one.passage,)) for text in one.sentences]
    said = [draft.text for draft in drafts if may_be_quoted(draft, evidence)]
    if not said:
        left_out["nothing in it may be said"] += 1
        return None
    return CitedRow(evidence, tuple((text, one.passage) for text in said))


def may_answer(passage: Passage, one: AskedPassage) -> bool:
    """Whether a passage is of the same guide, or names what is asked about: such a one is no negative."""
    if passage.source_id == one.passage.source_id:
        return True
    names = (one.guide.header.title.in_language(one.language), *one.guide.header.synonyms.in_language(one.language))
    said = f"{passage.title} {passage.section} {passage.text}".casefold()
    return any(name.casefold() in said for name in names)


def evidence_over(one: AskedPassage, shown: Sequence[Passage], rng: random.Random) -> Evidence:
    """What a writer would be given; how urgent it is is drawn, since it does not change what the passages say."""
    department = first_department(one.guide, one.language)
    level = rng.choice([UrgencyLevel.HOME, UrgencyLevel.IV, UrgencyLevel.IV, UrgencyLevel.III])
    found = tuple(RetrievedPassage(passage, 1.0) for passage in shown)
    return Evidence(one.question, one.language, level, department, {}, found, told=one.question)


def first_department(guide: Guide, language: Language) -> str:
    """The name of the guide's first department."""
    departments = load_departments()
    first = next((departments[name] for name in guide.header.departments if name in departments), None)
    return first.name.in_language(language) if first else ""


def written(answer: Sequence[tuple[str, Passage]], evidence: Evidence) -> str:
    """Sentences with their keys, as a model writes them."""
    keys = {passage.passage_id: key for key, passage in evidence.keyed().items()}
    gap = BETWEEN_SENTENCES[evidence.language]
    return gap.join(f"{text}{gap}[{keys[passage.passage_id]}]" for text, passage in answer)


def prompt_of(row: CitedRow) -> tuple[str, str]:
    """The system's and the user's words, as serving puts them."""
    evidence = row.evidence
    system, user = answer_messages(
        evidence.question,
        evidence.numbered(),
        evidence.language,
        evidence.urgency.title(evidence.language),
        evidence.department,
    )
    return system.content, user.content


def _texts(row: CitedRow) -> tuple[str, ...]:
    """The passages a verifiable reward holds an answer against; none where to abstain is right."""
    return tuple(passage.text for passage in row.evidence.keyed().values()) if row.answer else ()
