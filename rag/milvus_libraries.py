"""The one home of langchain-milvus and of its pymilvus client, or the one line that says how to get them."""

from __future__ import annotations

import logging

from knowledge.errors import MissingExtra

try:
    from grpc import RpcError
    from langchain_milvus import Milvus
    from langchain_milvus.utils.sparse import BaseSparseEmbedding
    from pymilvus import DataType, MilvusClient, MilvusException
except ImportError as fault:
    raise MissingExtra(
        f'store = "milvus" needs {fault.name or "langchain-milvus"}: pip install "daozhen[milvus]"'
    ) from None

__all__ = ["BaseSparseEmbedding", "DataType", "Milvus", "MilvusClient", "MilvusException", "RpcError"]

for _library in ("pymilvus", "langchain_milvus", "milvus_lite"):  # they print tracebacks beside what is raised
    logging.getLogger(_library).setLevel(logging.CRITICAL)
