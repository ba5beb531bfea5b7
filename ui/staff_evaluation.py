"""Staff page: the latest figures of each `daozhen eval`, drawn, and a run on a file of one's own."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rag.config import Settings
from rag.figures import kept_figures
from ui.staff_verbs import run_verb_on

FROM_A_FILE = ("urgency", "triage", "answers")


def show(settings: Settings) -> None:
    """Draws the latest figures of each evaluation, and takes a file to evaluate now."""
    kept = kept_figures(settings.home)
    if not kept:
        st.info("Nothing was evaluated yet. Run `daozhen eval`, or give a file below.")
    for name, values in kept.items():
        st.subheader(name)
        st.caption(f"{values['evaluated_at']} · {values['cases']}")
        rows = shares_of(values["figures"])
        if rows:
            st.bar_chart(rows, x="figure", y="share", horizontal=True, height=60 + 32 * len(rows))
            st.dataframe(rows, hide_index=True, width="stretch")
        with st.expander("Everything that was measured"):
            st.json(values["figures"], expanded=False)
    with st.form("evaluate"):
        which = st.selectbox("Evaluate", FROM_A_FILE)
        file = st.file_uploader("Cases, as `daozhen eval` reads them", type=["jsonl"])
        if st.form_submit_button("Run") and file is not None:
            with st.spinner("This may take minutes."):
                run_verb_on(settings, file.getvalue(), ".jsonl", "eval", str(which), "FILE")
            st.rerun()


def shares_of(figures: dict[str, Any], prefix: str = "", depth: int = 0) -> list[dict[str, Any]]:
    """Every share between 0 and 1 with its interval where one was measured, two levels deep."""
    rows: list[dict[str, Any]] = []
    intervals = figures.get("intervals", {})
    for name, value in figures.items():
        if isinstance(value, bool) or name in ("intervals", "by_language", "low", "high"):
            continue
        if isinstance(value, int | float) and 0 <= value <= 1:
            low, high = intervals.get(name, (figures.get("low"), figures.get("high")))
            label = prefix.strip() if name == "share" else f"{prefix}{name}"
            rows.append({"figure": label.replace("_", " "), "share": float(value), "low": low, "high": high})
        elif isinstance(value, dict) and depth < 2 and name != "table":
            rows += shares_of(value, f"{prefix}{name} ", depth + 1)
    return rows
