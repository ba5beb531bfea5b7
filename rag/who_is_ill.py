"""Whom a message is about: the patient spoken of so far, one spoken of before, or another.

A new patient begins only where the words plainly change who is ill; otherwise what is said is added to what was said,
because two halves of one emergency told apart would be missed.
"""

from __future__ import annotations

import re
from dataclasses import replace

from knowledge.conversation import SELF, Conversation, Episode
from knowledge.records import Language
from rag.patient import RELATIONS, relation_of
from rag.red_flag_matcher import Findings

NAMES: dict[str, tuple[str, str]] = {
    SELF: ("本人", "you"),
    "newborn": ("新生儿", "the newborn"),
    "baby": ("宝宝", "the baby"),
    "toddler": ("幼儿", "the toddler"),
    "grandmother": ("奶奶或外婆", "the grandmother"),
    "grandfather": ("爷爷或外公", "the grandfather"),
    "mother": ("母亲", "the mother"),
    "father": ("父亲", "the father"),
    "wife": ("妻子", "the wife"),
    "husband": ("丈夫", "the husband"),
    "grandson": ("孙子", "the grandson"),
    "granddaughter": ("孙女", "the granddaughter"),
    "son": ("儿子", "the son"),
    "daughter": ("女儿", "the daughter"),
    "child": ("孩子", "the child"),
    "elder": ("老人", "the old person"),
    "sibling": ("兄弟姐妹", "the brother or sister"),
    "friend": ("朋友", "the friend"),
}
# words that may name the same person
_SAME_PERSON = (
    frozenset({"newborn", "baby", "toddler", "child", "son"}),
    frozenset({"newborn", "baby", "toddler", "child", "daughter"}),
    frozenset({"newborn", "baby", "toddler", "child", "grandson"}),
    frozenset({"newborn", "baby", "toddler", "child", "granddaughter"}),
    frozenset({"elder", "grandmother"}),
    frozenset({"elder", "grandfather"}),
    frozenset({"elder", "mother"}),
    frozenset({"elder", "father"}),
)
_ASKS_AFTER = re.compile(
    r"呢[?？。!！~]*\s*$|^\s*(?:那|那么|还有|另外|换成|再问(?:一下|下|个)?)|也(?!许|想|要问|不知|没关系)"
    r"|\b(?:what|how) about\b|^\s*(?:and|now) (?:my|our|the)\b|\bas for\b|\btoo\b|\balso\b|\bas well\b"
)
_BACK_TO_SELF = re.compile(
    r"(?:那|那么)?我(?:自己|本人)?呢|我自己|(?:说|问|看)(?:一下|下)?我自己|轮到我|我也(?!不|没|许|想问|想知道|觉得|认为|担心)"
    r"|\b(?:what|how) about me\b|\bas for me\b|\bmyself\b|\bi also (?:have|feel|get|got)\b|\bme too\b"
)
_WRITER_TELLS = re.compile(
    r"(?:^|[，,。；;\n])\s*我(?:今天|昨天|最近|现在|一直|也|这几天|从|昨晚|已经)*(?!家|妈|爸|爷|奶|老|儿|女|孩|娃|的|们|想问|带|陪)"
    r"|\b(?:i have|i feel|i am having|my (?:head|stomach|chest|back|knee|throat|ear|eye|leg|arm|foot|skin|nose|tooth|neck))\b"
)


def name_of(who: str, language: Language) -> str:
    """The patient as spoken of in a card or a note."""
    zh, en = NAMES.get(who, NAMES[SELF])
    return zh if language == "zh" else en


def may_be_one_person(one: str, other: str) -> bool:
    """Whether two relations can name the same patient."""
    return one == other or any({one, other} <= people for people in _SAME_PERSON)


def turned_to(conversation: Conversation, alone: Findings) -> Conversation:
    """The conversation with the episode current that a message is about; a new one where it names another patient.

    alone: what the rules read out of the message by itself.
    """
    episode = conversation.episode
    if not episode.turns:
        return conversation.with_episode(_named(episode, alone))
    who = _named_in(alone, episode)
    if who is None or (episode.is_named and may_be_one_person(episode.who, who)):
        return conversation.with_episode(replace(episode, who=who if who and who != SELF else episode.who))
    asks_after = bool(_ASKS_AFTER.search(alone.text))
    if not episode.is_named and not asks_after:
        return conversation.with_episode(replace(episode, who=who, is_named=True))
    for place, other in enumerate(conversation.episodes):
        if place != conversation.current and may_be_one_person(other.who, who):
            return replace(conversation, current=place, pending=None)
    begun = (*conversation.episodes, Episode(who=who, is_named=True))
    return replace(conversation, episodes=begun, current=len(begun) - 1, pending=None)


def _named(episode: Episode, alone: Findings) -> Episode:
    relation = alone.patient.relation
    writer_tells = relation == SELF and bool(_WRITER_TELLS.search(alone.text))
    return replace(episode, who=relation, is_named=relation != SELF or writer_tells)


def _named_in(alone: Findings, episode: Episode) -> str | None:
    """Whom a later message says is ill; None where it names nobody, or somebody only in passing."""
    tells = bool(alone.mentions or alone.vitals)
    relation = relation_of(alone.text)
    if relation != SELF:
        return relation if tells or (_ASKS_AFTER.search(alone.text) and relation in RELATIONS) else None
    if episode.who == SELF:
        return None
    back = _BACK_TO_SELF.search(alone.text)
    return SELF if back and (tells or back[0].endswith(("呢", "me"))) else None
