"""Which generation serves where the settings name a served store: the store's, and this machine's own where it cannot."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from knowledge.errors import AssistantError, IndexDamaged, IndexMissing, InvalidSettings, StoreUnavailable
from rag.config import STORES, Settings
from rag.generations import KEPT_GENERATIONS
from rag.milvus_faults import COPY
from rag.open_generation import OpenGeneration
from rag.passage_index import PassageIndex
from rag.served_generation import ServedGeneration
from rag.served_rows import seal_of
from rag.serving_index import ServingIndex
from rag.writer_lock import writing

if TYPE_CHECKING:
    from rag.embedder import Embedder
    from rag.milvus_store import MilvusStore
    from rag.served_copy import CopyReport

Progress = Callable[[str, int, int], object]
LOCAL, MILVUS = STORES
TOKEN_VARIABLE = "DAOZHEN_MILVUS_TOKEN"
TRIED_AGAIN_SECONDS = 20.0  # after a failure questions are answered from this machine for so long before another try

_log = logging.getLogger("daozhen.index")  # faults of stores only; what patients say is never logged


class ServedOrLocal:
    """Always the generation the store's alias points at; this machine's own while the store cannot serve, said once."""

    def __init__(self, connect: Callable[[], MilvusStore], index_dir: Path, embedder: Embedder) -> None:
        self._connect = connect
        self._index_dir = index_dir
        self._embedder = embedder
        self._opening = threading.Lock()
        self._store: MilvusStore | None = None
        self._served: ServedGeneration | None = None
        self._fault: AssistantError | None = None
        self._not_before = 0.0
        self._local = self._open_local()

    def current(self) -> OpenGeneration:
        """The generation that serves now. Raises StoreUnavailable where neither the store nor this machine has one."""
        if self._rests():
            return self.instead(cast(AssistantError, self._fault))
        try:
            served = self._newest()
        except AssistantError as fault:
            return self.instead(fault)
        if self._fault is not None:
            _log.warning("daozhen: the served store answers again: generation %s serves", served.manifest.generation)
            self._fault = None
        return served

    def instead(self, fault: AssistantError) -> OpenGeneration:
        """This machine's own generation, because the store failed; raises that fault where there is none."""
        self._local = self._local or self._open_local()
        if self._local is None:
            raise fault
        index = self._local.current()
        if self.fault != str(fault):
            generation = index.manifest.generation
            _log.warning("daozhen: warning: %s. Until then this machine's generation %s serves", fault, generation)
        self._rest(fault)
        return index

    @property
    def fault(self) -> str:
        """Why the store does not serve; "" where it does."""
        return "" if self._fault is None else str(self._fault)

    def at_home(self) -> OpenGeneration:
        """This machine's own generation where there is one, for what every generation of this knowledge says alike."""
        return self.current() if self._local is None else self._local.current()

    def _newest(self) -> ServedGeneration:
        store = self._store or self._connected()
        generation = store.serving()
        if generation is None:
            raise StoreUnavailable(f"Milvus at {store.address.uri}: holds no generation; {COPY}")
        served = self._served
        if served is not None and served.manifest.generation == generation:
            return served
        if not self._opening.acquire(blocking=served is None) and served is not None:
            return served  # somebody opens the new one; who asks meanwhile need not wait for it
        try:
            if self._served is None or self._served.manifest.generation != generation:
                served = ServedGeneration.open(store, generation, self._index_dir)
                _check_embedder(served, self._embedder)
                self._served = served
            return self._served
        finally:
            self._opening.release()

    def _connected(self) -> MilvusStore:
        with self._opening:
            if self._store is None:
                if self._rests():  # another question has just waited in vain
                    raise cast(AssistantError, self._fault)
                try:
                    self._store = self._connect()
                except AssistantError as fault:
                    if self._local is not None:
                        self.instead(fault)
                    raise
            return self._store

    def _rests(self) -> bool:
        return self._fault is not None and time.monotonic() < self._not_before

    def _rest(self, fault: AssistantError) -> None:
        """Tries the store again only after a while; a fault told during the rest does not lengthen it."""
        if not self._rests():
            self._not_before = time.monotonic() + TRIED_AGAIN_SECONDS
        self._fault = fault

    def _open_local(self) -> ServingIndex | None:
        try:
            serving = ServingIndex(self._index_dir, self._embedder.fingerprint)
        except (IndexMissing, IndexDamaged):
            return None
        fits = serving.current().manifest.embedder_fingerprint == self._embedder.fingerprint
        return serving if fits else None


