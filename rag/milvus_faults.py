"""Faults of Milvus as one line: what, where, and the remedy; never the token."""

from __future__ import annotations

import re

COPY = "run `daozhen index copy --to milvus`"
OLDEST = "2.5"  # versions before it index no arrays of numbers, or count no filtered rows
_REFUSED = ("unauthenticated", "auth check", "permission", "privilege", "api key", "invalid token")
_AWAY = ("unavailable", "connect", "deadline", "timeout", "timed out")
_SHOWN = 200  # characters of a fault nobody has foreseen


def line_of(uri: str, token: str, fault: BaseException) -> str:
    """What pymilvus or gRPC raised, told to an operator."""
    where, told = f"Milvus at {uri}", " ".join(map(str, _chain(fault)))
    plain = told.lower()
    if any(word in plain for word in _REFUSED):
        return f"{where}: refuses the token; put the right one in DAOZHEN_MILVUS_TOKEN or milvus_token_file"
    if uri.endswith(".db") and "local" in plain and "open" in plain:
        return f"{where}: cannot be opened; Milvus Lite serves one process at a time: stop the other, or name a server"
    if "unimplemented" in plain:
        return f"{where}: does not answer as Milvus does; mend milvus_uri in config.toml, or update the server"
    if any(word in plain for word in _AWAY):
        return f"{where}: cannot be reached; start it, or mend milvus_uri in config.toml"
    shown = " ".join(str(getattr(fault, "message", "") or fault).split())
    shown = shown.replace(token, "…") if token else shown
    return f"{where}: {shown[:_SHOWN]}; see `daozhen index status`"


def is_too_old(version: str) -> bool:
    """Whether a server says it is older than OLDEST; one that tells no number is not."""
    found = re.search(r"(\d+)\.(\d+)", version)
    oldest = tuple(map(int, OLDEST.split(".")))
    return found is not None and tuple(map(int, found.groups())) < oldest


def _chain(fault: BaseException) -> list[BaseException]:
    """A fault and what caused it; pymilvus raises faults that are their own cause."""
    found: list[BaseException] = []
    cause: BaseException | None = fault
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found
