"""Writers turn evidence into an answer. The default one chooses, orders and joins the passages' own sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from knowledge.guidelines import SECTIONS
from rag.evidence import AnswerPart, DraftSentence, Evidence
from rag.passages import Passage
from rag.sentences import split_sentences
from rag.support import populations
from rag.topics import asks
from rag.wording import normalise
from rag.words import share_covered, tokens_of

MIN_COVERED = 0.2  # share of the question's words a sentence must hold, under its heading, to answer it
MIN_QUESTION_MATCH = 0.6  # F1 of words, by rarity, from which a guide's own question is the patient's in other words
ON_TOPIC = 0.25  # what standing in a section the question asks for is worth, in shares of the question's words
EARLIER = 0.03  # what each place further down among the passages costs
EARLIER_SENTENCE = (
    0.015  # the same for each sentence further down in a passage: sections begin with what holds for most
)
YOUNG = frozenset({"newborn", "baby", "child", "teenager"})
SPECIAL = frozenset({*YOUNG, "pregnant", "breastfeeding"})
MIN_SENTENCE_CHARS = {"zh": 8, "en": 25}
_OWN_QUESTION = re.compile(r" > ([^>]+)$")


class Writer(Protocol):
    """Writes from evidence alone; every sentence names its passages. remote: whether words leave this machine."""

    name: str
    remote: bool

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        """The answer's sentences in reading order, as they are ready; none when the evidence does not answer."""
        ...


@dataclass(frozen=True)
class _Slot:
    """A part of the answer: which section of the guide fills it, and with how many sentences."""

    part: AnswerPart
    section: str
    sentences: int


# told after a direct answer, and after none
_AFTER_ANSWER = (_Slot("where", "department", 1), _Slot("danger", "danger", 1))
_PARTS: tuple[AnswerPart, ...] = ("answer", "why", "where", "do", "danger")  # in reading order
_OVERVIEW = (
    _Slot("why", "what", 2),
    _Slot("where", "department", 1),
    _Slot("do", "self_care", 2),
    _Slot("danger", "danger", 3),
)


