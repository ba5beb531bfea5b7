"""Which sentences of the evidence answer a question: every one that may stand, and how well it fits what is asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from knowledge.guidelines import SECTIONS
from rag.evidence import Evidence
from rag.medicines import may_be_shown
from rag.passages import Passage
from rag.patient import told_of
from rag.pointed_questions import measured_values
from rag.sentences import split_sentences
from rag.subjects import YOUNG, words_of
from rag.support import populations
from rag.topics import Aspect
from rag.wording import normalise
from rag.words import share_covered

ASPECT = 0.5  # what telling a thing asked for (diet, exercise) is worth, in shares of the question's particulars
IN_RANGE = 0.5  # the same for a range of values that holds one the patient tells ("6.1～6.9" for 6.8)
ON_TOPIC = 0.25  # the same for standing in a section the question asks for
ASKED_ABOVE = 0.8  # of what its own question says counts for a sentence that answers it
EARLIER = 0.03  # what each place further down among the passages costs
EARLIER_SENTENCE = 0.015  # the same for each sentence further down: sections begin with what holds for most
MIN_PARTICULARS = 0.3  # share of the question's particulars a sentence must hold to answer them
MIN_SPEAKS = 0.25  # from which a later sentence of a section is told before the first ones
SPECIAL = frozenset({*YOUNG, "pregnant", "breastfeeding"})
MIN_SENTENCE_CHARS = {"zh": 8, "en": 25}
_RANGE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*(?:[~～–至到-]|to)\s*(\d+(?:\.\d+)?)(?![\d.])")
_OWN_QUESTION = re.compile(r" > ([^>]+)$")
_GOES_ON = re.compile(r"[;；]\s*$")
_SAYS_SO = re.compile(
    r"常说|会说|来问|常问|\b(?:say|says|complain) (?:that|of|they)\b|\b(?:say|says|ask)\b.{0,4}[\"“']"
)


@dataclass(frozen=True)
class Candidate:
    """A sentence of a passage. rank: of its passage; place: in it. particulars: the share of what is asked besides the
    subject that it holds, in [0, 1]; aspect: whether it tells a thing asked for; on_topic: whether its section is; in_range:
    whether a value the patient tells lies in a range it tells."""

    text: str
    passage: Passage
    rank: int
    place: int
    particulars: float
    aspect: bool
    on_topic: bool
    in_range: bool = False

    @property
    def fit(self) -> float:
        return self.tells - EARLIER * self.rank - EARLIER_SENTENCE * self.place

    @property
    def tells(self) -> float:
        """How well it fits, wherever it stands."""
        return self.particulars + ASPECT * self.aspect + ON_TOPIC * self.on_topic + IN_RANGE * self.in_range

    def answers(self) -> bool:
        """Whether it tells what is asked, not only something of the subject."""
        return self.aspect or self.particulars >= MIN_PARTICULARS


def candidates(
    evidence: Evidence, passages: Sequence[Passage], wanted: Collection[str] = frozenset()
) -> Iterator[Candidate]:
    """Every sentence of the passages that may be shown to this patient, in order. wanted: headings asked for."""
    particulars = {word: weight for word, weight in evidence.words().items() if word in evidence.particulars}
    values = measured_values(evidence.question)
    for rank, passage in enumerate(passages):
        section = passage.section.split(" > ")[0]
        asked = words_of(own_question(passage))
        for place, text in enumerate(sentences_of(passage)):
            if not _may_stand(text, passage, evidence):
                continue
            own = words_of(text)
            held = share_covered(particulars, list(own))
            with_question = ASKED_ABOVE * share_covered(particulars, list(own | asked)) if asked else 0.0
            plain = normalise(text)
            yield Candidate(
                text,
                passage,
                rank,
                place,
                max(held, with_question),
                any(aspect.told.search(plain) for aspect in evidence.aspects if section in _headings(aspect)),
                section in wanted,
                holds_value(plain, values),
            )


def holds_value(plain: str, values: Sequence[float]) -> bool:
    """Whether one of the values lies in a range that a normalised sentence tells."""
    ranges = [(float(low), float(high)) for low, high in _RANGE.findall(plain)] if values else []
    return any(low <= value <= high for low, high in ranges for value in values)


def best(found: Iterable[Candidate], count: int) -> list[Candidate]:
    """Those that fit best, best first."""
    return sorted(found, key=lambda candidate: -candidate.fit)[:count]


def first(found: Iterable[Candidate], count: int) -> list[Candidate]:
    """The first ones, unless later ones speak of what is asked; in their order."""
    listed = list(found)
    chosen = sorted(listed, key=lambda candidate: (candidate.particulars < MIN_SPEAKS, candidate.rank, candidate.place))
    return [candidate for candidate in listed if candidate in chosen[:count]]


def dangers(found: Iterable[Candidate], count: int, evidence: Evidence) -> list[Candidate]:
    """Danger signs in the guide's order: those the question speaks of and those that name the subject first, one of each
    haste before a second."""
    title = evidence.guide[0].title if evidence.guide else ""
    names = {word for word in {*evidence.named, *words_of(title)} if len(word) > 1}
    listed = sorted(
        found,
        key=lambda one: (one.particulars < MIN_SPEAKS, not names & words_of(one.text), one.place),
    )
    told: Counter[str] = Counter()
    turns: list[tuple[int, int, Candidate]] = []
    for one in listed:
        turns.append((told[_label(one.text)], len(turns), one))
        told[_label(one.text)] += 1
    chosen = [one for _, _, one in sorted(turns, key=lambda turn: turn[:2])[:count]]
    return sorted(chosen, key=lambda one: (one.rank, one.place))


def sentences_of(passage: Passage) -> list[str]:
    """A passage's sentences; what a semicolon joins stays together."""
    whole: list[str] = []
    for sentence in split_sentences(passage.text):
        text = sentence.text.removeprefix("- ").strip()
        if whole and (_GOES_ON.search(whole[-1]) or text[:1].islower()):
            whole[-1] = f"{whole[-1]} {text}" if text.isascii() else f"{whole[-1]}{text}"
        else:
            whole.append(text)
    return whole


