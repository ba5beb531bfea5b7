"""Whether the answer helped: asked after the newest answer, stored only once the patient agrees."""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from knowledge.records import Bilingual, Language
from rag.feedback import Feedback, keep_feedback, new_file_name
from ui.visitor import Visitor

_log = logging.getLogger("daozhen.screen")

REASONS: dict[bool, tuple[Bilingual, ...]] = {
    True: (
        Bilingual(zh="看得懂", en="Easy to understand"),
        Bilingual(zh="知道该去哪里了", en="I know where to go"),
        Bilingual(zh="说到点子上了", en="To the point"),
    ),
    False: (
        Bilingual(zh="看不懂", en="Hard to understand"),
        Bilingual(zh="没回答我问的", en="Not what I asked"),
        Bilingual(zh="觉得不对", en="Seems wrong"),
        Bilingual(zh="太长了", en="Too long"),
    ),
}
_WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "title": "这个回答有帮助吗？",
        "helped": "有没有帮助",
        "yes": "👍 有帮助",
        "no": "👎 没帮助",
        "reason": "为什么",
        "consent": "我同意把这一问一答存在本机，用来改进回答。姓名、电话、地址会先去掉；点“全部删除”就会一起删掉。",
        "save": "保存评价",
        "kept": "谢谢，评价已保存。",
    },
    "en": {
        "title": "Did this answer help?",
        "helped": "Did it help",
        "yes": "👍 It helped",
        "no": "👎 It did not help",
        "reason": "Why",
        "consent": "I agree that this question and answer are stored on this machine to improve the answers. Names, numbers and addresses are taken out first; “Delete everything” deletes them too.",
        "save": "Save",
        "kept": "Thank you, it has been saved.",
    },
}


def show_feedback(visitor: Visitor, home: Path, language: Language) -> None:
    """Thumbs, a reason, consent. Nothing leaves the session before all three and a press on the button."""
    words = _WORDS[language]
    number = len(visitor.history) - 1
    exchange = visitor.history[number]
    if not exchange.answered:
        return
    if number in visitor.rated:
        st.success(words["kept"])
        return
    with st.expander(words["title"]):
        thumb = st.segmented_control(
            words["helped"], ["yes", "no"], format_func=words.__getitem__, key=visitor.key(f"thumb-{number}")
        )
        reason = None
        if thumb:
            reason = st.pills(
                words["reason"],
                [one.in_language(language) for one in REASONS[thumb == "yes"]],
                key=visitor.key(f"reason-{number}-{thumb}"),
            )
        agrees = st.checkbox(words["consent"], key=visitor.key(f"consent-{number}"))
        st.button(
            words["save"],
            disabled=not (thumb and agrees),
            key=visitor.key(f"keep-{number}"),
            width="stretch",
            on_click=_keep,
            args=(visitor, home, number, thumb == "yes", reason or ""),
        )


def _keep(visitor: Visitor, home: Path, number: int, helped: bool, reason: str) -> None:
    """Stores what was agreed to; pressed only with consent."""
    exchange = visitor.history[number]
    if not exchange.answered or not st.session_state.get(visitor.key(f"consent-{number}")):
        return
    asked = exchange.conversation.episode.said() or exchange.message
    visitor.feedback_file = visitor.feedback_file or new_file_name()
    try:
        keep_feedback(home, visitor.feedback_file, Feedback(asked, exchange.answered, helped, reason))
    except OSError as fault:  # a full or locked disk is no matter of the patient's
        _log.error("daozhen: feedback could not be stored: %s", fault)
        return
    visitor.rated.add(number)
