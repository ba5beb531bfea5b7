"""Milvus as the place generations are served from.

collection <name>_<generation>           passages: text, vector, words as a sparse vector, what they are filtered by
collection <name>_<generation>_beside    the generation's small files, whole pages, and last the seal
alias      <name>                        the collection of passages that serves; replaced in one step
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from knowledge.errors import StoreUnavailable
from rag.milvus_collection import BESIDE_FIELDS, PASSAGE_FIELDS, READ_SECONDS, VECTOR, WORDS, Collection
from rag.milvus_faults import OLDEST, is_too_old, line_of
from rag.milvus_libraries import MilvusClient, MilvusException, RpcError

CONNECT_SECONDS = 5.0
_BESIDE = "_beside"
_NO_ALIAS = re.compile("alias.*(not found|not exist)", re.IGNORECASE)


@dataclass(frozen=True)
class MilvusAddress:
    """Where Milvus is. uri: of a server, or a path ending in .db (Milvus Lite, one process at a time); name: the alias."""

    uri: str
    name: str
    token: str = field(default="", repr=False)


class MilvusStore:
    """The generations in one Milvus under one alias. Every method may raise StoreUnavailable, one line with the remedy."""

    def __init__(self, address: MilvusAddress) -> None:
        self.address = address
        self.arguments = {"uri": address.uri, "token": address.token, "timeout": CONNECT_SECONDS}
        with self.told():
            self._client = MilvusClient(**self.arguments)
            version = str(self._client.get_server_version())
        self.is_lite = "lite" in version
        if not self.is_lite and is_too_old(version):
            raise StoreUnavailable(f"Milvus at {address.uri}: is version {version}; update it to {OLDEST} or newer")

    def serving(self) -> str | None:
        """The generation the alias points at; None where there is no alias yet."""
        with self.told():
            try:
                told = self._client.describe_alias(self.address.name, timeout=READ_SECONDS)
            except MilvusException as fault:
                if _NO_ALIAS.search(str(fault)):
                    return None
                raise
        return _generation_of(told["collection_name"], self.address.name)

    def point_at(self, generation: str) -> None:
        """Lets a generation serve; readers see the one before or this one, nothing between."""
        collection = self.collection_of(generation)
        with self.told():
            if self.serving() is None:
                self._client.create_alias(collection, self.address.name)
            else:
                self._client.alter_alias(collection, self.address.name)

    def generations(self) -> list[str]:
        """Every generation there, the half-copied too, oldest first."""
        with self.told():
            names = self._client.list_collections(timeout=READ_SECONDS)
        found = (_generation_of(name.removesuffix(_BESIDE), self.address.name) for name in names)
        return sorted({generation for generation in found if generation})

    def drop(self, generation: str) -> None:
        with self.told():
            for name in (self.collection_of(generation) + _BESIDE, self.collection_of(generation)):
                self._client.drop_collection(name)

    def collection_of(self, generation: str) -> str:
        """The name of a generation's collection of passages."""
        return f"{self.address.name}_{generation.replace('-', '_')}"

    def passages(self, generation: str) -> Collection:
        """The passages of a generation, each with its vector and its words."""
        return Collection(self, self.collection_of(generation), PASSAGE_FIELDS, [VECTOR, WORDS])

    def beside(self, generation: str) -> Collection:
        """What else belongs to a generation; its vectors mean nothing, Milvus wants one."""
        return Collection(self, self.collection_of(generation) + _BESIDE, BESIDE_FIELDS, [VECTOR])

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def told(self) -> Iterator[None]:
        """What Milvus or the way to it raises becomes StoreUnavailable."""
        try:
            yield
        except (MilvusException, RpcError) as fault:
            raise StoreUnavailable(line_of(self.address.uri, self.address.token, fault)) from None


def _generation_of(collection: str, name: str) -> str | None:
    """The generation in a collection's name; None for a collection that is not ours."""
    day, _, rest = collection.removeprefix(f"{name}_").rpartition("_")
    ours = collection.startswith(f"{name}_") and len(day) == 15 and len(rest) == 9 and rest.isdigit()
    return f"{day}-{rest}" if ours else None
