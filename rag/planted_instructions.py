"""Phrases that give orders to a program, not to a reader: planted in documents, or typed to steer the assistant.

Passages are data wherever they are used: no rule of triage reads them and every quotation is checked. This is the
second line of defence, against texts made to steer a language model (OWASP Top 10 for LLM applications, prompt injection).
"""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad\U000e0020-\U000e007f]")
_PHRASES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,30}\b(?:previous|prior|above|earlier|preceding|all|any|your|system)\b[^.\n]{0,30}\b(?:instructions?|prompts?|rules?|directions?|guidelines given|messages?|context)\b",
        r"\byou are now\b[^.\n]{0,20}\b(?:an? (?:\w+ ){0,3}(?:assistant|ai|model|chatbot|bot|agent|doctor|physician|expert|hacker)|in \w+ mode|dan\b|unrestricted|jailbroken|free from)",
        r"\b(?:act|pretend|behave|respond) as (?:if you (?:are|were) )?(?:an? )?(?:\w+ ){0,2}(?:ai|assistant|language model|chatbot|dan)\b",
        r"\b(?:reveal|print|repeat|show|output|leak)\b[^.\n]{0,20}\b(?:system prompt|hidden prompt|initial instructions|your instructions)",
        r"\b(?:new|updated|real) (?:system )?(?:instructions?|prompt)\s*:",
        r"\b(?:do not|don't|never) (?:tell|inform|mention)\b[^.\n]{0,20}\b(?:the user|the patient|anyone)\b[^.\n]{0,30}\b(?:instruction|prompt|this message)",
        r"<\|(?:im_start|im_end|system|endoftext|user|assistant)\|>|\[/?INST\]|<<\s*/?SYS\s*>>|(?:^|\n)\s*#{2,}\s*(?:system|instruction)s?\s*:?\s*(?:\n|$)",
        r"(?:忽略|无视|忘记|忘掉|不要理会|不要理睬|跳过|绕过|抛开|推翻)[^。\n]{0,12}?(?:以上|上述|之前|前面|先前|此前|上面|所有|全部|一切|你的|系统)[^。\n]{0,10}?(?:指令|指示|提示词?|命令|规则|设定|要求|对话|约束|限制)",
        r"(?:忽略|無視|忘記)[^。\n]{0,12}?(?:以上|上述|之前|先前|所有|系統)[^。\n]{0,10}?(?:指令|指示|提示詞?|命令|規則|設定|要求)",
        r"(?:从现在(?:开始|起)|现在起|接下来|现在)[^。\n]{0,4}?你(?:就)?(?:是|扮演|将扮演|不再是|必须(?:回答|输出|回复|只))[^。\n]{0,12}?(?:助手|模型|机器人|医生|专家|角色|人工智能|AI|没有限制|不受限制)",
        r"你(?:现在|将)(?:是|扮演)[^。\n]{0,12}?(?:助手|模型|机器人|人工智能|AI|不受(?:任何)?限制)",
        r"系统提示(?:词|语)?\s*[：:]|系统(?:指令|消息)\s*[：:]|(?:输出|泄露|透露|重复|显示)[^。\n]{0,10}?(?:系统提示|提示词|初始指令)",
        r"(?:不要|不得|切勿|禁止)(?:告诉|告知|提醒)(?:用户|患者|病人)[^。\n]{0,15}?(?:指令|提示|这段|本段|此段)",
    )
)


def instructions_in(text: str) -> str | None:
    """The first phrase that gives orders to a program, at most 60 characters of it; None where there is none."""
    plain = unicodedata.normalize("NFKC", _UNSEEN.sub("", text))
    for pattern in _PHRASES:
        if found := pattern.search(plain):
            return " ".join(found[0].split())[:60]
    return None
