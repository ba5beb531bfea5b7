"""The triage chat a patient sees. Started by `daozhen chat`; state lives in each visitor's own session."""

from __future__ import annotations

import streamlit as st

from knowledge.errors import AssistantError
from knowledge.records import Language
from knowledge.replies import (
    MAX_QUESTION_CHARS,
    Abstention,
    AssistantReply,
    CitedAnswer,
    Conversation,
    MessageReply,
    TriageDecision,
)
from rag import load_assistant
from rag.assistant import Assistant, ReplyPart, reply_language
from ui.reply_view import plain, show_answer, show_card, show_message, show_question, show_triage

WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "title": "导诊",
        "lead": "说说哪里不舒服，我告诉您有多急、去哪个科、资料里怎么说。",
        "notice": "这是就医指引，不是诊断，不能代替医生。情况紧急请直接拨打 **120**。您说的话只在这台机器上处理，不会保存。",
        "input": "比如：孩子发烧两天了，还咳嗽",
        "language": "语言 Language",
        "large": "大字",
        "again": "重新开始",
        "thinking": "正在看……",
    },
    "en": {
        "title": "Daozhen",
        "lead": "Tell me what is wrong. I will say how urgent it is, which department to go to, and what the guidance says.",
        "notice": "This is guidance, not a diagnosis, and no substitute for a doctor. In an emergency call **120**. What you write stays on this machine and is not kept.",
        "input": "For example: fever for two days and a cough",
        "language": "语言 Language",
        "large": "Large type",
        "again": "Start again",
        "thinking": "Looking …",
    },
}
LANGUAGE_NAMES: dict[Language, str] = {"zh": "中文", "en": "English"}
LARGE_TYPE = (
    "<style>html{font-size:135%;} .stChatMessage p,.stChatMessage li{font-size:1.25rem;line-height:1.6;}</style>"
)


@st.cache_resource(show_spinner=False)
def shared_assistant() -> Assistant:
    """One assistant for all visitors; it holds nobody's words."""
    return load_assistant()


def main() -> None:
    st.set_page_config(page_title="导诊 Daozhen", page_icon="🏥", layout="centered")
    language = _header()
    try:
        assistant = shared_assistant()
    except AssistantError as fault:
        st.error(plain(str(fault)))
        st.stop()
    history: list[tuple[str, AssistantReply]] = st.session_state.setdefault("history", [])
    tapped = _show_history(history)
    typed = st.chat_input(WORDS[language]["input"], max_chars=MAX_QUESTION_CHARS)
    message = tapped or typed
    if message:
        _answer(assistant, message)
        st.rerun()


def _header() -> Language:
    """Title, language, large type, and the notice. Returns the language of the screen and of the replies."""
    left, middle, right = st.columns([2, 1, 1], vertical_alignment="bottom")
    with left:
        language: Language = (
            st.segmented_control(
                WORDS["zh"]["language"],
                list(LANGUAGE_NAMES),
                format_func=lambda code: LANGUAGE_NAMES[code],
                default="zh",
                key="language",
            )
            or "zh"
        )
    words = WORDS[language]
    with middle:
        if st.toggle(words["large"], key="large"):
            st.html(LARGE_TYPE)
    with right:
        if st.button(words["again"], use_container_width=True):
            st.session_state["history"] = []
    st.title(words["title"])
    st.markdown(words["lead"])
    st.caption(words["notice"])
    return language


def _show_history(history: list[tuple[str, AssistantReply]]) -> str | None:
    """Everything said so far; returns the option just tapped, if any."""
    tapped = None
    for number, (message, reply) in enumerate(history):
        with st.chat_message("user"):
            st.markdown(plain(message))
        with st.chat_message("assistant"):
            if reply.message is not None:
                show_message(reply.message)
            if not isinstance(reply.answer, MessageReply):
                show_triage(reply.triage, reply.language)
                show_answer(reply.answer, reply.language)
            if reply.card is not None and reply.hand_off is not None:
                show_card(reply.card, reply.hand_off, reply.language)
            if reply.follow_up is not None:
                tapped = show_question(reply.follow_up, live=number == len(history) - 1, key=f"option-{number}")
    return tapped


def _answer(assistant: Assistant, message: str) -> None:
    """Shows the reply's parts as they are ready, in the language of the message, and keeps the reply for this visitor."""
    history: list[tuple[str, AssistantReply]] = st.session_state["history"]
    conversation = history[-1][1].conversation if history else Conversation()
    language = reply_language(message, conversation)
    with st.chat_message("user"):
        st.markdown(plain(message))
    with st.chat_message("assistant"):
        try:
            for part in assistant.stream(message, conversation):
                _show_part(part, message, language, history)
        except AssistantError as fault:
            st.warning(plain(str(fault)))
            st.stop()


def _show_part(
    part: ReplyPart,
    message: str,
    language: Language,
    history: list[tuple[str, AssistantReply]],
) -> None:
    if isinstance(part, TriageDecision):
        show_triage(part, language)
    elif isinstance(part, MessageReply):
        show_message(part)
    elif isinstance(part, CitedAnswer | Abstention):
        show_answer(part, language)
    elif isinstance(part, AssistantReply):
        history.append((message, part))


main()