def connected(settings: Settings) -> MilvusStore:
    """The store the settings name. Raises InvalidSettings, MissingExtra, StoreUnavailable."""
    from rag.milvus_store import MilvusAddress, MilvusStore

    uri = _uri(settings)
    return MilvusStore(MilvusAddress(uri, _name(settings), _token(settings)))


def serve_newest(
    settings: Settings, step: Progress = lambda *_: None, keep: int = KEPT_GENERATIONS, replace: bool = False
) -> CopyReport:
    """Lets the store the settings name serve what this machine's index serves; copies it where it is not there.

    Raises StoreUnavailable, InvalidUsage, IndexMissing, IndexDamaged, IndexBusy, CopyStopped; what served goes on then.
    """
    store = connected(settings)
    from rag.served_copy import copy_generation

    try:
        with writing(settings.index_dir):
            return copy_generation(PassageIndex.open(settings.index_dir), store, step, keep, replace)
    finally:
        store.close()


def _uri(settings: Settings) -> str:
    uri = settings.milvus_uri
    if not uri:
        raise InvalidSettings(
            'config.toml: milvus_uri is missing; give "http://HOST:19530", or a path ending in .db for Milvus Lite'
        )
    if "@" in uri:
        raise InvalidSettings(f"config.toml: milvus_uri holds a password; put `user:password` in {TOKEN_VARIABLE}")
    if uri.startswith(("http://", "https://")):
        return uri
    if not uri.endswith(".db"):
        raise InvalidSettings(
            f'config.toml: milvus_uri is {uri!r}; give "http://HOST:19530", or a path ending in .db for Milvus Lite'
        )
    return str((settings.home / Path(uri).expanduser()).absolute())


def _name(settings: Settings) -> str:
    name = settings.milvus_name
    if not (name.isascii() and name.isidentifier() and len(name) <= 100):
        raise InvalidSettings(f"config.toml: milvus_name is {name!r}; letters, digits and _ only, a letter first")
    return name


def _token(settings: Settings) -> str:
    if not settings.milvus_token_file:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    path = (settings.home / Path(settings.milvus_token_file).expanduser()).absolute()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise InvalidSettings(
            f"config.toml: milvus_token_file {path} cannot be read; give it, or {TOKEN_VARIABLE}"
        ) from None


def _check_embedder(served: ServedGeneration, embedder: Embedder) -> None:
    made = served.manifest
    if made.embedder_fingerprint != embedder.fingerprint:
        raise StoreUnavailable(
            f"Milvus generation {made.generation}: built by embedder {made.embedder} ({made.embedder_fingerprint[:8]}, "
            f"{made.dimension} dimensions), the settings name {embedder.name} ({embedder.fingerprint[:8]}, "
            f"{embedder.dimension}); run `daozhen index rebuild`"
        )


def state_of(settings: Settings, embedder: Embedder) -> dict[str, object]:
    """What serves and what the store holds, for people and programs. The store's faults are told, not raised."""
    serving = ServedOrLocal(lambda: connected(settings), settings.index_dir, embedder)
    index = serving.current()
    state: dict[str, object] = {
        "store": settings.store,
        "milvus": f"{settings.milvus_uri} ({settings.milvus_name})",
        "serves": LOCAL if serving.fault else MILVUS,
        "served_generation": index.manifest.generation,
    }
    try:
        store = connected(settings)
        held = {name: seal_of(store.beside(name)) is not None for name in store.generations()}
        store.close()
        state["served_kept"] = [name for name, whole in held.items() if whole]
        state["half_copied"] = [store.collection_of(name) for name, whole in held.items() if not whole]
    except AssistantError:
        pass
    return state | ({"why_local": serving.fault} if serving.fault else {})
