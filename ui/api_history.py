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
from rag.writers import ExtractiveWriter
from ui.api_work import Wanted
from ui.reply_text import chosen

MAX_REMEMBERED = 1024  # conversations, each turn of one counting as one
REMEMBERED_SECONDS = 600.0  # since it was last looked at


@dataclass
class _Remembered:
    conversation: Conversation
    seen: float


class Histories:
    """Replays what a patient said, turn by turn, and remembers in memory alone how far it came.

    A history is known by a keyed hash of its words; the key is drawn anew in each process and the words themselves are
    no key. Nothing is written; what nobody asked for in ten minutes is forgotten (`forget_old`).
    """

    def __init__(self, assistant: Assistant, clock: Callable[[], float] = time.monotonic) -> None:
        # the rules alone decide what a conversation holds, so the quick writer rebuilds it
        self._assistant = replace(assistant, writer=ExtractiveWriter())
        self._clock = clock
        self._salt = os.urandom(32)
        self._known: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def after(self, said: Sequence[str], language: Language | None, wanted: Wanted) -> Conversation:
        """The conversation once all that was said; raises Stopped when nobody waits for it any more."""
        keys = self._keys(said, language)
        conversation, done = Conversation(), 0
        for number in range(len(said), 0, -1):
            known = self._look_up(keys[number - 1])
            if known is not None:
                conversation, done = known, number
                break
        for text, key in zip(said[done:], keys[done:], strict=True):
            wanted.check()
            heard = chosen(text, conversation.pending)
            conversation = self._assistant.reply(heard, conversation, language).conversation
            self._keep(key, conversation)
        return conversation

    def keep(self, said: Sequence[str], language: Language | None, conversation: Conversation) -> None:
        """Remembers the conversation that all that was said has made."""
        self._keep(self._keys(said, language)[-1], conversation)

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

    def _look_up(self, key: bytes) -> Conversation | None:
        with self._lock:
            self._forget_old()
            found = self._known.get(key)
            if found is None:
                return None
            found.seen = self._clock()
            self._known.move_to_end(key)
            return found.conversation

    def _keep(self, key: bytes, conversation: Conversation) -> None:
        with self._lock:
            self._known[key] = _Remembered(conversation, self._clock())
            self._known.move_to_end(key)
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
