"""One collection of Milvus: its fields and indexes, rows written, found and read back.

langchain-milvus makes, fills and loads the collections; what it cannot say (one of two vector fields, filters with
counts) is said through its client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings

from knowledge.errors import StoreUnavailable
from rag.milvus_faults import COPY
from rag.milvus_libraries import BaseSparseEmbedding, DataType, Milvus
from rag.served_rows import MOST_BYTES, MOST_VALUES

if TYPE_CHECKING:
    from rag.milvus_store import MilvusStore

VECTOR, WORDS = "vector", "words"
READ_SECONDS, WRITE_SECONDS = 5.0, 120.0
_AT_ONCE = 1000  # rows of one answer; more come in batches, slower
_TEXT: dict[str, Any] = {"datatype": DataType.VARCHAR, "max_length": MOST_BYTES}
_NUMBER: dict[str, Any] = {"datatype": DataType.INT64}
_ARRAY: dict[str, Any] = {"datatype": DataType.ARRAY, "max_capacity": MOST_VALUES}
PASSAGE_FIELDS: dict[str, dict[str, Any]] = {
    **{name: _TEXT for name in ("text", "kind", "source", "body", "added")},
    **{name: _NUMBER for name in ("passage_key", "source_key", "language_key")},
    **{name: {**_ARRAY, "element_type": DataType.INT64} for name in ("department_keys", "source_keys")},
    "also_in": {**_ARRAY, "element_type": DataType.VARCHAR, "max_length": MOST_BYTES},
}
BESIDE_FIELDS: dict[str, dict[str, Any]] = {
    **{name: _TEXT for name in ("text", "kind", "name")},
    **{name: _NUMBER for name in ("number", "page_key")},
}
_LOOKED_UP = ("kind", "passage_key", "source_key", "language_key", "page_key", "department_keys", "source_keys")
_EXACT = {"index_type": "FLAT", "metric_type": "IP", "params": {}}
_GRAPH = {"index_type": "HNSW", "metric_type": "IP", "params": {"M": 16, "efConstruction": 200}}
_POSTINGS = {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {}}
_WIDELY = {"HNSW": {"ef": 200}}  # how far a graph is searched; more finds more and takes longer


class Collection:
    """A collection of one generation: rows by number."""

    def __init__(self, store: MilvusStore, name: str, fields: Mapping[str, dict[str, Any]], vectors: list[str]) -> None:
        self.name = name
        self._store, self._fields, self._vectors = store, fields, vectors
        self._widely: dict[str, dict[str, int]] = {}
        self._open()

    def _open(self) -> None:
        """LangChain's store over the collection, loaded where it is there."""
        with self._store.told():
            given: list[Embeddings | BaseSparseEmbedding] = [_GivenVectors(), _GivenWords()]
            self._held = Milvus(
                given[: len(self._vectors)],
                collection_name=self.name,
                connection_args=self._store.arguments,
                primary_field="row",
                vector_field=list(self._vectors),
            )
            indexes = self._held.col.indexes if self._held.col else []
            kinds = {one.field_name: str(one.to_dict()["index_param"].get("index_type")) for one in indexes}
        self._widely = {name: _WIDELY.get(kinds.get(name, ""), {}) for name in self._vectors}

    def create(self, dimension: int, exact: bool) -> None:
        """Makes the collection, empty. exact: every vector is compared with a query, else a graph of them is searched."""
        client, indexes = self._held.client, self._held.client.prepare_index_params()
        schema = client.create_schema(auto_id=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        for name, kind in self._fields.items():
            schema.add_field(name, **kind)
            is_array = kind["datatype"] is DataType.ARRAY
            if name in _LOOKED_UP and not (is_array and self._store.is_lite):  # Milvus Lite scans arrays
                indexes.add_index(name, index_type="INVERTED")
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dimension)
        indexes.add_index(VECTOR, **(_EXACT if exact else _GRAPH))
        if WORDS in self._vectors:
            schema.add_field(WORDS, DataType.SPARSE_FLOAT_VECTOR)
            indexes.add_index(WORDS, **_POSTINGS)
        with self._store.told():
            # a generation no longer changes once it serves, so readers need not wait for the very latest write
            client.create_collection(self.name, schema=schema, consistency_level="Bounded")
            client.create_index(self.name, indexes, sync=False)
        self._open()

    def exists(self) -> bool:
        with self._store.told():
            return bool(self._held.client.has_collection(self.name, timeout=READ_SECONDS))

    def dimension(self) -> int:
        """Of its vectors."""
        with self._store.told():
            fields = self._held.client.describe_collection(self.name, timeout=READ_SECONDS)["fields"]
        return next(int(one["params"]["dim"]) for one in fields if one["name"] == VECTOR)

    def count(self, where: str = "") -> int:
        """Rows that fit, the latest included."""
        with self._store.told():
            found = self._held.client.query(
                self.name,
                filter=where,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=READ_SECONDS,
            )
        return int(found[0]["count(*)"])

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows of {"row": number, a value for each vector and each field}."""
        vectors = [[row[name] for name in self._vectors] for row in rows]
        others = [{name: row[name] for name in self._fields if name != "text"} for row in rows]
        with self._store.told():
            self._held.add_embeddings(
                [row["text"] for row in rows],
                vectors if len(self._vectors) > 1 else [one for (one,) in vectors],
                others,
                timeout=WRITE_SECONDS,
                ids=[row["row"] for row in rows],
            )

    def remove(self, where: str) -> None:
        with self._store.told():
            self._held.client.delete(self.name, filter=where, timeout=WRITE_SECONDS)

    def finish(self) -> None:
        """Everything added is on the disk and indexed there."""
        with self._store.told():
            self._held.client.flush(self.name, timeout=WRITE_SECONDS)

    def nearest(
        self, vector_field: str, vector: Any, k: int, where: str, fields: Sequence[str]
    ) -> list[tuple[dict[str, Any], float]]:
        """(fields, inner product) of the k rows nearest to a vector among those that fit, best first."""
        with self._store.told():
            found = self._held.client.search(
                self.name,
                data=[vector],
                anns_field=vector_field,
                limit=k,
                filter=where,
                output_fields=list(fields),
                search_params={"metric_type": "IP", "params": self._widely[vector_field]},
                timeout=READ_SECONDS,
            )
        return [(hit["entity"], float(hit["distance"])) for hit in found[0]]

    def at(self, rows: Sequence[int], fields: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Row -> its fields. Raises StoreUnavailable where one of them is not there any more."""
        if not rows:
            return {}
        with self._store.told():
            found = self._held.client.get(
                self.name, ids=list(rows), output_fields=["row", *fields], timeout=READ_SECONDS
            )
        by_row = {int(one["row"]): one for one in found}
        if lost := set(rows) - set(by_row):
            raise StoreUnavailable(f"Milvus collection {self.name}: has lost row {min(lost)}; {COPY}")
        return by_row

    def those(self, where: str, fields: Iterable[str], latest: bool = False) -> list[dict[str, Any]]:
        """Every row that fits, by row. latest: what was written this very moment too, which takes longer."""
        wanted: dict[str, Any] = {"filter": where, "output_fields": ["row", *fields], "timeout": READ_SECONDS}
        wanted |= {"consistency_level": "Strong"} if latest else {}
        with self._store.told():
            found = list(self._held.client.query(self.name, limit=_AT_ONCE, **wanted))
            if len(found) == _AT_ONCE:
                found, batches = [], self._held.client.query_iterator(self.name, batch_size=_AT_ONCE, **wanted)
                while batch := batches.next():
                    found += batch
                batches.close()
        return sorted(found, key=lambda one: int(one["row"]))


_GIVEN = "vectors and words come with rows and queries; the store is never asked to make any"


class _GivenVectors(Embeddings):
    """Where langchain-milvus asks for a model: the vectors are given with the rows and the queries."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise TypeError(_GIVEN)

    def embed_query(self, text: str) -> list[float]:
        raise TypeError(_GIVEN)


class _GivenWords(BaseSparseEmbedding):
    """The same for the words."""

    def embed_documents(self, texts: list[str]) -> list[dict[int, float]]:
        raise TypeError(_GIVEN)

    def embed_query(self, query: str) -> dict[int, float]:
        raise TypeError(_GIVEN)
