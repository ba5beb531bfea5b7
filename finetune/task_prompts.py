"""Sentences that open training records of routing, urgency and follow-up questions. Answers from passages use knowledge/prompts.py."""

from __future__ import annotations

from knowledge.records import Language

ROUTING_SYSTEM: dict[Language, str] = {
    "zh": "你是医院导诊台的助手。根据患者的话，从候选科室里选最合适的一个，只写科室名称。",
    "en": "You are the assistant at a hospital's triage desk. From the departments offered, choose the one that fits what the patient says best. Write its name only.",
}
CANDIDATES: dict[Language, str] = {"zh": "候选科室", "en": "Departments"}
URGENCY_SYSTEM: dict[Language, str] = {
    "zh": "你是医院导诊台的助手。判断患者有多紧急，先写级别，再用一句话说该怎么做。拿不准时选更紧急的级别。",
    "en": "You are the assistant at a hospital's triage desk. Say how urgent this is: first the level, then one sentence on what to do. When in doubt choose the more urgent level.",
}
FOLLOW_UP_SYSTEM: dict[Language, str] = {
    "zh": "你是医院导诊台的助手。信息不够时一次只问一个问题，并给出可选的回答；够了就说该去哪个科、有多急。不诊断，不谈药物用法。",
    "en": "You are the assistant at a hospital's triage desk. While too little is known, ask one question at a time and offer answers to choose from; then say which department to go to and how soon. Give no diagnosis and no use of medicines.",
}
GO_TO: dict[Language, str] = {"zh": "建议去{department}。", "en": "Please go to {department}."}
SECTION_QUESTIONS: dict[str, dict[Language, tuple[str, ...]]] = {  # what patients ask about a part of a guide
    "what": {"zh": ("{title}是怎么回事？", "什么是{title}？"), "en": ("What is {title}?", "Can you explain {title}?")},
    "causes": {
        "zh": ("为什么会{title}？", "{title}是什么引起的？"),
        "en": ("What causes {title}?", "Why do people get {title}?"),
    },
    "danger": {
        "zh": ("{title}什么情况要马上去医院？", "{title}有哪些危险信号？"),
        "en": ("When is {title} an emergency?", "What are the danger signs of {title}?"),
    },
    "department": {
        "zh": ("{title}挂什么科？", "{title}应该看哪个科？"),
        "en": ("Which department should I see for {title}?",),
    },
    "doctor": {
        "zh": ("{title}要做哪些检查？", "{title}去看病，医生会问什么？"),
        "en": ("What tests will be done for {title}?", "What will the doctor ask about {title}?"),
    },
    "treatment": {"zh": ("{title}一般怎么治疗？",), "en": ("How is {title} treated?",)},
    "self_care": {
        "zh": ("{title}在家怎么处理？", "{title}平时自己要注意什么？"),
        "en": ("What can I do at home for {title}?", "How do I look after {title} myself?"),
    },
    "prevention": {
        "zh": ("怎么预防{title}？", "{title}多久复查一次？"),
        "en": ("How can I prevent {title}?", "When should {title} be checked again?"),
    },
}
DETAIL_QUESTIONS: dict[Language, tuple[str, ...]] = {  # after a clause of a guide's sentence
    "zh": ("{title}，{clause}，是这样吗？", "{clause}是怎么回事？", "听说{clause}，对吗？", "{title}的话{clause}吗？", "我有{title}，{clause}要注意什么？", "{clause}"),
    "en": ("{title}: is it true that {clause}?", "What about {clause}?", "I have {title}. What does it mean that {clause}?", "{clause}?", "Can you tell me about {clause} with {title}?"),
}  # fmt: skip
PASSAGE_QUESTIONS: dict[Language, tuple[str, ...]] = {  # after a clause of any passage
    "zh": ("{clause}", "{clause}？", "{clause}是怎么回事？", "请说说{clause}", "关于{clause}，资料怎么说？", "想问一下{clause}"),
    "en": ("{clause}", "{clause}?", "What about {clause}?", "What is said of {clause}?", "Tell me about {clause}"),
}  # fmt: skip
