"""Draws an exchange: what was said, the reply's parts in order, the question to tap, the card to take away. Decides nothing."""

from __future__ import annotations

from html import escape

import streamlit as st

from knowledge.records import Language
from knowledge.replies import AnswerPiece, FollowUp, HandOffNote, MessageReply, TriageCard
from knowledge.urgency import UrgencyLevel
from ui.card_html import card_body, card_page
from ui.reply_html import answer_html, banner_html, said_html, sentences_html, triage_html
from ui.reply_text import WORDS as CARD_WORDS
from ui.reply_text import card_as_text, note_as_text
from ui.screen_page import show_print_button
from ui.screen_words import SCREEN_WORDS
from ui.visitor import Visitor


def show_exchange(visitor: Visitor, number: int, is_newest: bool) -> None:
    """One message and its reply; the newest is told to a screen reader at once."""
    exchange = visitor.history[number]
    reply = exchange.reply
    language = reply.language if reply else visitor.language
    st.html(said_html(exchange.message, language, number))
    if reply is None:
        if exchange.triage is not None:
            st.html(banner_html(exchange.triage, language, is_newest) + triage_html(exchange.triage, language))
        show_fault(language)
        return
    if reply.message is not None:
        show_message(reply.message, language)
    if reply.is_medical:
        st.html(banner_html(reply.triage, language, is_newest) + triage_html(reply.triage, language))
        st.html(answer_html(reply.answer, reply.triage.urgency, language, exchange.contexts))


def show_actions(visitor: Visitor) -> None:
    """What can be done with the newest reply: the question to tap, or the card to take away and the note for the nurse."""
    exchange = visitor.history[-1]
    reply = exchange.reply
    if reply is None:
        return
    if reply.follow_up is not None:
        show_question(visitor, reply.follow_up, reply.language)
    if reply.card is not None and reply.hand_off is not None:
        show_card(visitor, reply.card, reply.language)
        show_note(visitor, reply.hand_off, exchange.note, reply.language)


def show_message(message: MessageReply, language: Language) -> None:
    """Calm words to a message that is no complaint, or to somebody in despair."""
    st.html(f'<p class="dz-message" lang="{language}">{escape(message.text)}</p>')


def show_fault(language: Language) -> None:
    """One calm line where a reply could not be finished."""
    st.warning(SCREEN_WORDS[language].fault)


class GrowingAnswer:
    """The answer while it is being written: each sentence as it passes the gates."""

    def __init__(self, level: UrgencyLevel, language: Language) -> None:
        self.level, self.language = level, language
        self.pieces: list[AnswerPiece] = []
        self.place = st.empty()

    def add(self, piece: AnswerPiece) -> None:
        number = int(piece.sentence.key)  # a number that was there before: a writer failed, and its answer begins anew
        self.pieces = [*(one for one in self.pieces if int(one.sentence.key) < number), piece]
        sentences, citations = [one.sentence for one in self.pieces], [one.citation for one in self.pieces]
        self.place.html(sentences_html(sentences, citations, self.level, self.language, {}))


def show_question(visitor: Visitor, question: FollowUp, language: Language) -> None:
    """The closed question, what its answer decides, and its options to tap."""
    st.html(
        f'<div class="dz-question" lang="{language}"><h3>{escape(question.question)}</h3>'
        f'<p class="dz-small">{escape(question.why)}</p></div>'
    )
    for number, option in enumerate(question.options):
        st.button(
            option,
            key=visitor.key(f"option-{len(visitor.history)}-{number}"),
            width="stretch",
            on_click=visitor.say,
            args=(option, language),
        )


def show_card(visitor: Visitor, card: TriageCard, language: Language) -> None:
    """What to take away: on the screen, on paper, as a page and as text."""
    words = SCREEN_WORDS[language]
    title = CARD_WORDS[language]["card"]
    st.html(f'<section class="dz-card" lang="{language}"><h3>{title}</h3>{card_body(card, language)}</section>')
    page = card_page(card, language)
    columns = st.columns(3)
    with columns[0]:
        show_print_button(words.print_card, page, visitor.key("print"))
    _download(columns[1], words.save_page, page, f"{title}.html", "text/html", visitor.key("save-page"))
    text = card_as_text(card, language)
    _download(columns[2], words.save_text, text, f"{title}.txt", "text/plain", visitor.key("save-text"))


def show_note(visitor: Visitor, note: HandOffNote, nurse: HandOffNote | None, language: Language) -> None:
    """The note behind its own fold; first in the hospital's language where the patient spoke another."""
    words = SCREEN_WORDS[language]
    text = note_as_text(note, language)
    if nurse is not None:
        text = f"{note_as_text(nurse, 'zh')}\n\n{text}"
    with st.expander(words.nurse):
        st.caption(words.nurse_hint)
        st.html(f'<div class="dz-lines">{escape(text)}</div>')
        _download(st, words.save_note, text, f"{words.nurse}.txt", "text/plain", visitor.key("save-note"))


def _download(place: object, label: str, data: str, name: str, mime: str, key: str) -> None:
    draw = place.download_button  # type: ignore[attr-defined]
    draw(
        label, data.encode(), file_name=name, mime=f"{mime}; charset=utf-8", key=key, width="stretch", on_click="ignore"
    )
