"""What the screen keeps for one visitor, in that visitor's own session and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import cast

import streamlit as st

from knowledge.records import Language
from knowledge.replies import AssistantReply, Conversation, HandOffNote, TriageDecision
from rag.assistant import Assistant
from rag.dialogue import reply_language

_KEPT_ON_CLEARING = ("display", "large")  # how the screen looks; nothing that was said


@dataclass(frozen=True)
class Exchange:
    """A message and what came of it. conversation: the talk after it; before: the talk it was said in.

    reply: None where it could not be finished; triage: what had been decided by then. contexts: citation key -> the
    text of the page it stands in. note: for the nurse, in the hospital's language.
    """

    message: str
    before: Conversation
    conversation: Conversation
    triage: TriageDecision | None = None
    reply: AssistantReply | None = None
    contexts: dict[str, str] = field(default_factory=dict)
    note: HandOffNote | None = None

    @property
    def answered(self) -> str:
        """What was answered to a complaint; empty for small talk and where the reply could not be finished."""
        return self.reply.answer.text if self.reply and self.reply.is_medical else ""


@dataclass
class Visitor:
    """One visitor. number: changes when the screen is cleared, so that no widget keeps what the one before typed.

    waiting: messages not yet answered with the language to answer in; one stays until its answer is kept, so that a
    tap while it is being written loses nothing. feedback_file: what this visitor agreed to store; rated: exchanges.
    """

    number: int = 0
    history: list[Exchange] = field(default_factory=list)
    waiting: list[tuple[str, Language]] = field(default_factory=list)
    language: Language = "zh"
    feedback_file: str = ""
    rated: set[int] = field(default_factory=set)
    farewell: str = ""  # shown once after clearing

    @classmethod
    def here(cls) -> Visitor:
        """The visitor of this session."""
        return cast(Visitor, st.session_state.setdefault("visitor", cls()))

    @property
    def conversation(self) -> Conversation:
        return self.history[-1].conversation if self.history else Conversation()

    def say(self, message: str, language: Language | None = None) -> None:
        """Hears a message; taps are answered in the language of the screen, what is typed in its own."""
        if message.strip():
            typed_in = reply_language(message, self.conversation) if any(map(str.isalpha, message)) else self.language
            self.waiting.append((message, language or typed_in))

    def turn_to(self, language: Language) -> None:
        """The screen in another language; the last message is answered again in it, from the talk before it."""
        self.language = language
        again = [self.history.pop().message] if self.history else []
        self.waiting = [(message, language) for message in (*again, *(message for message, _ in self.waiting))]

    def has_said_something(self) -> bool:
        """Whether there is anything to clear."""
        pointed = (value for key, value in st.session_state.items() if str(key).startswith("places-"))
        return bool(self.history or self.waiting) or any(pointed)

    def key(self, name: str) -> str:
        """A widget's key, new for each visitor at this screen."""
        return f"{name}-{self.number}"

    def clear(self, farewell: str = "", language: Language | None = None) -> None:
        """Forgets everything said and typed; the look of the screen stays, its language unless another is given."""
        looks = {name: st.session_state[name] for name in _KEPT_ON_CLEARING if name in st.session_state}
        st.session_state.clear()
        st.session_state.update(looks)
        st.session_state["visitor"] = Visitor(self.number + 1, language=language or self.language, farewell=farewell)


def conversation_after_fault(
    assistant: Assistant, message: str, before: Conversation, triage: TriageDecision | None, language: Language | None
) -> Conversation:
    """The talk with the message heard though its answer failed: the next reply must know it, and the level it reached."""
    heard = assistant.dialogue.heard(before, message, language)
    if triage is None:
        return heard
    flags = tuple(dict.fromkeys((*heard.episode.flags, *(flag.id for flag in triage.red_flags))))
    return heard.with_episode(replace(heard.episode, urgency=max(heard.urgency, triage.urgency), flags=flags))
