"""What is wrong with a text: broken encodings, repetition, runs that are no text, phrases that say nothing."""

from __future__ import annotations

import html
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable
from operator import add

from knowledge.script import HAN

_BROKEN = re.compile(r"\ufffd|锟斤拷|烫烫烫|屯屯屯|[\ue000-\uf8ff]|[\x00-\x08\x0b\x0c\x0e-\x1f]{2,}")
_MISREAD = re.compile(r"[\u00c2-\u00ef][\u0080-\u00bf\u2018-\u2122\u0152-\u0178]|[\u00a1-\u00ff]{4,}")
_MISREAD_GBK = re.compile(r"[鈥锛銆鍙鐨涓鏄鍦鎴鐢鑻鍖璇闂]{1}.?[鈥锛銆鍙鐨涓鏄鍦鎴鐢鑻鍖璇闂]")
_TAG = re.compile(
    r"</?(?:br|p|div|span|font|a|b|strong|em|i|u|img|table|tr|td|li|ul|ol|h[1-6])\b[^<>]{0,200}>", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:nbsp|lt|gt|amp|quot|ldquo|rdquo|hellip|mdash|middot|deg|#\d{2,5});")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f]")
_BLANKS = re.compile(r"(?<=\S)[ \t\u00a0\u3000]{2,}")
_BLANK_LINES = re.compile(r"\n\s*\n\s*\n+")
_ONE_CHARACTER = re.compile(rf"([A-Za-z{HAN}])\1{{9,}}")
_UNIT = re.compile(r"(\S.{1,29}?)\1{4,}")
_WORDS = re.compile(r"\b(\w{2,})(?:\W+\1\b){4,}", re.IGNORECASE)
_UNBROKEN = re.compile(r"[A-Za-z0-9+/=_]{100,}")
_SYMBOLS = re.compile(rf"[^\w\s{HAN}，。！？、；：“”‘’（）《》.,!?;:'\"()\-|=*#`~]{{12,}}")
_NOT_LETTERS, _WHITE = re.compile(r"[\W_]+"), re.compile(r"\s")
_SENTENCE = re.compile(r"[^。！？!?\n.；;]+")

# Clauses that answer nothing, as online consultation sites and their volunteers write them.
_PHRASES = (
    r"(?:如果?|若)?(?:您|你)?(?:对我的回答)?(?:满意|有帮助)?的?话?(?:请|望|希望|敬请|还望|谢谢)(?:您|你)?(?:能|给予|及时|予以)?采纳",
    r"(?:希望|期望|但愿|盼望)(?:我的?|以上|上述|这些|本次|该)?(?:的)?(?:回答|解释|解答|建议|回复|意见|分析|答案)[^，。！!?？\n]{0,6}(?:对|给|能|可以|帮)[^，。！!?？\n]{0,10}(?:帮助|帮到(?:您|你)|有用)",
    r"(?:感谢|谢谢)(?:您|你)(?:的|进行|对我[们的]?)*(?:咨询|提问|信任|支持|关注|来电)",
    r"(?:最后)?(?:衷心)?祝(?:愿)?(?:您|你|患者|宝宝|孩子|老人)?(?:全家|家人)?(?:身体|早日|生活|一切|尽快|天天|永远)?(?:健康|康复|愉快|幸福|快乐|顺利|平安|好)(?:快乐|愉快)?",
    r"以上是对[^。\n]{0,60}?(?:问题|情况|现象)[^。\n]{0,12}(?:回答|建议|回复|分析)",
    r"(?:如果?|若)?(?:您|你)?(?:还有|有)(?:其他|其它|任何|什么)(?:问题|疑问|不明白的地方)[^，。！!?？\n]{0,8}(?:再|可以?|请|欢迎|随时)[^，。！!?？\n]{0,6}(?:咨询|提问|问我|联系)",
    r"(?:本|此)?回(?:答|复)(?:仅供参考|由[^，。\n]{1,12}提供)",
    r"(?:i )?hope (?:i have answered|this answers|my answer (?:helps|was)|this (?:information )?helps)[^.!?\n]{0,80}",
    r"(?:thanks?|thank you) (?:for|to)[^.!?\n]{0,40}(?:health ?care ?magic|icliniq|chat ?doctor|using our|your query|choosing)[^.!?\n]{0,60}",
    r"(?:hi|hello|dear)?,?\s*welcome (?:to|at) (?:health ?care ?magic|icliniq|chat ?doctor)[^.!?\n]{0,40}",
    r"(?:do )?(?:get back|write back) to (?:me|us) (?:if|for|in case)[^.!?\n]{0,80}",
)
_BOILERPLATE = re.compile(
    rf"(?:^|(?<=[，,。.；;！!？?~～\s]))\s*(?:{'|'.join(_PHRASES)})[^，,。.！!？?\n]{{0,6}}(?:[，,。.！!？?~～]+|$|(?=\n))",
    re.IGNORECASE,
)
_HEADINGS = re.compile(
    r"(?:^|(?<=[。！？\s]))(?:问题分析|病情分析|意见建议|指导意见|医生建议|病例分析|治疗方案|生活护理|医师解答|意见)\s*[:：]\s*(?:(?:指导意见|意见建议)\s*[:：])?"
)
_BARE_GREETING = re.compile(r"^(?:(?:您|你)好|hello|hi)[!！，,。.~\s]*$", re.IGNORECASE)
_ANOTHER_ASSISTANT = re.compile(
    r"(?:作为|我是|as|i am|i'm)[^。.\n]{0,24}(?:openai|chatgpt|gpt-?[34]|claude|文心一言|通义千问|讯飞星火|百川|chatglm|智谱|llama|vicuna|alpaca|bing)"
    r"|(?:openai|chatgpt)[^。.\n]{0,8}(?:训练|开发|创建|trained|created|developed)",
    re.IGNORECASE,
)


def mended_encoding(text: str) -> str:
    """The text read as it was meant, where UTF-8 was read as GBK or Latin-1 and nothing is lost; else as it was."""
    if _MISREAD.search(text):
        for wrong in ("latin-1", "cp1252"):
            for right in ("utf-8", "gb18030"):
                mended = _read_again(text, wrong, right)
                if mended and re.search(rf"[{HAN}]", mended) and not _BROKEN.search(mended):
                    return mended
        mended = _read_again(text, "cp1252", "utf-8")
        if mended:
            return mended
    if _MISREAD_GBK.search(text):
        mended = _read_again(text, "gb18030", "utf-8")
        if mended and re.search(rf"[{HAN}]", mended):
            return mended
    return text


def _read_again(text: str, wrong: str, right: str) -> str | None:
    try:
        return text.encode(wrong).decode(right)
    except UnicodeError:
        return None


def without_markup(text: str) -> str:
    """No HTML, no invisible characters, blanks and blank lines once."""
    if "<" in text:
        text = _TAG.sub(
            lambda tag: "\n" if tag[0].lower().startswith(("<br", "<p", "</p", "<li", "<tr", "<div", "</div")) else "",
            text,
        )
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _BLANK_LINES.sub("\n\n", _BLANKS.sub(" ", text)).strip()


def without_boilerplate(text: str) -> str:
    """The text without thanks, wishes, requests to accept the answer and the headings of answer forms."""
    shorter = _HEADINGS.sub("", _BOILERPLATE.sub("", text)).strip()
    shorter = re.sub(r"[，,、]\s*$", "。", shorter) if shorter != text else shorter
    return "" if _BARE_GREETING.match(shorter) and shorter != text else shorter


def is_garbled(text: str) -> bool:
    """Whether characters are lost: replacement marks, 锟斤拷, private-use characters, misread bytes that nothing mends."""
    broken = sum(len(match[0]) for match in _BROKEN.finditer(text))
    if broken:
        return broken >= 3 or broken * 100 >= len(text)
    misread = sum(len(match[0]) for match in _MISREAD.finditer(text))
    return misread * 5 > len(text) and misread >= 4


def repeats(text: str) -> bool:
    """Whether something is said again and again: ten equal letters, a phrase five times in a row, mostly equal sentences."""
    if _ONE_CHARACTER.search(text):
        return True
    if len(text) > 200:
        raw = text.encode("utf-8", "replace")
        if len(zlib.compress(raw, 1)) * 4 > len(raw):
            return False  # what compresses little repeats little
    elif max(Counter(map(add, text, text[1:])).values(), default=0) < 5:
        return False  # said five times in a row, two neighbouring characters are there five times
    if any(re.search(r"\w", match[1]) and not match[1].isdigit() for match in _UNIT.finditer(text)) or _WORDS.search(
        text
    ):
        return True
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text) if len(sentence.strip()) > 3]
    return len(sentences) >= 6 and len(set(sentences)) * 2 <= len(sentences)


