"""Sentences of Chinese and English text, by offset; numbers, abbreviations and quotations stay whole."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ABBREVIATIONS = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|dr|mr|mrs|ms|prof|st|jr|sr|no|nos|fig|figs|vol|pp|approx|min|max|a\.m|p\.m|cf|al|resp|incl|excl|ca|dept|hosp"
    r"|b\.i\.d|t\.i\.d|q\.d|i\.v|i\.m|p\.o|Ph\.D|M\.D|U\.S|U\.K|[a-z])\.|\d\.)$",
    re.IGNORECASE,
)
_END = re.compile(r"[。！？!?；;…]+[”’」』）)\"']*|\.+[”’\"')]*(?=\s|$)|\n+")
_GOES_ON = re.compile(r"\s*[，、；：。！？…,;:.!?%％‰℃°）)\]】〕》〉」』”’~～/]")  # cannot begin a sentence
_DIGIT_BEFORE = re.compile(r"\d[\s/~～\-–—×x*±.<>≤≥]*\Z")
_UNIT_AFTER = re.compile(  # or the rest of a number: 140/ 90 mmHg on two lines
    r"\s*(?:mmHg|kPa|mmol|[μuµn]mol|mol/|mEq|[μuµmk]?g(?:/|\b)|[mμµd]?[lL](?:/|\b)|[cmkμµ]?m\b|IU\b|U/|bpm|Hz|kcal|kg|"
    r"(?:次|小时|分钟|秒|天|周|个月|岁|年|片|粒|毫克|毫升|厘米|毫米|克|公斤|千克|度|倍)(?:[/。；，、\s]|$))"
)
_WORD = re.compile(r"\w")
_NO_BEGINNING = re.compile(r"\A(?:\s*[，、；：。！？…,;:.!?%％‰℃°）)\]】〕》〉」』”’~～/])+\s*")
# A table's row as ingest writes it, "名称：值；名称：值": quotable only whole, whatever marks its values hold.
_ROW = re.compile(
    r"^[^：；。！？\n]{1,40}：[^；\n]+(?:；[^：；。！？\n]{1,40}：[^；\n]+)+$|^[^:;.!?\n]{1,40}: [^;\n]+(?:; [^:;.!?\n]{1,40}: [^;\n]+)+$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Sentence:
    """A sentence and where it begins in the text it was cut from, in characters."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of a text in order, without surrounding blanks; all that is not blank is in one of them.

    A line break ends one, unless it stands inside a number or before a mark that cannot begin a sentence; a decimal point,
    an abbreviation and a semicolon in a table's row do not. Marks before the first word are no sentence and are left out.
    """
    sentences: list[Sentence] = []
    start = 0
    rows = iter([(found.start(), found.end()) for found in _ROW.finditer(text)])
    row = next(rows, None)
    for end in _END.finditer(text):
        while row is not None and row[1] < end.end():
            row = next(rows, None)
        if row is not None and row[0] <= end.start() and end.end() <= row[1] and end.end() < row[1]:
            continue
        if _is_inside(text, start, end):
            continue
        start = _keep(sentences, text, start, end.end())
    _keep(sentences, text, start, len(text))
    return sentences


def _is_inside(text: str, start: int, end: re.Match[str]) -> bool:
    """Whether a mark that could end a sentence stands inside one."""
    if end.end() >= len(text):
        return False
    if end[0].startswith(".") and _ABBREVIATIONS.search(text, max(start, end.start() - 20), end.start() + 1):
        return True
    if _GOES_ON.match(text, end.end()):
        return True
    is_break = end[0].startswith("\n")
    if not is_break or not _DIGIT_BEFORE.search(text, max(start, end.start() - 12), end.start()):
        return False
    return _UNIT_AFTER.match(text, end.end()) is not None or text[end.start() - 1] in "/~～"


def _keep(sentences: list[Sentence], text: str, start: int, end: int) -> int:
    """Adds the piece as a sentence and says where the next begins; a piece without a word belongs to the one before it."""
    piece = text[start:end]
    stripped = piece.strip()
    if not stripped:
        return end
    if _WORD.search(stripped):
        begin = start + piece.index(stripped[0])
        if not sentences:
            begin += len(stripped) - len(_NO_BEGINNING.sub("", stripped))
        sentences.append(Sentence(text[begin : start + len(piece.rstrip())], begin))
    elif sentences:
        last = sentences.pop()
        sentences.append(Sentence(text[last.start : start + len(piece.rstrip())], last.start))
    else:
        return start  # marks before the first word
    return end
