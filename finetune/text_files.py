"""Text files, compressed or not, in whatever code they are written."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from knowledge.characters import code_of
from knowledge.errors import AssistantError

COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_SNIFFED_BYTES = 1 << 20  # looked at to tell the encoding
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\v\f\r\x1b"))


class UnreadableData(AssistantError):
    """A data file cannot be opened, decoded or taken apart; the text names file and line."""


def check_is_file(path: Path) -> None:
    """Raises UnreadableData where there is no such file, or a folder of that name."""
    if path.is_dir():
        raise UnreadableData(f"{path}: a folder; name the files in it, such as {path / '*'}")
    if not path.is_file():
        raise UnreadableData(f"{path}: no such file; `daozhen data doctor` says where data sets are to be had")


@contextmanager
def told_where(path: Path) -> Iterator[None]:
    """What goes wrong in reading the file, as UnreadableData that names it."""
    try:
        yield
    except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as fault:
        raise UnreadableData(f"{path.name}: damaged archive ({fault}); fetch it again") from None
    except OSError as fault:
        raise UnreadableData(f"{path.name}: cannot be read: {fault.strerror or fault}") from None


def suffix_of(path: Path) -> str:
    """The ending that tells the format: of `a.jsonl.xz` it is `.jsonl`."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in COMPRESSED else path.suffix.lower()


def opened(path: Path) -> TextIO:
    """The text of a file, in whatever code it is written. Raises UnreadableData where it is no text."""
    encoding = encoding_of(path)
    opener = COMPRESSED.get(path.suffix.lower(), open)
    return cast(TextIO, opener(path, "rt", encoding=encoding, errors="replace", newline=""))


def encoding_of(path: Path) -> str:
    """UTF-8 with or without a mark, UTF-16, GB18030 (which holds GBK and GB 2312), Big5 or Windows Latin."""
    with COMPRESSED.get(path.suffix.lower(), open)(path, "rb") as stream:
        head = cast(bytes, stream.read(_SNIFFED_BYTES))
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.count(0) * 5 > len(head):  # Latin letters in UTF-16 without a mark
        code: str | None = "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
        is_text = "\0" not in head.decode(str(code), "replace")
    elif _is_utf8(head):
        code, is_text = "utf-8-sig", True
    elif _damaged_utf8(head):
        code, is_text = "utf-8-sig", _is_text(head)
    else:
        code = code_of(head)
        is_text = _is_text(head) or code in ("utf-16-le", "utf-16-be")
    if not is_text:
        raise UnreadableData(
            f"{path.name}: no text: a picture, an archive or a spreadsheet? Save a spreadsheet as CSV, unpack an archive"
        )
    return code or "gb18030"


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as fault:
        return len(head) == _SNIFFED_BYTES and fault.start > len(head) - 4  # cut at the end
    return True


def _is_text(head: bytes) -> bool:
    """Whether control characters are as rare as in texts; in pictures and archives every tenth byte is one."""
    return len(head.translate(None, _CONTROLS)) * 50 >= len(head) * 49


def _damaged_utf8(head: bytes) -> bool:
    """Whether the bytes are UTF-8 with a few broken places: read as GB18030 they would be far more broken, or nonsense."""
    lost = head.decode("utf-8", errors="replace").count("\ufffd")
    high = sum(byte >= 0x80 for byte in head[:65536])
    return lost * 50 < max(high * len(head) // max(1, min(len(head), 65536)), 1)
