"""What the assistant says, as records: triage decision, cited answer or abstention, question, conversation."""

from __future__ import annotations

from dataclasses import dataclass, field

from knowledge.departments import Department
from knowledge.records import Language
from knowledge.red_flags import RedFlag
from knowledge.urgency import UrgencyLevel

MAX_QUESTION_CHARS = 4000
NOT_SURE = {"zh": "不知道", "en": "Not sure"}


@dataclass(frozen=True)
class RankedDepartment:
    """A department with its share of belief (0-1 over all departments) and the words that speak for it."""

    department: Department
    score: float
    why: str


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

    part: answer (to what was asked), why, where (to go), do (at home), danger (when to hurry).
    """

    text: str
    key: str
    part: str = "answer"


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
        return "\n".join(f"{sentence.text} [{sentence.key}]" for sentence in self.sentences)


@dataclass(frozen=True)
class Abstention:
    """No answer: the documents at hand do not say enough. text says so, and whom to ask."""

    text: str


@dataclass(frozen=True)
class FollowUp:
    """One closed question. options are what can be tapped; the last is always "not sure"."""

    question_id: str
    question: str
    options: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Turn:
    """One thing the patient said, and the question it answered, if any."""

    text: str
    answers: FollowUp | None = None


@dataclass(frozen=True)
class Conversation:
    """Everything said so far; immutable, so that a reply hands back a new one.

    urgency: the highest level reached so far; it never falls. pending: the question last asked.
    """

    turns: tuple[Turn, ...] = ()
    urgency: UrgencyLevel = UrgencyLevel.HOME
    language: Language | None = None
    asked: tuple[str, ...] = ()
    pending: FollowUp | None = None

    def said(self) -> str:
        """The patient's words, one turn a line; a tapped option is read together with its question."""
        return "\n".join(turn.text for turn in self.turns)


@dataclass(frozen=True)
class AssistantReply:
    """One reply, in the order it is shown: triage first."""

    language: Language
    triage: TriageDecision
    answer: CitedAnswer | Abstention
    follow_up: FollowUp | None
    conversation: Conversation = field(default_factory=Conversation)
