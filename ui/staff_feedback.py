"""Staff page: what patients agreed to leave behind, to export for training or to delete."""

from __future__ import annotations

import streamlit as st

from rag.config import Settings
from rag.feedback import delete_all_feedback, feedback_rows, training_lines


def show(settings: Settings) -> None:
    """Draws what patients said of answers, with consent, and gives it out for training."""
    rows = list(feedback_rows(settings.home))
    st.write(f"{len(rows):,} rows; {sum(row.label for row in rows):,} say that the answer helped.")
    st.caption("Stored only with consent, masked before it is written. Read it before it leaves this machine.")
    if not rows:
        return
    st.dataframe([vars(row) for row in rows], hide_index=True, width="stretch")
    st.download_button(
        'Export as JSON Lines of {"prompt", "completion", "label"}',
        training_lines(settings.home).encode(),
        file_name="feedback.jsonl",
        mime="application/jsonl",
        on_click="ignore",
    )
    sure = st.checkbox("Delete all of it")
    if st.button("Delete", disabled=not sure):
        st.success(f"{delete_all_feedback(settings.home)} files deleted.")
