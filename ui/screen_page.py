"""The page around the talk: look, language, the way to the newest reply, printing, and clearing when nobody is there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from knowledge.records import Language
from ui.screen_words import SCREEN_WORDS
from ui.visitor import Visitor

ASSETS = Path(__file__).resolve().parent / "assets"
WARN_SECONDS = 60  # the countdown is seen for the last minute, or the last half of a shorter time
FIRST_LANGUAGE: Language = "zh"  # what the next patient finds
LANGUAGES: dict[Language, str] = {"zh": "中文", "en": "English"}


@dataclass(frozen=True)
class Look:
    """How the screen looks to this visitor. display: auto, light, dark or contrast."""

    language: Language
    display: str
    large: bool


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


@cache
def _page_component() -> Any:
    return st.components.v2.component(
        "daozhen_page", html=_asset("page.html"), css=_asset("page.css"), js=_asset("page.js")
    )


@cache
def _print_component() -> Any:
    return st.components.v2.component(
        "daozhen_print", html='<button type="button"></button>', css=_asset("print.css"), js=_asset("print.js")
    )


def show_looks(visitor: Visitor) -> Look:
    """The title, and the switches for language, type and colours."""
    st.html(f"<style>{_asset('screen.css')}</style>")
    words = SCREEN_WORDS[visitor.language]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f"<h1>{words.title}</h1>", width="content")
        key = visitor.key(f"language-{visitor.language}")  # follows the talk where nobody chose
        chosen = st.segmented_control(
            words.language,
            list(LANGUAGES),
            format_func=lambda code: LANGUAGES[code],
            default=visitor.language,
            key=key,
            label_visibility="collapsed",
        )
        settings = st.popover(words.settings)
        if chosen and chosen != visitor.language:
            visitor.turn_to(chosen)
            st.rerun()
    with settings:
        large = st.toggle(words.large, key="large")
        display = (
            st.segmented_control(
                words.display,
                list(words.displays),
                format_func=lambda one: words.displays[one],
                default="auto",
                key="display",
            )
            or "auto"
        )
    return Look(visitor.language, display, large)


def run_page(visitor: Visitor, look: Look, idle_seconds: int) -> None:
    """Starts what runs in the browser. When nobody was there for idle_seconds, the visitor is forgotten."""
    words = SCREEN_WORDS[look.language]

    def cleared() -> None:
        if st.session_state[key].idle == visitor.number:  # not the last visitor's clock
            visitor.clear(SCREEN_WORDS[FIRST_LANGUAGE].calm, FIRST_LANGUAGE)

    key = visitor.key("page")
    _page_component()(
        data={
            "lang": "zh-CN" if look.language == "zh" else "en",
            "display": look.display,
            "large": look.large,
            "visitor": visitor.number,
            "newest": len(visitor.history) - 1 if visitor.history else None,
            "has_words": visitor.has_said_something(),
            "idle_seconds": idle_seconds,
            "warn_seconds": min(WARN_SECONDS, idle_seconds / 2),
            "idle": words.idle,
            "still_here": words.still_here,
        },
        key=key,
        on_idle_change=cleared,
    )


def show_print_button(label: str, page: str, key: str) -> None:
    """A button that prints a page of its own."""
    _print_component()(data={"label": label, "page": page}, key=key)
