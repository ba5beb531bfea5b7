"""Staff page: the hospital's own routing, learned from its solved cases: learn, look at, forget."""

from __future__ import annotations

import streamlit as st

from rag.config import Settings
from rag.figures import kept_figures
from rag.learned_store import forget, stored
from ui.staff_verbs import run_verb_on

_RESTART = "Chats that are running go on as they began: restart `daozhen chat` to let them follow."


def show(settings: Settings) -> None:
    """Draws what was learned from solved cases, and lets it be learned anew or forgotten."""
    found = stored(settings.home)
    if found is None:
        st.info("Nothing was learned; the general routing serves.")
    else:
        st.write(f"Learned {found.learned_at} from {found.cases:,} cases of {found.departments} departments.")
        st.json(dict(found.figures), expanded=False)
    with st.form("learn"):
        file = st.file_uploader('Solved cases: rows {"dialogue", "departments"}', type=["jsonl"])
        skip = st.checkbox("Leave bad rows out instead of stopping at the first")
        if st.form_submit_button("Learn, replacing what was learned before", type="primary") and file is not None:
            options = ["--skip-bad"] if skip else []
            with st.spinner("Learning and cross-validating; this may take minutes."):
                report = run_verb_on(settings, file.getvalue(), ".jsonl", "triage", "learn", "FILE", *options)
            st.success(f"Learned from {report['cases']:,} cases; {report['left_out']} rows left out. {_RESTART}")
            st.session_state["confusions"] = report["cross_validated"].get("confusions", [])
            if report["unmapped"]:
                st.warning("No department of ours, so without effect: " + ", ".join(report["unmapped"]))
    _show_confusions(settings)
    if found is not None:
        sure = st.checkbox("Delete everything learned and every case kept")
        if st.button("Forget", disabled=not sure):
            st.success(f"{len(forget(settings.home))} files deleted; the general routing serves. {_RESTART}")


def _show_confusions(settings: Settings) -> None:
    """Right department against the one given first, from the last learning or the last evaluation."""
    kept = kept_figures(settings.home).get("triage", {}).get("figures", {})
    rows = st.session_state.get("confusions") or kept.get("confusions", [])
    if rows:
        st.subheader("Most often confused")
        st.dataframe(rows, hide_index=True, width="stretch")
