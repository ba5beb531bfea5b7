"""Bytes into text: UTF-8, UTF-16 and UTF-32, GB18030, Big5 and Windows Latin, told apart by what the text would say."""

from __future__ import annotations

import codecs
import re
from functools import cache

from ingest.documents import SourceFile

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_LONE_HIGH_BYTE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
COMMON_SHARE = 0.9  # of a text's Chinese characters, among the frequent ones of its code; real text has 0.95-1.0
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


@cache
def frequent_characters(code: str, leads: tuple[int, int]) -> frozenset[str]:
    """The Chinese characters with lead bytes in a range (the second value is outside) of a double-byte code."""
    pairs = (bytes((lead, trail)) for lead in range(*leads) for trail in range(0x40, 0xFF))
    return frozenset(character for pair in pairs if len(character := pair.decode(code, "ignore")) == 1)


def frequent_in_gb(text: str) -> float:
    """Share among the 3,755 characters of GB 2312's first level: 0.95-1.0 in simplified text."""
    return _share(text, frequent_characters("gb2312", (0xB0, 0xD8)))


def frequent_in_big5(text: str) -> float:
    """Share among the 5,401 characters of Big5's first level: 0.95-1.0 in traditional text."""
    return _share(text, frequent_characters("big5", (0xA4, 0xC7)))


def _share(text: str, characters: frozenset[str]) -> float:
    found = _HAN.findall(text)
    return sum(map(characters.__contains__, found)) / len(found) if found else 0.0


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
    lone, high = len(_LONE_HIGH_BYTE.findall(raw)), len(_HIGH_BYTE.findall(raw))
    if high and lone > high / 2:  # Chinese bytes come in pairs; a curly quote or an accent stands alone
        return raw.decode("cp1252", "replace")
    simplified, traditional = _in_code(raw, "gb18030"), _in_code(raw, "big5")
    if simplified is not None and frequent_in_gb(simplified) >= COMMON_SHARE:
        return simplified
    if traditional is not None and frequent_in_big5(traditional) >= COMMON_SHARE:
        return traditional
    wide = (raw.decode(code, "replace") for code in ("utf-16-le", "utf-16-be"))
    return next((text for text in wide if frequent_in_gb(text) >= COMMON_SHARE), simplified)


def _in_code(raw: bytes, code: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(code)().decode(raw)
    except UnicodeDecodeError:
        return None
