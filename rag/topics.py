"""What a question asks about: which sections of a guide answer it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from knowledge.records import Language
from rag.wording import normalise


@dataclass(frozen=True)
class Aspect:
    """A thing asked for. told: by what a sentence that tells it is known; sections: of a guide, where it is told."""

    told: re.Pattern[str]
    sections: frozenset[str]


# section of a guide -> how patients ask for it
_ASKED: dict[str, dict[Language, str]] = {
    "causes": {"zh": "为什么|为啥|原因|怎么引起|怎么会|怎么得|咋得|什么引起|遗传|传染|跟.{1,8}有关", "en": r"\bwhy\b|\bcauses?\b|\bcaused\b|\bcontagious\b|\bcatch\b|\bhereditary\b|\bgenetic\b|\binherit\w*|\bruns? in\b|\brisk\b"},
    "danger": {"zh": "严重|危险|要紧|要不要命|会死|急诊|什么时候.{0,4}(?:去|上)医院|要不要(?:去|上)医院|用不用(?:去|上)医院|要去医院吗|(?:用|要)(?:不(?:用|要))?(?:去)?看(?:医生|大夫)|要不要(?:去)?看|该不该(?:去)?看", "en": r"\bserious\b|\bbad for\b|\bdangerous\b|\bemergency\b|\bworr(?:y|ied)\b|\bwhen should\b|\blook(?:ed)? at\b|\bsee (?:a|the|my) doctor\b|\bget (?:it |this |them )?checked\b|\bneed (?:a|to see a) doctor\b|\bgo to (?:the )?hospital\b|\bwarning signs?\b|\bharmful\b|\blife.?threatening\b"},
    "department": {"zh": "挂(?:什么|哪个|哪|啥)(?:科|号)?|(?:看|去|找)(?:什么|哪个|哪|啥)科|什么科|哪个科|挂号", "en": r"\bwhich (?:department|doctor|clinic|specialist)\b|\bwhat (?:department|kind of doctor|doctor|specialist)\b|\bwho (?:should|do) i see\b|\bwhere (?:should|do) i go\b"},
    "doctor": {"zh": "检查|化验|抽血|拍片|ct|核磁|b超|彩超|胃镜|肠镜|穿刺|诊断|确诊|查什么|怎么查", "en": r"\btests?\b|\bscans?\b|\bx.?rays?\b|\bblood test\b|\bdiagnos\w*|\bexamin\w*|\bbiops\w*|\bultrasound\b|\bmri\b"},
    "treatment": {"zh": "怎么治|治疗|手术|开刀|治好|治愈|根治|断根|吃什么药|用什么药|用药|打针|疗程|能好[吗不]|会好吗|自己好|能治|治不治|多久能好|多久好|几天能?好|多长时间", "en": r"\btreat\w*|\bsurgery\b|\boperat\w*|\bcured?\b|\bmedicines?\b|\bmedications?|\bhow long\b|\bgo away\b|\bheal\w*|\brecover|\btherapy\b|\bantibiotics?\b"},
    "self_care": {"zh": "怎么办|咋办|咋弄|怎么处理|怎么调|调理|保养|当心什么|吃什么|吃啥|咋吃|能吃|能不能吃|可以吃|忌口|饮食|食物|喝|注意(?:什么|啥|哪|点啥|些)|注意事项|护理|运动|锻炼|在家|缓解|洗澡|睡|上班|上学|坐飞机|热敷|冷敷", "en": r"\bwhat (?:can|should|do) i do\b|\bwhat to do\b|\blook(?:ing)? after\b|\btake care of\b|\bcare for\b|\blive with\b|\beat\b|\bdiet\b|\bfoods?\b|\bdrink\b|\bexercises?\b|\bat home\b|\brelie\w*|\bhelps?\b|\blower\b|\breduce\b|\bbring down\b|\bshower\b|\bbath|\bsleep\b|\bwork\b|\bschool\b|\bfly\b|\bswim"},
    "prevention": {"zh": "预防|避免|改造|防滑|防摔|复发|再犯|复查|随访|多久查|隔多久|怎么防|打疫苗", "en": r"\bprevent\w*|\bavoid (?:getting|catching|it|another)\b|\bsafer?\b|\bcom(?:e|es|ing) back\b|\brecur\w*|\bfollow.?up\b|\bagain\b|\bhow often\b|\bcheck.?ups?\b|\bvaccin"},
    "what": {"zh": "是什么|是啥|什么意思|啥意思|什么病|是不是病|怎么回事|咋回事|正常吗|正常不", "en": r"\bwhat (?:is|are|does)\b|\bwhat's\b|\bmean\b|\bnormal\b"},
}  # fmt: skip
_TOPICS = {
    (section, language): re.compile(pattern, re.IGNORECASE)
    for section, words in _ASKED.items()
    for language, pattern in words.items()
}
# what a question asks for more nearly -> how it asks, and by what a sentence that tells it is known
_ASPECTS: dict[str, dict[Language, tuple[str, str]]] = {
    "diet": {
        "zh": (r"吃|喝|饮食|食物|忌口|发物|营养|食谱|水果|咸菜|鸡蛋|牛奶", r"吃|喝|饮食|食物|盐|油腻|甜|菜|肉|奶|水果|酒|咖啡|茶|粥|蛋|豆|粗粮|忌"),
        "en": (r"\b(?:eat\w*|diet|foods?|drink\w*|meals?|avoid)\b", r"\b(?:eat\w*|diet|foods?|drink\w*|meals?|salt|sugar\w*|fat\w*|alcohol|coffee|fruit|vegetables|fibre|fiber|beer|spirits|meat|milk)\b"),
    },
    "exercise": {
        "zh": (r"运动|锻炼|跑步|散步|走路|跳舞|广场舞|爬山|爬楼|游泳|打球|干活|怎么练|活动", r"运动|锻炼|跑|快走|散步|走路|爬|游泳|活动|练习|练|太极|干活|重物"),
        "en": (r"\b(?:exercis\w*|walk\w*|run(?:ning)?|swim\w*|gym|sports?|danc\w*|stretch\w*|lift\w*)\b", r"\b(?:exercis\w*|walk\w*|run(?:ning)?|swim\w*|sports?|train\w*|stretch\w*|lift\w*|active|activity|move\w*)\b"),
    },
    "sleep": {
        "zh": (r"睡|枕头|床垫|硬板床|躺", r"睡|枕|床|躺|卧"),
        "en": (r"\b(?:sleep\w*|bed|pillow|mattress|lie|lying)\b", r"\b(?:sleep\w*|bed\w*|pillow|mattress|lie|lying|night)\b"),
    },
    "washing": {"zh": (r"洗澡|洗头|泡澡|泡脚|沾水|碰水|洗", r"洗|泡|沐浴|水温|浴"), "en": (r"\b(?:bath\w*|shower\w*|wash\w*)\b", r"\b(?:bath\w*|shower\w*|wash\w*|soap)\b")},
    "warmth": {"zh": (r"热敷|冷敷|冰敷|冰袋|热水袋", r"热敷|冷敷|冰|敷"), "en": (r"\b(?:ice|heat|warm|cold pack|cool)\b", r"\b(?:ice|heat|warm\w*|cool\w*|cold)\b")},
    "school_and_work": {"zh": (r"上班|上学|幼儿园|隔离|开车|坐飞机|出门|旅游", r"上班|上学|幼儿园|隔离|开车|飞机|出门|旅|学校|返"), "en": (r"\b(?:work|school|nursery|drive|driving|fly|flying|travel\w*)\b", r"\b(?:work\w*|school|nursery|driv\w*|fly\w*|flight|travel\w*|home until)\b")},
    "catching": {"zh": (r"传染|传给|传人|过给|染上", r"传染|传给|传播|接触|分餐|共用"), "en": (r"\b(?:contagious|catch\w*|infectious|spread|pass(?:ed)? on|give it to)\b", r"\b(?:contagious|catch\w*|infectious|spread\w*|pass\w*|infect\w*|shar\w*)\b")},
    "family": {"zh": (r"遗传|祖传|家里人", r"遗传|家族|子女|亲属"), "en": (r"\b(?:hereditary|genetic|inherit\w*|in (?:the|my|our) family|runs? in)\b", r"\b(?:hereditary|genetic|inherit\w*|famil\w*|gene|parents?|relatives?)\b")},
    "operation": {"zh": (r"手术|开刀|做掉|切掉|切除|激光", r"手术|开刀|切除|激光|微创"), "en": (r"\b(?:surgery|operat\w*|laser|removed?)\b", r"\b(?:surgery|surgical|operat\w*|laser|remov\w*)\b")},
    "course": {"zh": (r"多久|几天|多长时间|啥时候能|什么时候能|自己好|自愈|能好|会好", r"\d\s*(?:天|周|个月|年|小时)[^，。]{0,8}(?:好|愈|退|消|恢复|缓解|减轻|结束|停|脱落|结痂|内)|(?:大多|多数|一般|常)[^，。]{0,12}\d\s*(?:天|周|个月|年)|自己(?:好|消|愈|退)|自愈|慢慢好转"), "en": (r"\b(?:how long|go away|by itself|on its own|last|heal\w*|recover\w*)\b", r"\b(?:lasts?|goes? away|go away|eases?|better|heals?|clears?|recover\w*|improves?)\b[^.;]{0,40}\d|\d[^.;]{0,40}\b(?:lasts?|away|eases?|better|heals?|clears?|recover\w*|improves?)\b|\bby itself\b|\bon (?:its|their) own\b")},
    "cure": {"zh": (r"治好|治愈|根治|断根|能治|好得了", r"治愈|治好|根治|好转|消失|控制|断根|恢复|复发"), "en": (r"\b(?:cured?|get rid)\b", r"\b(?:cur\w*|clear\w*|controll\w*|better|disappear\w*|recover\w*|heal\w*)\b")},
    "return": {"zh": (r"复发|再犯|又犯|反复|再得|再长", r"复发|再|又|反复|多次"), "en": (r"\b(?:come back|comes back|coming back|recur\w*|return|again)\b", r"\b(?:come\w* back|recur\w*|return\w*|again|prevent\w*)\b")},
    "vaccine": {"zh": (r"疫苗|打针预防", r"疫苗|接种"), "en": (r"\b(?:vaccin\w*|jabs?|shots?)\b", r"\b(?:vaccin\w*|jabs?|shots?)\b")},
}  # fmt: skip
_ASPECT_SECTIONS: dict[str, tuple[str, ...]] = {
    "catching": ("what", "causes", "self_care", "prevention"),
    "family": ("what", "causes", "prevention"),
    "course": ("what", "described", "treatment"),
    "cure": ("what", "treatment"),
    "return": ("what", "treatment", "prevention"),
    "operation": ("treatment",),
    "vaccine": ("prevention",),
}
_ASPECT_WORDS = {
    (name, language): (re.compile(asked), re.compile(told))
    for name, words in _ASPECTS.items()
    for language, (asked, told) in words.items()
}
# how a question is put and who puts it, apart from what it is about
_PUTTING: dict[Language, re.Pattern[str]] = {
    "zh": re.compile(
        r"请问|想问一?下?|问一?下|咨询一?下|医生|大夫|你们?好|您好|帮忙|谢谢|日常生活|生活中|平时|平常|日常|"
        r"需不需要|应该|应当|需要|注意|事项|方面|哪些|什么|怎么回事|怎么办|怎么样|怎么|怎样|如何|咋办|咋样|咋弄|咋|啥|为何|多久|多长时间|几天|"
        r"能不能|可不可以|可以|会不会|要不要|用不用|是不是|有没有|该不该|能否|是否|好不好|行不行|要紧不|要不要紧|吗|呢|吧|啊|呀|嘛|么|的话|管不管用|"
        r"办法|情况|时候|有点|一点|老是|总是|经常|一直|最近|现在|这个|那个|这种|那种|这样|还能|还要|还会|才能|比较|合适|到底|得了|患者|病人|的人|"
        r"我老伴|老伴|老婆|老公|我妈妈?|我爸爸?|妈妈|爸爸|老爷子|老头子|老太太|我娘|俺娘|俺爹|我们|他们|我|你|他|她|它|俺|咱|人|的|了|得|是|有|就|都|也|还|和|跟|很|太|好|去|要|会|能|做|治|好"
    ),
    "en": re.compile(
        r"\b(?:hi|hello|please|doctor|doctors|dr|thanks?|thank you|tell me|know|want|would like|like|need|ought|might|may|must|"
        r"what|which|who|when|where|why|how|long|often|much|many|is there|are there|anything|something|things?|ways?|best|good|bad|better|really|sort|kind|"
        r"do|does|did|done|doing|can|could|should|will|would|have|has|having|get|gets|getting|got|go|going|make|makes|take|see|look|after|use|"
        r"people|person|someone|patients?|mum|mom|mother|dad|father|husband|wife|me|my|mine|i|you|we|our|us|he|she|his|her|him|they|them|their|"
        r"day|days|week|weeks|month|months|year|years|now|time|still|always|every|also|only|or|because|since|while|without|up|out|down|off|over|again|back to|"
        r"sign|symptoms?|help|helps|treat\w*|tests?|caus\w*|prevent\w*|avoid|diagnos\w*|happen\w*|mean\w*|signs)\b"
    ),
}  # fmt: skip
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


def aspects_of(question: str, language: Language) -> tuple[Aspect, ...]:
    """What a question asks for more nearly: diet, exercise, whether it is catching ..."""
    plain = normalise(question)
    return tuple(
        Aspect(told, frozenset((*_ASPECT_SECTIONS.get(name, ("self_care",)), "questions")))
        for (name, spoken), (asked, told) in _ASPECT_WORDS.items()
        if spoken == language and asked.search(plain)
    )


def content_of(question: str, language: Language) -> str:
    """What a question is about: its text, normalised, without the words by which it is put."""
    plain = normalise(question)
    for section in _ASKED:
        plain = _TOPICS[section, language].sub(" ", plain)
    for name in _ASPECTS:
        plain = (
            _ASPECT_WORDS[name, language][0].sub(" ", plain)
            if name in ("course", "cure", "catching", "family")
            else plain
        )
    return " ".join(_PUTTING[language].sub(" ", plain).split())