class ExtractiveWriter:
    """Sentences of the passages, word for word: the answer to what was asked, then where to go, what to do, when to hurry."""

    name = "extractive"
    remote = False

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        direct = self._own_answer(evidence) or self._direct(evidence)
        slots = _AFTER_ANSWER if direct and asks(evidence.question) else _OVERVIEW
        asked_for = [_Slot("answer", topic, 1) for topic in evidence.topics[:2]] if not direct else []
        draft = [*direct, *self._filled([*asked_for, *slots], evidence)]
        unique = {sentence.text: sentence for sentence in reversed(draft)}
        yield from sorted(reversed(unique.values()), key=lambda sentence: _PARTS.index(sentence.part))

    def _own_answer(self, evidence: Evidence) -> list[DraftSentence]:
        """The whole answer of a question in a guide that is the patient's question in other words."""
        named = {found.passage.title for found in evidence.passages if is_named(found.passage, evidence.question)}
        best: tuple[float, Passage] | None = None
        for passage in dict.fromkeys((*evidence.guide, *(found.passage for found in evidence.passages))):
            own = _OWN_QUESTION.search(passage.section)
            if own is None or passage.section.split(" > ")[0] not in SECTIONS["questions"]:
                continue
            if named and passage.title not in named:
                continue
            match = _mutual_match(evidence, passage.title, own[1])
            if match >= MIN_QUESTION_MATCH and (best is None or match > best[0]):
                best = (match, passage)
        return [] if best is None else [DraftSentence(text, (best[1],)) for text in _sentences(best[1])][:4]

    def _direct(self, evidence: Evidence) -> list[DraftSentence]:
        """What the guide says in the sections asked for; without those, the sentences of all passages that fit best."""
        wanted = {heading for topic in evidence.topics for heading in SECTIONS[topic]}
        asked_for = [passage for passage in evidence.guide if passage.section.split(" > ")[0] in wanted]
        if asked_for and (best := self._best(evidence, asked_for, 3, MIN_COVERED, wanted)):
            return best
        danger_asked, where_asked = "danger" in evidence.topics, "department" in evidence.topics
        passages = [
            found.passage
            for found in evidence.passages
            if (danger_asked or found.passage.section not in SECTIONS["danger"])
            and (where_asked or found.passage.kind != "department")
        ]
        return self._best(evidence, passages, 2, MIN_COVERED, wanted)

    def _filled(self, slots: Iterable[_Slot], evidence: Evidence) -> Iterator[DraftSentence]:
        for slot in slots:
            headings = SECTIONS[slot.section]
            passages = [passage for passage in evidence.guide if passage.section in headings]
            yield from self._best(evidence, passages, slot.sentences, ordered=True, part=slot.part)

    def _best(
        self,
        evidence: Evidence,
        passages: Sequence[Passage],
        count: int,
        min_covered: float = 0.0,
        wanted: Iterable[str] = (),
        ordered: bool = False,
        part: AnswerPart = "answer",
    ) -> list[DraftSentence]:
        """The sentences that hold most of the question's words, earlier passages first among equals.

        min_covered: the share of the question's words a sentence must hold under its heading. wanted: sections asked for.
        """
        headings = set(wanted)
        candidates = []
        for rank, passage in enumerate(passages):
            for place, text in enumerate(_sentences(passage)):
                if not _may_stand(text, passage, evidence):
                    continue
                covered = share_covered(evidence.weights, tokens_of(f"{passage.title} {passage.section} {text}"))
                own = share_covered(evidence.weights, tokens_of(text))
                if covered >= min_covered and (own > 0 or ordered):
                    on_topic = ON_TOPIC if passage.section.split(" > ")[0] in headings else 0.0
                    score = (covered + own) / 2 + on_topic - EARLIER * rank - EARLIER_SENTENCE * place
                    candidates.append((score, DraftSentence(text, (passage,), _part_of(passage, part))))
        best = sorted(candidates, key=lambda candidate: -candidate[0])[:count]
        if ordered:
            best = [candidate for candidate in candidates if candidate in best]
        return [sentence for _, sentence in best]


def _part_of(passage: Passage, part: AnswerPart) -> AnswerPart:
    """A danger line keeps its place at the end even where it answers the question."""
    return "danger" if passage.section in SECTIONS["danger"] else part


def is_named(passage: Passage, question: str) -> bool:
    """Whether a question names what the passage's source is about."""
    return normalise(passage.title) in normalise(question)


def is_for_others(text: str, told: Set[str]) -> bool:
    """Whether a text is about children, pregnancy or the time after a birth, and the patient said nothing of either.

    told: whom the patient's words are about (rag.support.populations).
    """
    about = populations(text) & SPECIAL
    return bool(about) and not (about & told or ("child" in about and told & YOUNG))


def _sentences(passage: Passage) -> list[str]:
    return [sentence.text.removeprefix("- ").strip() for sentence in split_sentences(passage.text)]


def _mutual_match(evidence: Evidence, title: str, question: str) -> float:
    """F1 of the words two questions share, by rarity, apart from the subject that both name."""
    subject = set(tokens_of(title))
    asked = {token: weight for token, weight in evidence.weights.items() if token not in subject}
    rarest = max(evidence.rarity.values(), default=1.0)
    theirs = {token: evidence.rarity.get(token, rarest) for token in tokens_of(question) if token not in subject}
    held, own = share_covered(asked, list(theirs)), share_covered(theirs, list(asked))
    return 2 * held * own / (held + own) if held + own else 0.0


def _may_stand(text: str, passage: Passage, evidence: Evidence) -> bool:
    if len(text) < MIN_SENTENCE_CHARS[evidence.language] or text.endswith(("？", "?", "：", ":")):
        return False
    if is_for_others(text, populations(f"{passage.title} {evidence.told}")):
        return False
    label = text.replace("：", ":").partition(":")[0].strip().casefold()
    is_danger_line = passage.section in SECTIONS["danger"]
    return not is_danger_line or label in evidence.danger_labels
