"""Which departments a text is about, by the names hospitals give them."""

from __future__ import annotations

import re
from functools import cache

from knowledge.departments import load_departments

_SUBJECT = re.compile(
    r"^\W*([\u3400-\u9fff]{1,14}?)(?:科室|门诊)?(?:[（(][^）)]*[）)])?\s*(?:，|,)?\s*(?:也称|又称|是|主要|负责|专门|属于|的作用|作为|致力)"
)
_ENGLISH_SUBJECT = re.compile(
    r"(?:the\s+|our\s+)?([A-Za-z&\s-]{3,40}?)\s+(?:department|clinic|unit)?\s*(?:is|treats|deals|looks after)\b",
    re.IGNORECASE,
)
_FIELD = re.compile(r"(?:负责|治疗|专注于|诊治)(?:与|对)?([\u3400-\u9fff]{2,14}?)(?:相关|有关)?的?(?:疾病|问题)")
_PARTS = re.compile(r"[\s,，、;；/|>＞\-—→和与及]+")


@cache
def _ids_by_name() -> dict[str, str]:
    names: dict[str, str] = {}
    departments = load_departments().values()
    for aliased in (False, True):  # a name goes before another department's alias
        for department in departments:
            spellings = (
                (*department.aliases.zh, *department.aliases.en)
                if aliased
                else (department.name.zh, department.name.en)
            )
            for name in spellings:
                names.setdefault(_plain(name), department.id)
    return names


def department_named(name: str) -> str | None:
    """The id of the department a hospital calls so, in full or without its 科; None where nobody does."""
    plain = _plain(name)
    names = _ids_by_name()
    for spelling in (plain, f"{plain}科", plain.removesuffix("科室") + "科", plain.removesuffix("门诊"), plain.removesuffix("科"), plain.replace("医学科", "科"), plain.replace("病学科", "科"), f"{plain}外科", f"{plain}学科"):  # fmt: skip
        if spelling in names:
            return names[spelling]
    return None


def departments_named(text: str) -> tuple[str, ...]:
    """The ids in a list of names ("儿科、小儿内科"), in order, each once; unknown names are passed over."""
    ids = [department_named(text)] + [department_named(part) for part in _PARTS.split(text) if part]
    return tuple(dict.fromkeys(found for found in ids if found))


def department_described(text: str) -> tuple[str, str] | None:
    """(name, id) of the department a text describes, as the subject of a sentence: "心内科是专门……"; None where there is none."""
    sentences = [part.strip() for part in re.split(r"[。！？\n]|\.\s", text[:600]) if part.strip()]
    for sentence in sentences:
        if found := _SUBJECT.match(sentence) or _ENGLISH_SUBJECT.match(sentence):
            for name in (found[1], found[1].split("科")[0] + "科"):
                if department := department_named(name):
                    return name, department
    if not sentences or not sentences[0].startswith(("该科", "本科", "我科")):
        return None
    for sentence in sentences[1:]:
        for length in range(min(14, len(sentence)), 1, -1):
            if sentence[:length].endswith("科") and (department := department_named(sentence[:length])):
                return sentence[:length], department
    field = _FIELD.search(sentences[0])
    department = department_named(field[1]) if field else None
    return (field[1], department) if field and department else None


def _plain(name: str) -> str:
    return re.sub(r"[\s（）()]|[和与及]", "", name).casefold()
