"""Milvus as the place generations are served from. The one home of langchain-milvus and of its pymilvus client.

collection <name>_<generation>           passages: text, vector, words as a sparse vector, what they are filtered by
collection <name>_<generation>_beside    the generation's small files, whole pages, and last the seal
alias      <name>                        the collection of passages that serves; replaced in one step

langchain-milvus makes, fills and loads the collections; what it cannot say (aliases, one of two vector fields, filters
with counts) is said through its client.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from knowledge.errors import MissingExtra, StoreUnavailable

try:
    from grpc import RpcError
    from langchain_core.embeddings import Embeddings
    from langchain_milvus import Milvus
    from langchain_milvus.utils.sparse import BaseSparseEmbedding
    from pymilvus import DataType, MilvusClient, MilvusException
except ImportError as fault:
    raise MissingExtra(
        f'store = "milvus" needs {fault.name or "langchain-milvus"}: pip install "daozhen[milvus]"'
    ) from None

VECTOR, WORDS = "vector", "words"
CONNECT_SECONDS, READ_SECONDS, WRITE_SECONDS = 5.0, 5.0, 120.0
MOST_VALUES = 4096  # of one passage in an array field: Milvus' own limit
MOST_BYTES = 65_535  # of a text field: Milvus' own limit
_BESIDE = "_beside"
_AT_ONCE = 1000  # rows of one answer; more come in batches, slower
_KEYS, _NAMES = DataType.INT64, DataType.VARCHAR
_ARRAYS = {"department_keys": _KEYS, "source_keys": _KEYS, "also_in": _NAMES}
_LOOKED_UP = ("row", "passage_key", "source_key", "language_key", "page_key")
_EXACT = {"index_type": "FLAT", "metric_type": "IP", "params": {}}
_GRAPH = {"index_type": "HNSW", "metric_type": "IP", "params": {"M": 16, "efConstruction": 200}}
_POSTINGS = {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {}}
_SEARCHED = {"FLAT": {}, "HNSW": {"ef": 200}, "SPARSE_INVERTED_INDEX": {}}
_NO_ALIAS = re.compile("alias.*(not found|not exist)")
_REFUSED = ("unauthenticated", "auth check", "permission", "privilege", "api key", "invalid token")

for _library in ("pymilvus", "langchain_milvus", "milvus_lite"):  # they print tracebacks beside what is raised
    logging.getLogger(_library).setLevel(logging.CRITICAL)


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
        self._arguments = {"uri": address.uri, "token": address.token, "timeout": CONNECT_SECONDS}
        with self._told():
            self._client = MilvusClient(**self._arguments)
            self.is_lite = "lite" in str(self._client.get_server_version())

    def serving(self) -> str | None:
        """The generation the alias points at; None where there is no alias yet."""
        with self._told():
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
        with self._told():
            if self.serving() is None:
                self._client.create_alias(collection, self.address.name)
            else:
                self._client.alter_alias(collection, self.address.name)

    def generations(self) -> list[str]:
        """Every generation there, the half-copied too, oldest first."""
        with self._told():
            names = self._client.list_collections(timeout=READ_SECONDS)
        found = (_generation_of(name.removesuffix(_BESIDE), self.address.name) for name in names)
        return sorted({generation for generation in found if generation})

    def drop(self, generation: str) -> None:
        with self._told():
            for name in (self.collection_of(generation) + _BESIDE, self.collection_of(generation)):
                self._client.drop_collection(name)

    def collection_of(self, generation: str) -> str:
        """The name of a generation's collection of passages."""
        return f"{self.address.name}_{generation.replace('-', '_')}"

    def passages(self, generation: str, exact: bool = True) -> Collection:
        """The passages of a generation; made with the first rows added. exact: every vector is compared with a query."""
        return self._collection(self.collection_of(generation), {VECTOR: _EXACT if exact else _GRAPH, WORDS: _POSTINGS})

    def beside(self, generation: str) -> Collection:
        """What else belongs to a generation; its vectors mean nothing, Milvus wants one."""
        return self._collection(self.collection_of(generation) + _BESIDE, {VECTOR: _EXACT})

    def close(self) -> None:
        self._client.close()

    def _collection(self, name: str, vectors: Mapping[str, Mapping[str, Any]]) -> Collection:
        with self._told():
            held = Milvus(
                [_GivenWords() if one is _POSTINGS else _GivenVectors() for one in vectors.values()],
                collection_name=name,
                connection_args=self._arguments,
                consistency_level="Bounded",  # a generation no longer changes once it serves
                index_params=[dict(one) for one in vectors.values()],
                vector_field=list(vectors),
                metadata_schema={
                    array: {
                        "dtype": DataType.ARRAY,
                        "kwargs": {"element_type": kind, "max_capacity": MOST_VALUES}
                        | ({"max_length": MOST_BYTES} if kind is _NAMES else {}),
                    }
                    for array, kind in _ARRAYS.items()
                },
            )
            return Collection(self, held, list(vectors))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (MilvusException, RpcError) as fault:
            raise StoreUnavailable(_line(self.address, fault)) from None


