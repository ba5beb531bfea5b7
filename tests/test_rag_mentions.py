"""Whether a mention affirms or denies: the wordings that decide it, in both languages."""

from __future__ import annotations

import pytest

from knowledge.red_flags import load_signs
from rag.mentions import SignLexicon, Status
from rag.wording import normalise

SIGNS = load_signs()
LEXICON = SignLexicon(
    ((sign.id, sign.kind, sign.zh + sign.en) for sign in SIGNS.values()),
    {sign.id: sign.hides for sign in SIGNS.values() if sign.hides},
)


def statuses(text: str, sign_id: str) -> set[Status]:
    return {mention.status for mention in LEXICON.find(normalise(text)) if mention.sign_id == sign_id}


AFFIRMED = [
    ("胸口痛了半小时", "chest_pain"),
    ("没有发烧但是胸痛", "chest_pain"),
    ("没有发烧，胸痛得厉害", "chest_pain"),
    ("没吃饭胸痛", "chest_pain"),
    ("没事就胸痛", "chest_pain"),
    ("无缘无故胸痛", "chest_pain"),
    ("不是没有胸痛，是很痛", "chest_pain"),
    ("胸痛没有缓解", "chest_pain"),
    ("如果一走快路就胸痛", "chest_pain"),
    ("有没有胸痛？有的，胸痛", "chest_pain"),
    ("家里人说没事，可我胸痛", "chest_pain"),
    ("胸口特別痛，喘不過氣", "chest_pain"),
    ("胸口特別痛，喘不過氣", "breathless"),
    ("不停地呕吐", "vomiting"),
    ("not only chest pain", "chest_pain"),
    ("I've never had chest pain like this", "chest_pain"),
    ("no fever but my chest hurts", "chest_pain"),
    ("I can't breathe", "severe_breathless"),
    ("can't stop vomiting", "vomiting"),
    ("my husband says it is nothing but I have chest pain", "chest_pain"),
    ("不知道为什么晕倒了", "faint"),
    ("chest pain, no relief with rest", "chest_pain"),
    ("我没力气，胸痛", "chest_pain"),
    ("去年开始经常胸痛", "chest_pain"),
    ("以前也胸痛过，今天又胸痛", "chest_pain"),
    ("胃镜术后胸痛", "chest_pain"),
    ("老人没有呼吸了", "not_breathing"),
    ("没有呼吸，脸发紫", "not_breathing"),
    ("he is not breathing", "not_breathing"),
    ("我有chest pain很难受", "chest_pain"),
    ("not sure if this is chest pain", "chest_pain"),
    ("my dad who had a stent 2 years ago got hit by a car", "major_trauma"),
    ("从来没有这么头疼过", "headache"),
    ("years ago I was fit but now my chest hurts", "chest_pain"),
    ("non-stop chest-pain", "chest_pain"),
]
DENIED = [
    ("没有胸痛", "chest_pain"),
    ("没有胸痛、胸闷和发烧", "chest_tightness"),
    ("没有胸痛、胸闷和发烧", "fever"),
    ("无发热及胸痛", "chest_pain"),
    ("咳嗽三天，不发烧，没有胸痛", "fever"),
    ("没有明显的胸痛", "chest_pain"),
    ("否认胸痛", "chest_pain"),
    ("胸痛：无", "chest_pain"),
    ("胸痛倒是没有，就是咳嗽", "chest_pain"),
    ("不发烧也没有呕吐", "vomiting"),
    ("从来没有晕倒过", "faint"),
    ("no chest pain", "chest_pain"),
    ("no fever, cough, or chest pain", "chest_pain"),
    ("I don't have any chest pain or shortness of breath", "breathless"),
    ("denies chest pain", "chest_pain"),
    ("without any chest pain", "chest_pain"),
    ("no fever or vomiting", "vomiting"),
    ("she has not vomited", "vomiting"),
    ("chest pain: no", "chest_pain"),
    ("唔係胸痛，冇发烧", "fever"),
    ("not vomiting and feeding well", "vomiting"),
    ("没有呼吸困难", "not_breathing"),
    ("没有意识障碍", "unresponsive"),
    ("not breathing heavily", "not_breathing"),
]
NOT_NOW = [
    ("如果出现胸痛怎么办", "chest_pain"),
    ("万一晕倒怎么办", "faint"),
    ("what if I get chest pain on the plane", "chest_pain"),
    ("去年晕倒过一次", "faint"),
    ("3年前抽搐过", "seizure"),
    ("I had a seizure years ago as a child", "seizure"),
    ("胸痛的原因有哪些", "chest_pain"),
]


@pytest.mark.parametrize(("text", "sign_id"), AFFIRMED)
def test_a_sign_that_is_there_is_affirmed(text, sign_id):
    assert Status.AFFIRMED in statuses(text, sign_id)


@pytest.mark.parametrize(("text", "sign_id"), DENIED)
def test_a_sign_that_is_denied_is_not_affirmed(text, sign_id):
    assert statuses(text, sign_id) == {Status.DENIED}


@pytest.mark.parametrize(("text", "sign_id"), NOT_NOW)
def test_a_sign_that_is_not_now_or_not_said_to_be_there_is_not_affirmed(text, sign_id):
    found = statuses(text, sign_id)
    assert found and Status.AFFIRMED not in found


@pytest.mark.parametrize(
    "text",
    [
        "怕晕倒不敢出门",
        "担心会晕倒",
        "害怕自己突然晕倒",
        "afraid of fainting",
        "worried I might pass out",
        "scared that I will faint",
    ],
)
def test_fear_of_fainting_is_no_fainting(text):
    assert Status.AFFIRMED not in statuses(text, "faint")


@pytest.mark.parametrize(
    "text",
    [
        "他怕是晕倒了",
        "我怕我妈晕倒了，她躺在地上",
        "worried because she fainted",
        "要晕倒了，胸口痛",
        "差点晕倒",
        "afraid, and then I fainted",
    ],
)
def test_what_happened_or_is_about_to_happen_is_more_than_fear(text):
    assert Status.AFFIRMED in statuses(text, "faint")


@pytest.mark.parametrize(
    "text", ["a collapsed lung on the x-ray", "his lung collapsed", "the vein has collapsed", "椎体塌陷"]
)
def test_a_part_of_the_body_that_collapsed_is_no_fainting(text):
    assert not statuses(text, "faint")


@pytest.mark.parametrize(
    "text", ["she collapsed in the shop", "a collapsed lung, then he collapsed", "asthma in my lungs and I collapsed"]
)
def test_a_person_who_collapsed_fainted(text):
    assert Status.AFFIRMED in statuses(text, "faint")


@pytest.mark.parametrize(
    ("text", "tiny"),
    [
        ("血小板12，没有出血", True),
        ("体检血小板12", True),
        ("血小板降到20", True),
        ("血小板120，没有出血", False),
        ("血小板降到120", False),
        ("血小板只有12万", False),
        ("血小板125", False),
    ],
)
def test_a_number_is_read_whole(text, tiny):
    assert bool(statuses(text, "tt_platelets_tiny")) is tiny
