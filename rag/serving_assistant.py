"""An assistant that goes on for days: what changes beside it is taken up with the next question, without a restart."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from knowledge.errors import AssistantError
from rag.assistant import Assistant, load_assistant
from rag.case_features import Reader
from rag.chat_models import load_writer, weights_folder
from rag.config import SETTINGS_FILE, Settings, load_settings
from rag.generations import file_state
from rag.learned_store import load_or_warn, pointer_of
from rag.writers import Writer

NEEDS_RESTART = ("embedder", "query_prefix", "passage_prefix", "allow_download")
_WRITER = ("model", "adapter", "word_for_word")

_log = logging.getLogger("daozhen.settings")  # files and settings only; what patients say is never logged


class ServingAssistant:
    """Always the assistant as config.toml, the learned routing and the index are now.

    A change is noticed by one look at the file system with each question. What cannot be used is told once in the log,
    and the assistant goes on as it was. Another embedder, and weights in a folder, are too much to load while somebody
    waits for an answer: they are taken up with the next start.
    """

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._home = assistant.settings.home
        self._looking = threading.Lock()
        self._settings_seen = file_state(self._home / SETTINGS_FILE)
        self._learned_seen = file_state(pointer_of(self._home))

    def current(self) -> Assistant:
        """The assistant for one question, over one generation of the index."""
        if self._looking.acquire(blocking=False):  # who comes while another looks is answered by what there is
            try:
                self._take_up_settings()
                self._take_up_learned()
                self._take_up_guides()
            finally:
                self._looking.release()
        return self._assistant.current()

    def _take_up_settings(self) -> None:
        state = file_state(self._home / SETTINGS_FILE)
        if state == self._settings_seen:
            return
        self._settings_seen = state
        before = self._assistant
        try:
            settings = self._without_restart(load_settings(self._home), before.settings)
            learned_seen = file_state(pointer_of(self._home))
            self._assistant = load_assistant(settings, self._writer_for(settings, before))
            self._learned_seen = learned_seen
        except (AssistantError, OSError) as fault:
            _log.warning("daozhen: warning: %s; the settings before it serve until then", fault)

    def _without_restart(self, settings: Settings, before: Settings) -> Settings:
        """The settings as far as they can be taken up now."""
        names = [name for name in NEEDS_RESTART if getattr(settings, name) != getattr(before, name)]
        if weights_folder(settings.model) and _writer_of(settings) != _writer_of(before):
            names += _WRITER
        if names:
            _log.warning("daozhen: warning: %s changed; restart to use it", ", ".join(names))
        return replace(settings, **{name: getattr(before, name) for name in names})

    def _writer_for(self, settings: Settings, before: Assistant) -> Writer:
        """Weights that are loaded stay loaded; another writer is made anew, its limits with it."""
        kept = weights_folder(settings.model) is not None and _writer_of(settings) == _writer_of(before.settings)
        return before.writer if kept else load_writer(settings)

    def _take_up_learned(self) -> None:
        state = file_state(pointer_of(self._home))
        if state == self._learned_seen:
            return
        self._learned_seen = state
        here = self._assistant
        learned, warning = load_or_warn(self._home, Reader(here.routing, here.search.embedder))
        if warning:
            _log.warning("daozhen: warning: %s", warning)
        self._assistant = replace(here, learned=learned)

    def _take_up_guides(self) -> None:
        """The dialogue reads its guides in this machine's own generation: on shared storage an old one's files go away."""
        here = self._assistant
        index = here.search.at_home()
        if here.dialogue.index is not index:
            self._assistant = replace(here, dialogue=here.dialogue.over(index))


def _writer_of(settings: Settings) -> tuple[object, ...]:
    return tuple(getattr(settings, name) for name in _WRITER)
