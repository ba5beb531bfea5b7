"""Zip archives (.docx, .xlsx) looked over before anything in them is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import PurePosixPath

from ingest.documents import SourceFile
from knowledge.errors import UnreadableSource

_MOST_PARTS = 10_000
_CHECKED_FROM = 1_048_576  # bytes; below it a ratio says nothing: an empty sheet packs 500 times
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # the container of old Office files and of encrypted new ones


def check_archive(file: SourceFile, what: str, old_ending: str) -> None:
    """Raises UnreadableSource for what is no archive, is encrypted, or would unpack beyond the limits.

    The sizes an archive declares cannot be understated: zipfile reads no further than they say.
    """
    with file.path.open("rb") as stream:
        if stream.read(8) == _OLE:
            raise file.fault(f"encrypted, or an old {old_ending} file", f"save it as {what} without a password")
    try:
        with zipfile.ZipFile(file.path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as fault:
        raise file.fault(f"not a readable {what} ({fault or type(fault).__name__})", "save it again") from None
    _check_parts(file, parts, what)


def _check_parts(file: SourceFile, parts: list[zipfile.ZipInfo], what: str) -> None:
    limits = file.limits
    if len(parts) > _MOST_PARTS:
        raise file.fault(f"{len(parts):,} parts, more than {_MOST_PARTS:,}", f"save it as a new {what}")
    unpacked = sum(part.file_size for part in parts)
    if unpacked > limits.max_unpacked_bytes:
        raise file.fault(
            f"would unpack to {unpacked:,} bytes, more than {limits.max_unpacked_bytes:,}",
            "split it, or raise reading.max_unpacked_bytes",
        )
    for part in parts:
        if part.flag_bits & 1:
            raise file.fault("encrypted", f"save it as {what} without a password")
        packed_too_well = part.file_size > limits.max_unpacked_ratio * max(1, part.compress_size)
        if packed_too_well and part.file_size > _CHECKED_FROM:
            raise file.fault(
                f"its part {PurePosixPath(part.filename).name!r} unpacks more than {limits.max_unpacked_ratio} times",
                "open and save it again, or raise reading.max_unpacked_ratio if you trust it",
            )


def check_no_entities(file: SourceFile, what: str) -> None:
    """Raises UnreadableSource where a part declares XML entities: Office writes none, bombs and thefts of files need them."""
    with zipfile.ZipFile(file.path) as archive:
        for part in archive.infolist():
            if part.filename.endswith((".xml", ".rels")):
                try:
                    with archive.open(part) as stream:
                        start = stream.read(4096)
                except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError) as fault:
                    raise UnreadableSource(
                        str(file.fault(f"not a readable {what} ({type(fault).__name__})", "save it again"))
                    ) from None
                if (
                    b"<!DOCTYPE" in start
                    or b"<!ENTITY" in start
                    or b"<\x00!\x00D\x00O\x00C" in start
                    or b"\x00<\x00!\x00D\x00O" in start
                ):
                    raise file.fault(
                        "declares XML entities, which Office never writes", "do not trust it; ask for a new copy"
                    )
