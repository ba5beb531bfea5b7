"""The garble score: what share of a text cannot be what was written."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from knowledge.characters import frequent_characters, frequent_in_big5, frequent_in_gb
from knowledge.script import chinese_characters, holds_chinese

GARBLED = 0.10  # score from which a page is left out; calibrated by tests/benchmarks/reading.py --garble
SUSPECT = 0.02  # score from which a page is taken with a warning
_BROKEN = re.compile(r"[\ufffd\ue000-\uf8ff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]|\(cid:\d+\)")
_CLASSIC = re.compile("锟斤拷|(?:锟斤)|斤拷|烫烫烫+|屯屯屯+")
_RUN = re.compile(r"[^\x00-\x7f]{3,}")
_LATIN_RUN = re.compile(
    r"[\u0080-\u00ff\u0152-\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122](?:[@-~]?[\u0080-\u00ff\u0152-\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]){2,}"
)  # a second byte of Big5 may be an ASCII letter
_LATIN_OF_UTF8 = re.compile(r"â€[\u0080-\u2122]?|Ã[\u0080-\u00bf\u0192\u2030-\u203a©®¨±¼½¾]|Â[\u00a0-\u00bf]")
_OTHER_LETTER = re.compile(r"[^\x00-\u024f\u2000-\u2bff\u3000-\u9fff\uff00-\uffff]")
_KNOWN_LETTER_BLOCKS = 8  # distinct blocks of 256 code points, other than Chinese ones: no text uses as many
_FEWEST = 3  # visible characters on which anything can be said


def garble_score(text: str) -> float:
    """From 0 (reads as written) to 1: the share of visible characters that no writer put there.

    The largest of four shares: (1) replacement characters, private-use glyphs, control characters and "(cid:12)";
    (2) runs that decode to plain Chinese when the wrong code page is undone (UTF-8 read as GBK: 涓枃; GBK or UTF-8 read as
    Latin-1: ÖÐÎÄ; Big5 read as GBK and the reverse), and the marks that broken Chinese leaves (锟斤拷);
    (3) 1 where letters of eight or more scripts' blocks are mixed (glyph numbers taken for characters);
    (4) 1 where the Chinese characters are mostly ones no dictionary of everyday use has.
    The shares are not added up: one fault often shows in two of them.
    """
    visible = len("".join(text.split()))
    if visible < _FEWEST:
        return 0.0
    broken = sum(len(found) for found in _BROKEN.findall(text))
    return min(
        1.0, max(broken / visible, wrong_codepage_chars(text) / visible, _mixed_scripts(text), _rare_chinese(text))
    )


def wrong_codepage_chars(text: str) -> int:
    """How many characters were made by reading Chinese, or English with curly quotes, in a wrong code page."""
    if text.isascii():
        return 0
    wrong = sum(len(found) for found in _CLASSIC.findall(text)) + sum(
        len(found) for found in _LATIN_OF_UTF8.findall(text)
    )
    latin = sum(len(run) for run in _LATIN_RUN.findall(text) if _is_chinese_read_as_latin(run))
    han = sum(len(run) for run in _RUN.findall(text) if _is_chinese_read_as_gbk(run))
    return max(wrong, latin + han) if latin + han else wrong


def _is_chinese_read_as_latin(run: str) -> bool:
    """Four accented letters or signs in a row are in no European text; what they are in Chinese settles it."""
    if len(set(run)) < 3:
        return False  # a row of dots or dashes
    raw = bytearray()
    for character in run:
        try:
            raw += character.encode("cp1252")
        except UnicodeEncodeError:
            if ord(character) > 0xFF:
                return False
            raw.append(ord(character))
    return any(_mostly_chinese(bytes(raw), code, _everyday()) for code in ("utf-8", "gb18030", "big5"))


def _is_chinese_read_as_gbk(run: str) -> bool:
    """Ordinary Chinese in GBK is next to never valid UTF-8, so a run that is has been read in the wrong code page."""
    if not holds_chinese(run):
        return False
    raw = run.encode("gb18030", "ignore")
    return _mostly_chinese(raw, "utf-8", frequent_characters("gb2312", (0xB0, 0xD8)))


def _mostly_chinese(raw: bytes, code: str, known: frozenset[str]) -> bool:
    """Whether bytes read in a code are Chinese in everyday use; a broken byte here and there is passed over."""
    text = raw.decode(code, "replace")
    bad = text.count("\ufffd")
    han = chinese_characters(text)
    everyday = sum(map(known.__contains__, han)) >= 0.75 * len(han)
    return len(han) >= 2 and len(han) >= 0.5 * (len(text) - bad) and bad <= 0.3 * len(text) and everyday


def _mixed_scripts(text: str) -> float:
    blocks = {
        ord(character) >> 8
        for character in set(_OTHER_LETTER.findall(text))
        if unicodedata.category(character)[0] == "L"
    }
    return 1.0 if len(blocks) >= _KNOWN_LETTER_BLOCKS else 0.0


def _rare_chinese(text: str) -> float:
    """1 where most Chinese characters are in neither code's set of frequent ones; names of drugs and herbs stay far below."""
    characters = chinese_characters(text)
    if len(characters) < 12:
        return 0.0
    rare = len(characters) - sum(map(_everyday().__contains__, characters))
    return 1.0 if rare > 0.4 * len(characters) or _is_crossed(text) else 0.0


@cache
def _everyday() -> frozenset[str]:
    return frequent_characters("gb2312", (0xB0, 0xF8)) | frequent_characters("big5", (0xA4, 0xC7))


def _is_crossed(text: str) -> bool:
    """Whether it is Big5 read as GBK, or the reverse: rare characters as it stands, everyday ones in the other code."""
    if frequent_in_gb(text) >= 0.75 or frequent_in_big5(text) >= 0.85:
        return False
    run = "".join(character for character in text if character > "\x7f")
    traditional = run.encode("gb18030", "ignore").decode("big5", "replace")
    simplified = run.encode("big5", "ignore").decode("gb18030", "replace")
    return any(
        len(chinese_characters(other)) >= 0.5 * len(other)
        and other.count("\ufffd") <= 0.3 * len(other)
        and frequent(other) >= 0.85
        for other, frequent in ((traditional, frequent_in_big5), (simplified, frequent_in_gb))
    )
