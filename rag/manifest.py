"""What a generation of the index is: its manifest, the seal on every file, and the check that nothing has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from knowledge.errors import IndexDamaged

FORMAT_VERSION = 3
MANIFEST, MANIFEST_SEAL = "manifest.json", "manifest.json.sha256"
REBUILD = "run `daozhen index rebuild`"
_HASHING_THREADS = 2
_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class FileSeal:
    """A file as it was written. sha256: the record anybody can check; xxh3: 128 bits, quick enough for every opening."""

    size: int  # bytes
    sha256: str
    xxh3: str


@dataclass(frozen=True)
class Manifest:
    """What a generation is. sources: source_id -> sha256 of the source's bytes; files: path below its folder -> seal."""

    format_version: int
    generation: str
    embedder: str
    embedder_fingerprint: str
    dimension: int
    knowledge_fingerprint: str
    reading_fingerprint: str  # of the code and limits that turned the sources into passages
    words_fingerprint: str  # of what turns a text into words (rag/words.py)
    source_dirs: tuple[str, ...]
    removed: tuple[str, ...] = ()  # sources left out on request, though their files may be there
    passages: int = 0
    documents: int = 0
    quarantined: int = 0  # rows of the quarantine report
    search: str = "exact"  # how the vectors are searched, for people
    rates: Mapping[str, float] = field(default_factory=dict)  # seconds per unit of work when this was built
    sources: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileSeal] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a generation's folder. Raises IndexDamaged where it is missing, altered or of another format."""
        path = folder / MANIFEST
        raw = _bytes_of(path)
        if not raw or _bytes_of(folder / MANIFEST_SEAL) != _seal_line(raw):
            raise _untrusted(path, raw)
        try:
            values = json.loads(raw)
            if values["format_version"] != FORMAT_VERSION:
                raise _untrusted(path, raw)
            return cls(
                **{
                    **values,
                    "source_dirs": tuple(values["source_dirs"]),
                    "removed": tuple(values["removed"]),
                    "files": {name: FileSeal(**row) for name, row in values["files"].items()},
                }
            )
        except (ValueError, TypeError, KeyError):
            raise _untrusted(path, raw) from None

    def write(self, folder: Path) -> None:
        """Writes manifest.json and the line that seals it, in the form `sha256sum --check` reads."""
        raw = json.dumps(asdict(self), ensure_ascii=False, indent=1).encode()
        (folder / MANIFEST).write_bytes(raw)
        (folder / MANIFEST_SEAL).write_bytes(_seal_line(raw))


def sealed(folder: Path) -> dict[str, FileSeal]:
    """The seal of every file below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        seals = pool.map(_seal_of, paths)
        return {path.relative_to(folder).as_posix(): seal for path, seal in zip(paths, seals, strict=True)}


def faults(folder: Path, manifest: Manifest, thorough: bool = False) -> list[str]:
    """One line for each file that is missing or not as it was written, naming it.

    thorough: by sha256, a second for a gigabyte; else by the 128-bit xxh3, some twenty times as quick.
    """
    check = _sha256_fault if thorough else _quick_fault
    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        found = pool.map(lambda entry: check(folder / entry[0], entry[1]), manifest.files.items())
        return [fault for fault in found if fault]


def verify(folder: Path, manifest: Manifest, thorough: bool = False) -> None:
    """Raises IndexDamaged naming every file that is missing or not as it was written."""
    found = faults(folder, manifest, thorough)
    if found:
        raise IndexDamaged(f"{'; '.join(found)}; {REBUILD}")


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(parts: Iterable[Any]) -> str:
    """Hex sha256 over JSON-able values, in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, ensure_ascii=False, sort_keys=True).encode() + b"\0")
    return digest.hexdigest()


def _seal_line(raw: bytes) -> bytes:
    return f"{hashlib.sha256(raw).hexdigest()}  {MANIFEST}\n".encode()


def _untrusted(path: Path, raw: bytes) -> IndexDamaged:
    """The fault of a manifest that cannot be used: made by another version, or not as it was written."""
    try:
        version = json.loads(raw)["format_version"]
    except (ValueError, TypeError, KeyError):
        version = FORMAT_VERSION
    if version != FORMAT_VERSION:
        return IndexDamaged(f"{path.parent}: index format {version}, this version reads {FORMAT_VERSION}; {REBUILD}")
    return IndexDamaged(f"{path}: missing, or not as it was written; {REBUILD}")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _seal_of(path: Path) -> FileSeal:
    return FileSeal(path.stat().st_size, sha256_of(path), _xxh3_of(path))


def _xxh3_of(path: Path) -> str:
    import xxhash

    digest, block = xxhash.xxh3_128(), memoryview(bytearray(_BYTES_AT_ONCE))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()


def _quick_fault(path: Path, seal: FileSeal) -> str:
    return _fault(path, seal) or ("" if _xxh3_of(path) == seal.xxh3 else f"{path}: not as it was written")


def _sha256_fault(path: Path, seal: FileSeal) -> str:
    return _fault(path, seal) or ("" if sha256_of(path) == seal.sha256 else f"{path}: not as it was written")


def _fault(path: Path, seal: FileSeal) -> str:
    try:
        size = path.stat().st_size
    except OSError:
        return f"{path}: missing"
    return "" if size == seal.size else f"{path}: {size} bytes where {seal.size} were written"