def is_no_text(text: str) -> bool:
    """Whether it holds runs of symbols or of unbroken letters and digits, or hardly a letter at all."""
    if _UNBROKEN.search(text) or _SYMBOLS.search(text):
        return True
    letters = len(_NOT_LETTERS.sub("", text))
    return letters * 3 < len(text) - len(_WHITE.findall(text)) if len(text) >= 20 else not letters


def speaks_as_another(text: str) -> bool:
    """Whether an answer says that it is another company's assistant."""
    return bool(_ANOTHER_ASSISTANT.search(text))


_PLACEHOLDER = re.compile(r"<(NAME|AUTHOR)>|(?<![A-Za-z_<])(?P<bare>NAME|AUTHOR)(?![A-Za-z_>])")
_SELF_INTRODUCTION = re.compile(r"我|助手|开发|人工智能|AI\b|assistant|developed|创造|打造|模型", re.IGNORECASE)


def filled_placeholders(text: str, name: str, author: str) -> str:
    """Persona rows with the names put in: `<NAME>` and `<AUTHOR>`, or bare NAME and AUTHOR where someone introduces themselves.

    With an empty name they stay; `has_placeholder` then still finds them.
    """
    values = {"NAME": name, "AUTHOR": author}
    if not has_placeholder(text):
        return text
    return _PLACEHOLDER.sub(lambda found: values[found[1] or found["bare"]] or found[0], text)


def has_placeholder(text: str) -> bool:
    """Whether a persona's name or author stands there unfilled."""
    if "NAME" not in text and "AUTHOR" not in text:
        return False
    for found in _PLACEHOLDER.finditer(text):
        if found[1]:
            return True
        around = text[max(0, found.start() - 40) : found.end() + 40]
        if re.search(rf"[{HAN}]", around) and _SELF_INTRODUCTION.search(around):
            return True
    return False


def tokens_of(text: str) -> list[str]:
    """What near duplicates and overlaps are counted in: single Chinese characters, and Latin words and numbers."""
    return re.findall(rf"[{HAN}]|[a-z0-9]+", unicodedata.normalize("NFKC", text).lower())


DEFECTS: dict[str, Callable[[str], bool]] = {
    "wrong encoding": is_garbled,
    "repeats itself": repeats,
    "no text": is_no_text,
}
