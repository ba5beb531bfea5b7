"""What a question asks about: which sections of a guide answer it."""

from __future__ import annotations

import re

from knowledge.records import Language
from rag.wording import normalise

# section of a guide -> how patients ask for it
_ASKED: dict[str, dict[Language, str]] = {
    "causes": {"zh": "为什么|为啥|原因|怎么引起|怎么会|怎么得|咋得|什么引起|遗传|传染|跟.{1,8}有关", "en": r"\bwhy\b|\bcauses?\b|\bcaused\b|\bcontagious\b|\bcatch\b|\bhereditary\b|\bgenetic\b|\binherit|\bruns? in\b|\brisk\b"},
    "danger": {"zh": "严重|危险|要紧|要不要命|会死|急诊|什么时候.{0,4}(?:去|上)医院|要不要(?:去|上)医院|用不用(?:去|上)医院|要去医院吗", "en": r"\bserious\b|\bdangerous\b|\bemergency\b|\bworr(?:y|ied)\b|\bwhen should\b|\bwarning signs?\b|\bharmful\b|\blife.?threatening\b"},
    "department": {"zh": "挂(?:什么|哪个|哪|啥)|(?:看|去|找)(?:什么|哪个|哪|啥)科|什么科|哪个科|挂号", "en": r"\bwhich (?:department|doctor|clinic|specialist)\b|\bwhat (?:department|kind of doctor|doctor|specialist)\b|\bwho (?:should|do) i see\b|\bwhere (?:should|do) i go\b"},
    "doctor": {"zh": "检查|化验|抽血|拍片|ct|核磁|b超|彩超|胃镜|肠镜|穿刺|诊断|确诊|查什么|怎么查", "en": r"\btests?\b|\bscans?\b|\bx.?rays?\b|\bblood test\b|\bdiagnos|\bexamin|\bbiops|\bultrasound\b|\bmri\b"},
    "treatment": {"zh": "怎么治|治疗|手术|开刀|治好|治愈|根治|断根|吃什么药|用什么药|用药|打针|疗程|能好吗|多久能好|多久好", "en": r"\btreat|\bsurgery\b|\boperat|\bcured?\b|\bmedicines?\b|\bmedication|\bhow long\b|\brecover|\btherapy\b|\bantibiotics?\b"},
    "self_care": {"zh": "怎么办|咋办|怎么处理|吃什么|能吃|能不能吃|可以吃|忌口|饮食|食物|喝|注意什么|护理|运动|锻炼|在家|缓解|洗澡|睡|上班|上学|坐飞机|热敷|冷敷", "en": r"\bwhat (?:can|should|do) i do\b|\beat\b|\bdiet\b|\bfood|\bdrink\b|\bexercise\b|\bat home\b|\brelie|\bhelp\b|\bshower\b|\bbath|\bsleep\b|\bwork\b|\bschool\b|\bfly\b|\bswim"},
    "prevention": {"zh": "预防|避免|复发|再犯|复查|随访|多久查|隔多久|怎么防|打疫苗", "en": r"\bprevent|\bavoid\b|\bcome back\b|\brecur|\bfollow.?up\b|\bagain\b|\bhow often\b|\bcheck.?ups?\b|\bvaccin"},
    "what": {"zh": "是什么|什么意思|啥意思|什么病|是不是病|怎么回事|咋回事|正常吗|正常不", "en": r"\bwhat (?:is|are|does)\b|\bwhat's\b|\bmean\b|\bnormal\b"},
}  # fmt: skip
_TOPICS = {
    (section, language): re.compile(pattern, re.IGNORECASE)
    for section, words in _ASKED.items()
    for language, pattern in words.items()
}
_QUESTION = re.compile(
    r"[?？]|吗|呢|么$|怎么|怎样|咋|什么|啥|哪|多久|多长|几天|能不能|可不可以|会不会|要不要|是不是|有没有|需不需要|用不用|为何|为啥"
    r"|\b(?:what|why|how|when|which|who|where|can|could|should|is|are|do|does|will|would)\b (?:i|it|the|my|this|that|you|he|she|they|we|there|a|an|\w+)\b"
)


def topics_of(question: str, language: Language) -> tuple[str, ...]:
    """The sections of a guide the question asks for, likeliest first; none where it only describes."""
    plain = normalise(question)
    return tuple(section for section in _ASKED if _TOPICS[section, language].search(plain))


def asks(question: str) -> bool:
    """Whether the text asks something; a mere description of symptoms does not."""
    return bool(_QUESTION.search(normalise(question)))
