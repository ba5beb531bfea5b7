"""Files that appear whole, when all went well, or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from finetune.text_files import COMPRESSED
from knowledge.errors import AssistantError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UnwritableData(AssistantError):
    """A data file cannot be written: no such folder, no permission, no space."""


@contextmanager
def opened_to_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary stream to a file that appears whole, when all went well, or not at all. Compressed by its ending."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as fault:
        raise unwritable(path, fault) from None
    unfinished = Path(name)
    os.close(handle)
    try:
        with COMPRESSED.get(path.suffix.lower(), open)(unfinished, "wb") as out:
            yield cast(IO[bytes], out)
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(path)
    except OSError as fault:
        if fault.filename == str(unfinished) or fault.errno in _NO_SPACE:
            raise unwritable(path, fault) from None
        raise
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def temporary_folder_beside(path: Path) -> Iterator[Path]:
    """A folder on the same disk for what waits until the file can be written; it is gone afterwards."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.")
    except OSError as fault:
        raise unwritable(path, fault) from None
    with folder as name:
        try:
            yield Path(name)
        except OSError as fault:
            if fault.errno in _NO_SPACE:
                raise unwritable(path, fault) from None
            raise


def unwritable(path: Path, fault: OSError) -> UnwritableData:
    """The error for a path that the system refuses to write."""
    return UnwritableData(f"{path}: cannot be written: {fault.strerror or fault}; nothing was changed")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
