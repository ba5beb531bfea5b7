"""The triage chat a patient sees. Started by `daozhen chat`; what is said lives in each visitor's own session alone."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable

import streamlit as st

from knowledge.errors import AssistantError, InvalidQuestion
from knowledge.records import Language
from knowledge.replies import (
    MAX_QUESTION_CHARS,
    AnswerPiece,
    AssistantReply,
    Citation,
    CitedAnswer,
    Conversation,
    MessageReply,
    TriageDecision,
)
from rag import load_assistant
from rag.assistant import Assistant
from rag.config import Settings, home_dir
from rag.feedback import delete_feedback
from rag.serving_assistant import ServingAssistant
from ui.body_map import show_body_map
from ui.feedback_view import show_feedback
from ui.reply_html import banner_html, said_html, triage_html
from ui.reply_view import GrowingAnswer, show_actions, show_exchange, show_fault, show_message
from ui.screen_page import run_page, show_looks
from ui.screen_words import SCREEN_WORDS
from ui.visitor import Exchange, Visitor, conversation_after_fault

NURSE_LANGUAGE: Language = "zh"

_log = logging.getLogger("daozhen.screen")  # kinds of fault only; what patients say is never logged


@st.cache_resource(show_spinner=False)
def shared_assistant(home: str) -> ServingAssistant:
    """One assistant for all visitors of this process; it holds nobody's words."""
    return ServingAssistant(load_assistant())


def main() -> None:
    """Draws the patient's screen once; Streamlit calls it anew with each tap."""
    st.set_page_config(page_title="导诊 Daozhen", page_icon="🏥", layout="centered")
    visitor = Visitor.here()
    look = show_looks(visitor)
    try:
        assistant = shared_assistant(str(home_dir())).current()
        settings = assistant.settings
    except AssistantError as fault:
        _log.error("daozhen: %s", fault)
        show_fault(visitor.language)
        st.stop()
    welcome, talk, actions, writing, below = st.empty(), st.container(), st.empty(), st.container(), st.empty()
    with writing:
        _show_input(visitor)
    if visitor.waiting:
        with talk:
            _show_said(visitor)
            _answer_next(visitor, assistant)
        st.rerun()
    elif visitor.history:
        with talk:
            _show_said(visitor)
        with actions.container():
            show_actions(visitor)
            show_feedback(visitor, settings.home, visitor.language)
        with below.container():
            _show_endings(visitor, settings)
    else:
        with welcome.container():
            _show_welcome(visitor)
        with below.container():
            show_body_map(visitor, visitor.language)
    run_page(visitor, look, settings.idle_seconds)


def _show_input(visitor: Visitor) -> None:
    """Where to write; a message is heard before the page is drawn again, so that nothing old stands below its answer."""
    box = visitor.key("message")
    hint = SCREEN_WORDS[visitor.language].input
    st.chat_input(hint, key=box, max_chars=MAX_QUESTION_CHARS, on_submit=lambda: visitor.say(st.session_state[box]))


def _show_welcome(visitor: Visitor) -> None:
    """What this is, what to do in an emergency, what is kept, and where to begin."""
    words = SCREEN_WORDS[visitor.language]
    if visitor.farewell:
        st.success(visitor.farewell)
        visitor.farewell = ""
    first, bold, last = words.emergency.split("**")
    st.html(
        f'<p class="dz-lead">{words.lead}</p><p class="dz-emergency">{first}<strong>{bold}</strong>{last}</p>'
        f'<p class="dz-small">{words.notice}</p><h2 class="dz-lead">{words.how}</h2>'
    )


def _show_said(visitor: Visitor) -> None:
    """Everything said so far."""
    for number in range(len(visitor.history)):
        show_exchange(visitor, number, is_newest=not visitor.waiting and number == len(visitor.history) - 1)


def _answer_next(visitor: Visitor, assistant: Assistant) -> None:
    """Answers the first message that waits; it waits until its answer is kept, whatever is tapped meanwhile."""
    message, language = visitor.waiting[0]
    exchange = _answered(assistant, message, visitor.conversation, language, len(visitor.history))
    visitor.waiting.pop(0)
    if exchange is not None:
        visitor.history.append(exchange)
    visitor.language = language


def _answered(
    assistant: Assistant, message: str, before: Conversation, language: Language, number: int
) -> Exchange | None:
    """The exchange, its parts shown as they are ready; None for a message that cannot be taken, which is told."""
    st.html(said_html(message, language, number))
    triage: TriageDecision | None = None
    answer: GrowingAnswer | None = None
    try:
        with st.spinner(SCREEN_WORDS[language].wait):
            for part in assistant.stream(message, before, language):
                if isinstance(part, MessageReply):
                    show_message(part, language)
                elif isinstance(part, TriageDecision):
                    triage = part
                    st.html(banner_html(part, language) + triage_html(part, language))
                    answer = GrowingAnswer(part.urgency, language)
                elif isinstance(part, AnswerPiece) and answer is not None:
                    answer.add(part)
                elif isinstance(part, AssistantReply):
                    return _whole(assistant, message, before, part)
    except InvalidQuestion:
        return None  # empty or too long: the box lets neither through
    except Exception as fault:  # whatever breaks, the patient reads one calm line and keeps the level already told
        _log.error(
            "daozhen: a reply could not be finished: %s",
            fault if isinstance(fault, AssistantError) else type(fault).__name__,
        )
        heard = conversation_after_fault(assistant, message, before, triage, language)
        return Exchange(message, before, heard, triage)
    raise RuntimeError("a stream of parts always ends with the reply")


def _whole(assistant: Assistant, message: str, before: Conversation, reply: AssistantReply) -> Exchange:
    """The exchange with the pages its citations stand in, and the note in the nurse's language."""
    contexts = _contexts(assistant, reply.answer.citations) if isinstance(reply.answer, CitedAnswer) else {}
    note = None
    if reply.hand_off is not None and reply.language != NURSE_LANGUAGE:
        note = assistant.hand_off(reply.conversation, NURSE_LANGUAGE)
    return Exchange(message, before, reply.conversation, reply.triage, reply, contexts, note)


def _contexts(assistant: Assistant, citations: Iterable[Citation]) -> dict[str, str]:
    """The text around each quote; where the index cannot tell it, the quote is shown alone rather than no answer."""
    try:
        index = assistant.search.current().index
        texts = {one.key: index.page_text(one.source_id, one.page, one.section, one.quote) for one in citations}
        return {key: text for key, text in texts.items() if text is not None}
    except (AssistantError, OSError, ValueError, sqlite3.Error) as fault:
        _log.error("daozhen: a page could not be shown: %s", type(fault).__name__)
        return {}


def _show_endings(visitor: Visitor, settings: Settings) -> None:
    """Begin again, or have everything deleted, what was agreed to be stored included."""
    words = SCREEN_WORDS[visitor.language]

    def delete() -> None:
        delete_feedback(settings.home, visitor.feedback_file)
        visitor.clear(words.deleted)

    again, everything = st.columns(2)
    again.button(words.again, key=visitor.key("again"), on_click=visitor.clear, width="stretch")
    everything.button(words.delete, key=visitor.key("delete"), on_click=delete, width="stretch")


main()
