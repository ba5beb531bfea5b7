"""Bytes into text: UTF-8, UTF-16 and UTF-32, GB18030, Big5 and Windows Latin, told apart by what the text would say."""

from __future__ import annotations

import codecs

from ingest.documents import SourceFile
from knowledge.characters import code_of

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MOST_BROKEN = 0.005  # broken bytes a character, up to which a text is still UTF-8


def text_of(file: SourceFile, charset: str | None = None) -> str:
    """The file's text with "\\n" line ends. charset: what the file says of itself; a byte order mark or valid UTF-8 is believed first."""
    return decoded(file, file.path.read_bytes(), charset)


def decoded(file: SourceFile, raw: bytes, charset: str | None = None) -> str:
    """The text of some bytes of a file. Raises UnreadableSource where they are no text."""
    text = _with_mark(raw) or _unicode(raw) or _named(raw, charset) or _chinese_or_latin(raw)
    if text is None:
        raise file.fault("neither UTF-8 nor GB18030 text", "save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with_mark(raw: bytes) -> str | None:
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding, "replace")
    return None


def _unicode(raw: bytes) -> str | None:
    """UTF-8, though its last character may be cut and a few bytes broken; UTF-16 without a mark, where zero bytes show it."""
    sample = raw[:4096]
    if sample and sample.count(0) > len(sample) // 5:
        little = sample[1::2].count(0) >= sample[::2].count(0)
        return raw.decode("utf-16-le" if little else "utf-16-be", "replace")
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(raw)
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
    return text if text.count("\ufffd") <= MOST_BROKEN * len(text) and _read_more_than_ascii(text) else None


def _read_more_than_ascii(text: str) -> bool:
    """Whether broken bytes stand among good characters of UTF-8, so that it is not another code's text."""
    good = sum(character > "\x7f" for character in text) - text.count("\ufffd")
    return good > 4 * text.count("\ufffd")


def _named(raw: bytes, charset: str | None) -> str | None:
    if not charset:
        return None
    code = charset.strip().lower()
    code = (
        "gb18030" if code in ("gb2312", "gbk", "x-gbk", "gb_2312-80") else code
    )  # pages that say GB 2312 hold GB 18030
    try:
        return raw.decode(code)
    except (LookupError, UnicodeDecodeError, ValueError):
        return None


def _chinese_or_latin(raw: bytes) -> str | None:
    code = code_of(raw)
    return codecs.getincrementaldecoder(code)("replace").decode(raw) if code else None
