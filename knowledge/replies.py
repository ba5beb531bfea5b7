"""What the assistant says, as records: triage decision, cited answer or abstention, card, hand-off note, whole reply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from knowledge.conversation import MAX_QUESTION_CHARS, NOT_SURE, SELF, Conversation, FollowUp, MessageKind, Turn
from knowledge.departments import Department
from knowledge.records import Language
from knowledge.red_flags import RedFlag
from knowledge.urgency import UrgencyLevel

MAX_SUGGESTED = 3

__all__ = [
    "MAX_QUESTION_CHARS",
    "NOT_SURE",
    "Abstention",
    "AnswerSentence",
    "AssistantReply",
    "Citation",
    "CitedAnswer",
    "Conversation",
    "FollowUp",
    "HandOffNote",
    "Intake",
    "MessageReply",
    "RankedDepartment",
    "Reason",
    "TriageCard",
    "TriageDecision",
    "Turn",
]


@dataclass(frozen=True)
class RankedDepartment:
    """A department with its share of belief (0-1 over all departments) and the words that speak for it.

    suggested: whether the patient is shown it; the others only help to choose the next question.
    """

    department: Department
    score: float
    why: str
    suggested: bool = True

    def as_json(self) -> dict[str, Any]:
        """Plain values for programs."""
        return {
            "id": self.department.id,
            "name_zh": self.department.name.zh,
            "name_en": self.department.name.en,
            "score": self.score,
            "why": self.why,
        }


@dataclass(frozen=True)
class Reason:
    """Why an urgency was decided: in the reply's language, with the patient's words where there are any."""

    text: str
    red_flag_id: str | None = None


@dataclass(frozen=True)
class TriageDecision:
    """How urgent, which department, and why. departments: best first, the emergency department first at I and II."""

    urgency: UrgencyLevel
    reasons: tuple[Reason, ...]
    red_flags: tuple[RedFlag, ...]
    departments: tuple[RankedDepartment, ...]

    @property
    def suggested(self) -> tuple[RankedDepartment, ...]:
        """The departments the patient is shown, best first: three at most, and none that only happens to come next."""
        return tuple(entry for entry in self.departments if entry.suggested)[:MAX_SUGGESTED]


@dataclass(frozen=True)
class Citation:
    """Where a sentence stands. key: as written in the answer, e.g. `1`; page: 1-based, None without pages."""

    key: str
    title: str
    section: str
    page: int | None
    source_id: str
    language: str
    quote: str


@dataclass(frozen=True)
class AnswerSentence:
    """One sentence of an answer and the key of the citation that holds it.

    part: answer (to what was asked), why, where (to go), do (at home), danger (when to hurry). before: the product's own words
    that lead to it, such as that the documents do not say what was asked; they say nothing medical and cite nothing.
    """

    text: str
    key: str
    part: str = "answer"
    before: str = ""

    @property
    def as_read(self) -> str:
        """With what leads to it, and the key of its citation."""
        return f"{self.before}\n{self.text} [{self.key}]".lstrip("\n")


@dataclass(frozen=True)
class AnswerPiece:
    """A sentence of an answer that is still being written, with its citation; the whole answer follows and may replace it."""

    sentence: AnswerSentence
    citation: Citation


@dataclass(frozen=True)
class CitedAnswer:
    """An answer whose every sentence has its citation.

    writer: who wrote it. note: what the patient is told about that, such as that the language model was unavailable.
    """

    sentences: tuple[AnswerSentence, ...]
    citations: tuple[Citation, ...]
    writer: str = "extractive"
    note: str = ""

    @property
    def text(self) -> str:
        """The answer as read: every sentence followed by its citation key."""
        return "\n".join(sentence.as_read for sentence in self.sentences)


@dataclass(frozen=True)
class Abstention:
    """No answer: the documents at hand do not say enough. text says so, and whom to ask."""

    text: str


@dataclass(frozen=True)
class MessageReply(Abstention):
    """The calm reply to a message that is not about an illness, or the opening words to somebody in despair; cites nothing."""

    kind: MessageKind


@dataclass(frozen=True)
class Intake:
    """What is known of the patient, each only where it was said or answered; empty where not.

    who: `self` or a relation (rag.patient). age: as said ("3 years") or the band tapped. since_hours: of the complaint.
    severity: a score such as "7/10", or a word. chronic, medicines, allergies: names in the reply's language.
    """

    who: str = SELF
    age: str = ""
    sex: str = ""
    pregnancy: str = ""
    since_hours: float | None = None
    severity: str = ""
    chronic: tuple[str, ...] = ()
    medicines: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()


@dataclass(frozen=True)
class TriageCard:
    """What the patient takes away, in the reply's language.

    who: the patient as spoken of; how_soon, where_to: the instruction; deciding: why the first department;
    watch_for: signs that change everything; come_back: when to be seen again; earlier: what holds for others spoken of.
    """

    urgency: UrgencyLevel
    who: str
    how_soon: str
    where_to: str
    first: RankedDepartment
    alternatives: tuple[RankedDepartment, ...]
    deciding: str
    reasons: tuple[str, ...]
    bring: tuple[str, ...]
    watch_for: tuple[str, ...]
    come_back: str
    sources: tuple[str, ...]
    earlier: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values for programs."""
        return {
            **{key: value for key, value in asdict_shallow(self).items() if key not in ("first", "alternatives")},
            "urgency": self.urgency.label,
            "first": self.first.as_json(),
            "alternatives": [entry.as_json() for entry in self.alternatives],
        }


@dataclass(frozen=True)
class HandOffNote:
    """What the nurse reads: the patient's own words first, then what the rules and the questions made of them.

    flags: (level label, name, the patient's words); asked: (question, answer).
    """

    urgency: UrgencyLevel
    who: str
    complaint: tuple[str, ...]
    intake: Intake
    present: tuple[str, ...]
    denied: tuple[str, ...]
    vitals: tuple[str, ...]
    flags: tuple[tuple[str, str, str], ...]
    asked: tuple[tuple[str, str], ...]
    departments: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for programs."""
        return {
            **asdict_shallow(self),
            "urgency": self.urgency.label,
            "intake": asdict_shallow(self.intake),
            "flags": [dict(zip(("level", "name", "words"), flag, strict=True)) for flag in self.flags],
            "asked": [dict(zip(("question", "answer"), pair, strict=True)) for pair in self.asked],
        }


def asdict_shallow(record: Any) -> dict[str, Any]:
    """A frozen record's fields; tuples as lists, as JSON has them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(record).items()}


@dataclass(frozen=True)
class AssistantReply:
    """One reply, in the order it is shown: triage first.

    message: calm words that open the reply (despair), or are all of it; then it is the answer too and there is no
    department. card, hand_off: once nothing is left to ask; None before.
    """

    language: Language
    triage: TriageDecision
    answer: CitedAnswer | Abstention
    follow_up: FollowUp | None
    conversation: Conversation = field(default_factory=Conversation)
    message: MessageReply | None = None
    card: TriageCard | None = None
    hand_off: HandOffNote | None = None

    @property
    def is_medical(self) -> bool:
        """Whether there is urgency and a department to show."""
        return not isinstance(self.answer, MessageReply)
