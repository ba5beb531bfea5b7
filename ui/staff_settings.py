"""Staff page: config.toml, each value checked before it is kept."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import streamlit as st

from knowledge.departments import load_departments
from knowledge.errors import InvalidSettings
from knowledge.hospital import load_hospital
from knowledge.hotlines import load_hotlines
from rag.chat_models import load_writer
from rag.config import Settings, keep_settings

HELP = {
    "embedder": "A model's folder; empty: the shipped one. Another embedder needs a rebuild.",
    "hospital_dir": "The folder with your own departments and red flags; empty: hospital/ in the home folder.",
    "locale": "Whose telephone numbers are told.",
    "model": "Who writes answers: empty for the documents' own sentences, embedded, a model's folder, or provider:name.",
    "word_for_word": "A model on this machine says the documents' own sentences and nothing else.",
    "model_url": "Where a served model answers, as http://127.0.0.1:8001/v1.",
    "model_is_local": "The address is the hospital's own, in its own network: nothing is masked for it.",
    "allow_remote_model": "Lets masked questions leave this machine for a served model.",
    "idle_seconds": "With nobody at the screen, after which it clears for the next patient.",
}
_LIMITS = {"passages_per_answer": (1, 20), "writer_seconds": (5.0, 600.0), "idle_seconds": (30, 3600)}


def show(settings: Settings) -> None:
    """Draws the settings, checks what is given and keeps it."""
    with st.form("settings"):
        given = {
            field.name: _field(field.name, getattr(settings, field.name))
            for field in fields(Settings)
            if field.name != "home"
        }
        pressed = st.form_submit_button("Check and keep", type="primary")
    if pressed:
        changed = {name: value for name, value in given.items() if value != getattr(settings, name)}
        if not changed:
            st.info("Nothing has changed.")
            return
        check_settings(replace(settings, **changed))
        path = keep_settings(settings.home, changed)
        st.success(
            f"Kept in {path}. It holds from the next question; another embedder or model folder from the next start."
        )


def _field(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return st.checkbox(name, value, help=HELP.get(name))
    if isinstance(value, int | float):
        return st.number_input(name, value=value, help=HELP.get(name))
    return st.text_input(name, value, help=HELP.get(name)).strip()


def check_settings(settings: Settings) -> None:
    """Raises InvalidSettings, or what loading says, for a value the assistant could not start with."""
    for name, (least, most) in _LIMITS.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            raise InvalidSettings(f"{name} is {value}; it needs {least} to {most}")
    locales = load_hotlines().locales
    if settings.locale not in locales:
        raise InvalidSettings(f"locale is {settings.locale!r}; known: {', '.join(locales)}")
    if settings.embedder and not settings.allow_download and not Path(settings.embedder).expanduser().is_dir():
        raise InvalidSettings(f"embedder: {settings.embedder}: no such folder")
    if settings.hospital_dir and not Path(settings.hospital_dir).expanduser().is_dir():
        raise InvalidSettings(f"hospital_dir: {settings.hospital_dir}: no such folder")
    load_hospital(settings.hospital_path, tuple(load_departments()))
    load_writer(settings)