def _headings(aspect: Aspect) -> set[str]:
    return {heading for section in aspect.sections for heading in SECTIONS[section]}


def own_question(passage: Passage) -> str:
    """The question, as patients put it, that a passage of a guide answers; "" where it answers none."""
    return question_in(passage.section)


def question_in(section: str) -> str:
    """The same of the path of a passage's headings."""
    match = _OWN_QUESTION.search(section)
    return match[1] if match and section.split(" > ")[0] in SECTIONS["questions"] else ""


def is_danger_line(passage: Passage) -> bool:
    """Whether a passage of a guide says when to hurry."""
    return passage.section.split(" > ")[0] in SECTIONS["danger"]


def is_for_others(text: str, told: Set[str]) -> bool:
    """Whether a text is about children, pregnancy or the time after a birth, and the patient said nothing of either.

    told: whom the patient's words are about (rag.support.populations).
    """
    about = populations(text) & SPECIAL
    return bool(about) and not (about & told or ("child" in about and told & YOUNG))


def _may_stand(text: str, passage: Passage, evidence: Evidence) -> bool:
    if len(text) < MIN_SENTENCE_CHARS[evidence.language] or text.endswith(("？", "?", "：", ":")):
        return False
    if is_for_others(text, populations(passage.title) | told_of(evidence.told)):
        return False
    if passage.kind == "guide" and not may_be_shown(text):
        return False
    if passage.section in SECTIONS["described"] and _SAYS_SO.search(text):
        return False
    label = _label(text)
    return not is_danger_line(passage) or label in evidence.danger_labels


def _label(danger_line: str) -> str:
    """How a danger line begins: what to do at once."""
    return danger_line.replace("：", ":").partition(":")[0].strip().casefold()
