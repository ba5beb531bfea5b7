"""The one definition of urgency, used by rules, models, evaluation and screens alike."""

from __future__ import annotations

from enum import IntEnum

from knowledge.records import Bilingual, Language


class UrgencyLevel(IntEnum):
    """How soon a patient must be seen; larger is more urgent, so `max()` is the safety rule.

    I-IV are the four levels of Chinese emergency pre-triage (2018 expert consensus,
    中华急诊医学杂志 27(6):599; WS/T 390-2012); HOME is below them: self-care, with what to watch for.
    """

    HOME = 0
    IV = 1
    III = 2
    II = 3
    I = 4

    @property
    def label(self) -> str:
        """`I`, `II`, `III`, `IV` or `home`: the form written in files and JSON."""
        return "home" if self is UrgencyLevel.HOME else self.name

    @property
    def evaluation_group(self) -> str:
        """emergency (I, II), urgent (III), routine (IV) or home."""
        return _EVALUATION_GROUP[self]

    def title(self, language: Language) -> str:
        """The level's short name for a banner."""
        return _TITLE[self].in_language(language)

    def instruction(self, language: Language) -> str:
        """What the patient is told to do, in one sentence."""
        return _INSTRUCTION[self].in_language(language)

    @classmethod
    def from_label(cls, label: str) -> UrgencyLevel:
        """The level written as `label`; raises ValueError for any other word."""
        for level in cls:
            if level.label == label:
                return level
        raise ValueError(f"{label!r} is no urgency level; known: {', '.join(level.label for level in cls)}")


_EVALUATION_GROUP = {
    UrgencyLevel.I: "emergency",
    UrgencyLevel.II: "emergency",
    UrgencyLevel.III: "urgent",
    UrgencyLevel.IV: "routine",
    UrgencyLevel.HOME: "home",
}

_TITLE = {
    UrgencyLevel.I: Bilingual(zh="濒危：立即拨打120", en="Life-threatening: call 120 now"),
    UrgencyLevel.II: Bilingual(zh="危重：马上去急诊", en="Critical: go to the emergency department now"),
    UrgencyLevel.III: Bilingual(zh="急症：今天就诊", en="Urgent: be seen today"),
    UrgencyLevel.IV: Bilingual(zh="非急症：近几天看门诊", en="Not urgent: see a clinic within days"),
    UrgencyLevel.HOME: Bilingual(zh="可先居家观察", en="Self-care at home, and watch"),
}

_INSTRUCTION = {
    UrgencyLevel.I: Bilingual(
        zh="请立即拨打120，不要自己开车，身边要一直有人。",
        en="Call 120 now. Do not drive yourself, and do not stay alone.",
    ),
    UrgencyLevel.II: Bilingual(
        zh="请现在就去最近医院的急诊科，不要等门诊；去不了就拨打120。",
        en="Go to the nearest emergency department now, not to a clinic; if you cannot get there, call 120.",
    ),
    UrgencyLevel.III: Bilingual(
        zh="请今天就去看急诊或门诊，不要拖到明天；加重了就马上去急诊。",
        en="Be seen today, at an emergency department or a clinic; if it gets worse, go to the emergency department at once.",
    ),
    UrgencyLevel.IV: Bilingual(
        zh="目前没有看到需要急诊的信号，请在近几天内去门诊；加重或出现新的症状就提前去。",
        en="Nothing you wrote calls for the emergency department. See a clinic within days; go sooner if it gets worse or something new appears.",
    ),
    UrgencyLevel.HOME: Bilingual(
        zh="可以先在家休息观察；没有好转、加重或出现新的症状，就去看医生。",
        en="You can rest and watch at home first; see a doctor if it does not improve, gets worse, or something new appears.",
    ),
}
