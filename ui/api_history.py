"""Conversations rebuilt from the messages a client carries: the same words always make the same conversation."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from knowledge.conversation import Conversation
from knowledge.records import Language
from rag.assistant import Assistant
from rag.config import Settings
from rag.learned_routing import LearnedRouting
from rag.writers import ExtractiveWriter
from ui.api_work import Wanted
from ui.reply_text import chosen

MAX_REMEMBERED = 1024  # conversations, each turn of one counting as one
REMEMBERED_SECONDS = 600.0  # since it was last looked at


@dataclass
class _Remembered:
    """made_of: what the replay depended on beside the words."""

    conversation: Conversation
    made_of: _MadeOf
    seen: float


@dataclass(frozen=True)
class _MadeOf:
    generation: str
    settings: Settings
    learned: LearnedRouting | None

    @classmethod
    def here(cls, assistant: Assistant) -> _MadeOf:
        return cls(assistant.generation, assistant.settings, assistant.learned)

    def holds_for(self, other: _MadeOf) -> bool:
        same = (self.generation, self.settings) == (other.generation, other.settings)
        return same and self.learned is other.learned


class Histories:
    """Replays what a patient said, turn by turn, and remembers in memory alone how far it came.

    Only time is saved by that: the same words make the same conversation where nothing is remembered, in another
    process too. What was made with another generation of the index, other settings or other learned routing is not
    used, and a talk that a language model has answered is replayed without it.

    A history is known by a keyed hash of its words; the key is drawn anew in each process and the words themselves are
    no key. Nothing is written; what nobody asked for in ten minutes is forgotten (`forget_old`).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._salt = os.urandom(32)
        self._known: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def after(
        self, assistant: Assistant, said: Sequence[str], language: Language | None, wanted: Wanted
    ) -> Conversation:
        """The conversation once all that was said; raises Stopped when nobody waits for it any more."""
        # the rules alone decide what a conversation holds, so the quick writer rebuilds it
        assistant = replace(assistant, writer=ExtractiveWriter())
        made_of = _MadeOf.here(assistant)
        keys = self._keys(said, language)
        conversation, done = Conversation(), 0
        for number in range(len(said), 0, -1):
            known = self._look_up(keys[number - 1], made_of)
            if known is not None:
                conversation, done = known, number
                break
        for text, key in zip(said[done:], keys[done:], strict=True):
            wanted.check()
            heard = chosen(text, conversation.pending)
            conversation = assistant.reply(heard, conversation, language).conversation
            self._keep(key, conversation, made_of)
        return conversation

    def keep(
        self, assistant: Assistant, said: Sequence[str], language: Language | None, conversation: Conversation
    ) -> None:
        """Remembers the conversation that all that was said has made, if a replay would make the same."""
        if isinstance(assistant.writer, ExtractiveWriter):
            self._keep(self._keys(said, language)[-1], conversation, _MadeOf.here(assistant))

    def forget_old(self) -> None:
        """Forgets what was not looked at for ten minutes."""
        with self._lock:
            self._forget_old()

    def _forget_old(self) -> None:
        before = self._clock() - REMEMBERED_SECONDS
        while self._known and next(iter(self._known.values())).seen < before:
            self._known.popitem(last=False)

    def _keys(self, said: Sequence[str], language: Language | None) -> list[bytes]:
        """One key for each turn, of all that was said up to it."""
        keys, key = [], (language or "").encode()
        for text in said:
            key = hashlib.blake2b(hashlib.sha256(key).digest() + text.encode(), key=self._salt, digest_size=32).digest()
            keys.append(key)
        return keys

    def _look_up(self, key: bytes, made_of: _MadeOf) -> Conversation | None:
        with self._lock:
            self._forget_old()
            found = self._known.get(key)
            if found is None or not found.made_of.holds_for(made_of):
                return None
            found.seen = self._clock()
            self._known.move_to_end(key)
            return found.conversation

    def _keep(self, key: bytes, conversation: Conversation, made_of: _MadeOf) -> None:
        with self._lock:
            self._known[key] = _Remembered(conversation, made_of, self._clock())
            self._known.move_to_end(key)
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
