"""The staff's pages. Started by `daozhen chat --staff` as a process of its own; nothing of it is ever in the patients'."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import streamlit as st

from knowledge.errors import AssistantError
from rag.config import Settings, load_settings
from ui import staff_evaluation, staff_feedback, staff_library, staff_routing, staff_settings
from ui.staff_password import Throttle, password_state

IDLE_SECONDS = 15 * 60
PAGES: dict[str, Callable[[Settings], None]] = {
    "资料 Library": staff_library.show,
    "评测 Evaluation": staff_evaluation.show,
    "分科 Routing": staff_routing.show,
    "反馈 Feedback": staff_feedback.show,
    "设置 Settings": staff_settings.show,
}


@st.cache_resource(show_spinner=False)
def shared_throttle() -> Throttle:
    """One for all who try: another browser window is no way around it."""
    return Throttle()


def main() -> None:
    """Draws the staff's pages behind their password."""
    st.set_page_config(page_title="导诊 · 工作人员 Daozhen staff", page_icon="🗂️", layout="wide")
    try:
        settings = load_settings()
        if not _is_let_in(settings):
            _ask_for_password(settings)
            return
        st.session_state["staff_seen"] = time.monotonic()
        with st.sidebar:
            page = st.radio("Page", list(PAGES), key="page")
            if st.button("退出 Log out", width="stretch"):
                st.session_state.clear()
                st.rerun()
        st.title(page)
        PAGES[page](settings)
    except AssistantError as fault:
        st.error(str(fault))


def _is_let_in(settings: Settings) -> bool:
    """Let in with the password there is now, and not away for too long."""
    state = st.session_state.get("staff")
    away = time.monotonic() - st.session_state.get("staff_seen", -math.inf)
    if state and state == password_state(settings.home) and away < IDLE_SECONDS:
        return True
    if state:
        st.session_state.clear()
    return False


def _ask_for_password(settings: Settings) -> None:
    st.title("导诊 · 工作人员 Daozhen staff")
    with st.form("login"):
        password = st.text_input("密码 Password", type="password", autocomplete="current-password")
        pressed = st.form_submit_button("进入 Enter", type="primary")
    if not pressed:
        return
    outcome = shared_throttle().try_password(settings.home, password)
    if outcome is True:
        st.session_state["staff"] = password_state(settings.home)
        st.session_state["staff_seen"] = time.monotonic()
        st.rerun()
    elif outcome is False:
        st.error("密码不对。 That is not the password.")
    else:
        st.error(f"请等 {math.ceil(outcome)} 秒再试。 Too many tries: wait {math.ceil(outcome)} seconds.")


main()
