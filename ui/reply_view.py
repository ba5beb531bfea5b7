"""Draws the parts of a reply. Decides nothing: what is shown is what the reply says."""

from __future__ import annotations

import html
import re

import streamlit as st

from knowledge.records import Language
from knowledge.replies import (
    Abstention,
    CitedAnswer,
    FollowUp,
    HandOffNote,
    MessageReply,
    TriageCard,
    TriageDecision,
)
from knowledge.urgency import UrgencyLevel
from ui.reply_text import card_as_text, note_as_text

# background, text: every pair has a contrast of at least 4.5 : 1
COLOURS = {
    UrgencyLevel.I: ("#9b1c1c", "#ffffff"),
    UrgencyLevel.II: ("#b84309", "#ffffff"),
    UrgencyLevel.III: ("#fbd15b", "#3a2a00"),
    UrgencyLevel.IV: ("#1d6b45", "#ffffff"),
    UrgencyLevel.HOME: ("#1f5c94", "#ffffff"),
}
WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "why": "为什么这样判断",
        "department": "去哪个科",
        "first": "首选",
        "or": "也可能",
        "bring": "带上",
        "answer": "资料里怎么说",
        "sources": "出处（点开看原文）",
        "page": "第{page}页",
        "unreviewed": "资料尚未经临床医生审核签字。",
        "abstained": "没有足够的依据",
    },
    "en": {
        "why": "Why",
        "department": "Where to go",
        "first": "First choice",
        "or": "Possibly",
        "bring": "Bring",
        "answer": "What the guidance says",
        "sources": "Sources (open to read)",
        "page": "p. {page}",
        "unreviewed": "This material has not yet been signed by a clinician.",
        "abstained": "Not enough evidence",
    },
}
_MARKDOWN_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:])")


def plain(text: str) -> str:
    """Text as typed, with nothing in it taken for markup."""
    return _MARKDOWN_MARKS.sub(r"\\\1", text).replace("\n", "  \n")


def show_triage(triage: TriageDecision, language: Language) -> None:
    """The banner first, then why, then the departments."""
    words = WORDS[language]
    background, colour = COLOURS[triage.urgency]
    title, instruction = html.escape(triage.urgency.title(language)), html.escape(triage.urgency.instruction(language))
    st.html(
        f'<div role="alert" data-urgency="{triage.urgency.label}" style="background:{background};color:{colour};border-radius:0.6rem;'
        f'padding:0.9rem 1.1rem;"><div style="font-size:1.35em;font-weight:700;">{title}</div>'
        f'<div style="font-size:1.05em;margin-top:0.25rem;">{instruction}</div></div>'
    )
    st.markdown(f"**{words['why']}**")
    for reason in triage.reasons:
        st.markdown(f"- {plain(reason.text)}")
    st.markdown(f"**{words['department']}**")
    columns = st.columns(min(3, len(triage.departments)) or 1)
    for place, (column, entry) in enumerate(zip(columns, triage.departments, strict=False)):
        with column, st.container(border=True):
            st.caption(words["first"] if place == 0 else words["or"])
            st.markdown(f"#### {plain(entry.department.name.in_language(language))}")
            st.caption(plain(entry.why))
            bring = entry.department.bring.in_language(language)
            if place == 0 and bring:
                st.caption(f"{words['bring']}: {plain(('、' if language == 'zh' else ', ').join(bring[:3]))}")


def show_message(message: MessageReply) -> None:
    """Calm words to a message that is no complaint, or to somebody in despair."""
    st.markdown(plain(message.text))


def show_card(card: TriageCard, note: HandOffNote, language: Language) -> None:
    """What to take away, and the note for the nurse, to be opened."""
    for text in (card_as_text(card, language), note_as_text(note, language)):
        title, _, body = text.partition("\n")
        with st.expander(title.strip("─ ")):
            st.markdown(plain(body))


def show_answer(answer: CitedAnswer | Abstention, language: Language) -> None:
    """The answer's sentences with their keys, then each citation, to be opened."""
    words = WORDS[language]
    if isinstance(answer, Abstention):
        st.markdown(f"**{words['abstained']}**")
        st.info(plain(answer.text))
        return
    st.markdown(f"**{words['answer']}**")
    for sentence in answer.sentences:
        st.markdown(f"{plain(sentence.text)} **\\[{sentence.key}\\]**")
    st.caption(words["sources"])
    for citation in answer.citations:
        page = f" · {words['page'].format(page=citation.page)}" if citation.page else ""
        with st.expander(f"[{citation.key}] {citation.title} · {citation.section}{page}"):
            st.markdown(f"> {plain(citation.quote)}")
            st.caption(f"{citation.source_id} · {words['unreviewed']}")


def show_question(question: FollowUp, live: bool, key: str) -> str | None:
    """The closed question; while `live`, its options can be tapped. Returns the option tapped."""
    st.markdown(f"**{plain(question.question)}**")
    st.caption(plain(question.why))
    if not live:
        return None
    for number, option in enumerate(question.options):
        if st.button(option, key=f"{key}-{number}", use_container_width=True):
            return option
    return None