class Collection:
    """A collection of one generation."""

    def __init__(self, store: MilvusStore, held: Milvus, vectors: list[str]) -> None:
        self._store, self._held, self._vectors = store, held, vectors
        self.name: str = held.collection_name

    def exists(self) -> bool:
        with self._store._told():
            return bool(self._held.client.has_collection(self.name, timeout=READ_SECONDS))

    def dimension(self) -> int:
        """Of its vectors."""
        with self._store._told():
            fields = self._held.client.describe_collection(self.name, timeout=READ_SECONDS)["fields"]
        return next(int(one["params"]["dim"]) for one in fields if one["name"] == VECTOR)

    def count(self, where: str = "") -> int:
        """Rows that fit, the latest included."""
        with self._store._told():
            found = self._held.client.query(
                self.name,
                filter=where,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=READ_SECONDS,
            )
        return int(found[0]["count(*)"])

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows of {"row": number, "text": …, a value for each vector and each other field}."""
        vectors = [[row[name] for name in self._vectors] for row in rows]
        others = [{name: row[name] for name in row if name not in ("text", *self._vectors)} for row in rows]
        with self._store._told():
            self._held.add_embeddings(
                [row["text"] for row in rows],
                vectors if len(self._vectors) > 1 else [one for (one,) in vectors],
                others,
                timeout=WRITE_SECONDS,
                ids=[str(row["row"]) for row in rows],
            )

    def remove(self, where: str) -> None:
        with self._store._told():
            self._held.client.delete(self.name, filter=where, timeout=WRITE_SECONDS)

    def finish(self) -> None:
        """Everything added is on the disk, looked up by its keys, and ready to be searched."""
        client = self._held.client
        with self._store._told():
            client.flush(self.name, timeout=WRITE_SECONDS)
            client.release_collection(self.name, timeout=WRITE_SECONDS)
            wanted = client.prepare_index_params()
            for name in (*_LOOKED_UP, *(() if self._store.is_lite else _ARRAYS)):  # Milvus Lite scans arrays
                if name in self._held.fields and name != "also_in":
                    wanted.add_index(name, index_type="INVERTED")
            client.create_index(self.name, wanted)
            client.load_collection(self.name)

    def nearest(
        self, vector_field: str, vector: Any, k: int, where: str, fields: Sequence[str]
    ) -> list[tuple[dict[str, Any], float]]:
        """(fields, inner product) of the k rows nearest to a vector among those that fit, best first."""
        kind = "SPARSE_INVERTED_INDEX" if vector_field == WORDS else self._searched_by()
        with self._store._told():
            found = self._held.client.search(
                self.name,
                data=[vector],
                anns_field=vector_field,
                limit=k,
                filter=where,
                output_fields=list(fields),
                search_params={"metric_type": "IP", "params": _SEARCHED[kind]},
                timeout=READ_SECONDS,
            )
        return [(hit["entity"], float(hit["distance"])) for hit in found[0]]

    def at(self, rows: Sequence[int], fields: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Row -> its fields, for those that are there."""
        if not rows:
            return {}
        with self._store._told():
            found = self._held.client.get(
                self.name, ids=[str(row) for row in rows], output_fields=["row", *fields], timeout=READ_SECONDS
            )
        return {int(one["row"]): one for one in found}

    def those(self, where: str, fields: Iterable[str]) -> list[dict[str, Any]]:
        """Every row that fits, by row."""
        wanted = {"filter": where, "output_fields": ["row", *fields], "timeout": READ_SECONDS}
        with self._store._told():
            found = list(self._held.client.query(self.name, limit=_AT_ONCE, **wanted))
            if len(found) == _AT_ONCE:
                found, batches = [], self._held.client.query_iterator(self.name, batch_size=_AT_ONCE, **wanted)
                while batch := batches.next():
                    found += batch
                batches.close()
        return sorted(found, key=lambda one: int(one["row"]))

    def _searched_by(self) -> str:
        index = self._held._get_index(VECTOR)
        return str(index["index_param"]["index_type"]) if index else "FLAT"


class _GivenVectors(Embeddings):
    """Where langchain-milvus asks for a model: the vectors are given with the rows and the queries."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError


class _GivenWords(BaseSparseEmbedding):
    """The same for the words."""

    def embed_documents(self, texts: list[str]) -> list[dict[int, float]]:
        raise NotImplementedError

    def embed_query(self, query: str) -> dict[int, float]:
        raise NotImplementedError


def _generation_of(collection: str, name: str) -> str | None:
    """The generation in a collection's name; None for a collection that is not ours."""
    day, _, rest = collection.removeprefix(f"{name}_").rpartition("_")
    ours = collection.startswith(f"{name}_") and len(day) == 15 and len(rest) == 9 and rest.isdigit()
    return f"{day}-{rest}" if ours else None


def _line(address: MilvusAddress, fault: Exception) -> str:
    """What went wrong and what to do, without the token."""
    told = " ".join(str(getattr(fault, "message", "") or getattr(fault, "details", lambda: "")() or fault).split())
    plain = f"{told} {fault}".lower()
    where = f"Milvus at {address.uri}"
    if any(word in plain for word in _REFUSED):
        return f"{where}: refuses the token; put the right one in DAOZHEN_MILVUS_TOKEN or milvus_token_file"
    if address.uri.endswith(".db") and "local" in plain and "open" in plain:
        return f"{where}: cannot be opened; Milvus Lite serves one process at a time: stop the other, or name a server"
    if any(word in plain for word in ("unavailable", "connect", "deadline", "timeout", "timed out")):
        return f"{where}: cannot be reached; start it, or mend milvus_uri in config.toml"
    shown = told[:200].replace(address.token, "…") if address.token else told[:200]
    return f"{where}: {shown}; see `daozhen index status`"
