"""The words that govern a sign: what denies it, makes it a condition, a fear, a question, somebody else's or past, and what may stand between."""

from __future__ import annotations

import re

TURN = re.compile(
    r"但是|但|不过|可是|却|只是|就是|然而|而是|反而|后来|结果|现在|\bbut\b|\bhowever\b|\bthough\b|\bexcept\b|\byet\b|\bonly\b|\bjust\b|\bnow\b"
)
DENIAL = re.compile(
    r"(?P<zh>没有|没得|没|無|无|未|不|否认|并无|从没|从未|毫无|不伴|不伴有|未见|不存在|排除|冇|唔|莫得)"
    r"|(?P<en>\b(?:no|not|without|never|deny|denies|denied|denying|nor|neither|none|negative for|free of|free from|absence of|no longer)\b)"
)
DENIAL_FILLERS_ZH = re.compile(
    r"有|想过|说过|提过|出现|感到|感觉|感|觉得|觉|任何|明显的?|什么|过|再|太|很|特别|发生|伴有|伴|合并|的|症状|一点|那种|其他|其它|继续|发现|见|到|突然|剧烈|"
    r"严重|又|也|都|会|是|出|啥|哪里?|任何的|怎么|显著|大|发|患|得|啊|呢|自觉|主观|上述|以上|这些|这种|情况|现象|之类|等"
)
DENIAL_FILLERS_EN = re.compile(
    r"\b(?:any|a|an|the|much|of|sign|signs|have|has|having|had|got|get|getting|feel|feels|feeling|felt|been|experience|experienced|experiencing|"
    r"thoughts?|plans?|ideas?|thinking|intention|about|really|my|his|her|their|some|other|real|obvious|significant|single|bit|new|kind|symptom|symptoms|like|as|to|it|is|be|there|currently|also|"
    r"he|she|they|i|you|we|notice|noticed|noticing|seen|seeing|with|yet|severe|actual|associated|either|in|at|all)\b"
)
LIST_MARKS = re.compile(r"[、/和及与或跟]|或者|以及|还是|,|\band\b|\bor\b|\bnor\b|\s|[()（）\"'“”]")
ENGLISH_LIST = re.compile(r"\bor\b|\bnor\b")
DENIAL_DENIED = re.compile(r"(?:不是|并非|不能说|难免|不得|是否|\bwhether or|\bif|\bor)\s*$")
NEVER_LIKE_THIS = re.compile(
    r"^[^.。！!?？\n]{0,30}\b(?:like this|this bad|so bad|as bad|this severe|before in my life|like it)\b"
)
DENIED_AFTER = re.compile(
    r"^(?:的?(?:症状|情况|感觉|现象))?(?:倒|倒是|都|也|是|现在|目前)*[:：?？]?\s*"
    r"(?:没有|没|无|否|没出现|未出现|\(-\)|阴性|正常|\bno\b|\bnegative\b|\bnone\b|\bdenied\b)(?:的|了|啊|过|呢)?\s*(?=[，。；！？,;.!?\n]|$)"
)
BEGINS_WITH_DENIAL = re.compile(r"没|无|未|不(?=是|伴)|\b(?:no|not|without)\b")
TROUBLE = re.compile(
    r"困难|费力|费劲|急促|不畅|不顺|问题|道感染|道症状|不适|异常|短促|障碍|系统|模糊|不清|"
    r"\s+(?:problems?|difficult\w*|trouble|issues?|heavily|hard|fast|faster|badly|well enough)\b"
)
CONDITIONAL = re.compile(
    r"(?:如果|假如|要是|万一|假设|若是|若|一旦|倘若|以防|预防|防止|避免|(?<!sure )(?<!wondering )(?<!know )\bif\b|\bin case(?: of)?\b|\bwhat if\b|\bprevent(?:ing)?\b|\bavoid(?:ing)?\b|\bshould i ever\b)"
)
CONDITIONAL_FILLERS = re.compile(
    r"我|他|她|它|你|孩子|宝宝|老人|以后|将来|今后|再|又|出现|发生|突然|真的|有|是|会|得|了|的话|自己|"
    r"\b(?:i|he|she|they|we|you|my|ever|have|has|had|get|gets|got|develop|develops|a|an|the|of|were to|start|starts|having|getting|another|it|is|there|suddenly|happens|to|any|experience)\b"
)
GENERAL_QUESTION = re.compile(
    r"什么是|是什么病|的?(?:症状|表现|病因|区别|预防|分类|定义|危害|并发症|后遗症|征兆|前兆|知识)(?:有|都有)?(?:哪些|是什么|有什么|什么)|的?(?:原因)(?:有|都有)(?:哪些|什么)|如何预防|怎么预防|怎样预防|的科普|"
    r"有什么区别|\bwhat (?:is|are) (?:the )?(?:symptoms?|signs?|causes?|definition|risk factors)|\bhow (?:do i|to|can i|can we|can you) prevent|\bdifference between|\bmeaning of|\bwhat does .* mean|\btell me about\b"
)
PERSONAL = re.compile(
    r"我|他|她|孩子|宝宝|宝贝|妈|爸|奶奶|爷爷|外婆|外公|姥|老公|老婆|丈夫|妻子|儿子|女儿|患者|病人|朋友|同事|邻居|今天|昨天|昨晚|刚才|刚刚|现在|目前|小时|分钟|天了|"
    r"\b(?:i|my|me|he|she|his|her|we|our|patient|today|yesterday|now|since|hours?|minutes?|just|son|daughter|mom|dad|baby)\b"
)
SUSPICION = re.compile(
    r"(?:会不会是?|是不是|是否|会是|可能是|怀疑是?|怕是?|担心是?|害怕是?|像是?|以为是?|不会是|疑似|恐怕是?|算不算|吓死|有没有可能是?|"
    r"\bcould (?:it|this|that) be\b|\bis (?:it|this|that)\b|\bmight be\b|\bmaybe\b|\bcould be\b|\bworried\b|\bafraid\b|\bscared\b|\bfear(?:ing)?\b|\brule out\b|\brisk of\b|\blike\b|\bam i having\b|\bpossible\b)"
)
SUSPICION_FILLERS = re.compile(
    r"得了?|有|是|了|的|出现|发生|自己|我|他|她|又|"
    r"\b(?:it|is|i|am|that|about|of|a|an|the|having|have|has|may|might|could|be|getting|get|this|my|he|she|being|another|just|had|some|kind)\b"
)
FEAR = re.compile(
    r"怕(?!是|她是|他是)|担心|害怕|生怕|\b(?:worried|afraid|scared|terrified|frightened|fear(?:ing)?|worry|nervous)\b"
)
FEAR_FILLERS = re.compile(
    r"自己|我|他|她|会|就|要|突然|又|再|路上|出门|在外面|一个人|半路|摔倒|"
    r"\b(?:of|about|that|i|am|might|may|will|would|could|going|to|again|he|she|they|suddenly|just|in|public|alone|and)\b"
)
HAPPENED = re.compile(r"(?:ed|ted)\b")  # "worried: she fainted"
HAPPENED_AFTER = re.compile(r"了|过|在")
FAMILY_HISTORY = re.compile(
    r"家族史|家族病史|家族里|家族中|家族有|家里(?:人|老人|长辈)?有|遗传史|父母(?:都)?有|祖上|"
    r"\bfamily history\b|\bruns in (?:my|the|our) family\b|\b(?:both )?(?:my )?parents (?:have|had|both)\b|"
    r"新闻|电视|电影|小说|网上说|抖音|\bon tv\b|\bread about\b|\bmovie\b"
)
RELATIVE_HAS = re.compile(
    r"同事|邻居|同学|\bneighbor|\bcoworker|\bcolleague|"
    r"(?:父亲|母亲|爸爸?|妈妈?|爷爷|奶奶|外公|外婆|姥姥|姥爷|哥哥|姐姐|弟弟|妹妹|叔叔|舅舅|姑姑|姨妈?)(?:都|也|以前|之前|曾经)?(?:有|得过|患过?|死于|因|就是)|"
    r"\b(?:father|mother|mom|dad|brother|sister|uncle|aunt|grandpa|grandma|cousin)s? (?:has|had|have|died (?:of|from)|passed away from|also had)\b"
)
PAST = re.compile(
    r"去年|前年|大前年|以前|曾经|曾|从前|(?<![昏晕死睡厥背])过去(?!的?[0-9]+(?:分|小时|天))|小时候|年轻(?:的)?时候?|早年|既往|病史|往年|几年前|多年前|\d+(?:\.\d+)?(?:多|几|来)?(?:年|个月)(?:多)?(?:以)?前|上个月|上次住院|那回|那次|"
    r"^\s*(?:about |some |over |\d+ |a |an |a few |several |many |two |three |four |five |ten )*(?:years?|months?) ago\b|\blast year\b|\bused to (?:have|get|be)\b|\bin the past\b|\bhistory of\b|\bhx of\b|\bpreviously\b|\bas a (?:child|kid|teenager)\b|"
    r"\bwhen i was (?:a |young|little|\d)|\bback in (?:19|20)\d\d\b|\bin (?:19|20)\d\d\b|\bin my (?:twenties|thirties|forties|youth)\b|\bonce had\b|\bthat time\b|\bback then\b"
)
PAST_CONDITION_AFTER = re.compile(r"^(?:过|史|病史|后遗症|康复|术后)")
PAST_AFTER = re.compile(
    r"^(?:过|\s*(?:\d+|several|many|a few|two|three|five|ten|some) (?:years|months) ago|\s*years ago|\s*last year|\s*in (?:19|20)\d\d|\s*as a (?:child|kid))"
)
AGO_AFTER = re.compile(r"^[^,.;!?\n]{0,40}\b(?:years?|months?) ago\b")
FIRST_TIME = re.compile(
    r"(?:从来没有?|从没|从未|没有?)(?:有过|过|像)?(?:这么|这样)|第一次|头一回|\bnever\b|\bfirst time\b"
)
STILL = re.compile(
    r"现在|又|今天|今早|今晚|刚|还在|还是|一直|至今|到现在|复发|再次|最近|这几天|目前|开始|起|反复|昨|"
    r"\bnow\b|\bagain\b|\btoday\b|\bstill\b|\bever since\b|\bsince\b|\bthis (?:morning|evening|week|time)\b|\bstarted\b|\bjust\b|\bkeeps?\b|\btonight\b|\byesterday\b|\bcurrently\b|\brecently\b"
)
