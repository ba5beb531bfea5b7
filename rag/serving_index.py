"""The generation that serves, whichever that is now."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from knowledge.errors import IndexDamaged, IndexMissing
from rag.generations import pointer_state
from rag.passage_index import PassageIndex

_log = logging.getLogger("daozhen.index")  # faults of files only; what patients say is never logged


class ServingIndex:
    """Always the generation that serves: a new one is noticed at the next question, without a restart."""

    def __init__(self, index_dir: Path, embedder_fingerprint: str | None = None) -> None:
        self.index_dir = index_dir
        self._fingerprint = embedder_fingerprint
        self._opening = threading.Lock()
        self._seen = pointer_state(index_dir)
        self._index = PassageIndex.open(index_dir, embedder_fingerprint)

    def current(self) -> PassageIndex:
        """The open generation, opened anew where the pointer has changed. One question should ask for it once.

        A new generation that is damaged, or of another embedder, is not taken: the one in use goes on, with a warning.
        """
        if pointer_state(self.index_dir) != self._seen:
            with self._opening:
                state = pointer_state(self.index_dir)
                if state != self._seen:
                    self._index = self._newer() or self._index
                    self._seen = state
        return self._index

    def _newer(self) -> PassageIndex | None:
        try:
            index = PassageIndex.open(self.index_dir, self._fingerprint)
        except (IndexDamaged, IndexMissing) as fault:
            _log.warning("daozhen: warning: %s. Until then generation %s serves", fault, self._index.folder.name)
            return None
        if self._fingerprint not in (None, index.manifest.embedder_fingerprint):
            _log.warning(
                "daozhen: warning: %s was built by another embedder; restart to use it. Until then generation %s serves",
                index.folder,
                self._index.folder.name,
            )
            return None
        return None if index.folder == self._index.folder else index
