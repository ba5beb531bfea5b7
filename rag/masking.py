"""What could name a patient is replaced before a solved case is kept: names, numbers, addresses, in both languages.

Rules for forms that are nearly always personal, no model: an identity number is told by its length, a name by what
introduces it ("我叫", "姓名：", "Mr"). What no rule introduces is not found; the share found is in RESULTS.md.
"""

from __future__ import annotations

import re

NAME, NUMBER, ADDRESS, MAIL = "［姓名］", "［号码］", "［地址］", "［邮箱］"

_SURNAMES = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章苏潘葛奚范彭郎鲁韦昌马苗凤花方俞任袁柳"
    "鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅皮卞齐康伍余元卜顾孟平黄和穆萧尹姚邵湛汪祁毛禹狄米贝明臧计伏成戴谈宋茅庞"
    "熊纪舒屈项祝董梁杜阮蓝闵席季麻强贾路娄危江童颜郭梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万支柯管卢莫房裘缪解应宗丁宣邓郁单杭"
    "洪包诸左石崔吉龚程邢裴陆荣翁荀羊甄曲封芮储靳汲邴糜松井段富巫乌焦巴弓牧隗山谷车侯宓蓬全郗班仰秋仲伊宫宁仇栾暴甘厉戎祖武符"
    "刘景詹束龙叶幸司韶黎薄印宿白怀蒲从鄂索咸籍赖卓蔺屠蒙池乔阴胥能苍双闻莘党翟谭贡劳逄姬申扶堵冉宰郦雍桑桂濮牛寿通边扈燕冀"
    "浦尚农温别庄晏柴瞿阎充慕连茹习宦艾鱼容向古易慎戈廖庾终暨居衡步都耿满弘匡国文寇广禄阙东欧殳沃利蔚越夔隆师巩厍聂晁勾敖融冷"
    "訾辛阚那简饶空曾毋沙乜养鞠须丰巢关蒯相查后荆红游竺权逯盖益桓公肖闫覃邸"
)
_HAN = r"[\u4e00-\u9fff]"
_NO_NAME = (
    "[的了是我你您他她它们谢和在说请让看给有没去先就都要找过着不也问叫医]"  # never part of a name after a surname
)
_GIVEN = (
    rf"(?:欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|司徒|夏侯|令狐|[{_SURNAMES}])(?:·?(?!{_NO_NAME}){_HAN}){{1,2}}"
)
_END = rf"(?!{_HAN})"
_KIN = (
    "老伴|爱人|妻子|丈夫|老公|老婆|妈妈|爸爸|母亲|父亲|我妈|我爸|奶奶|爷爷|外婆|外公|姥姥|姥爷|儿子|女儿|孙子|孙女|婆婆|公公|岳母|岳父|"
    "哥哥|姐姐|弟弟|妹妹|闺女|侄子|侄女|外甥|叔叔|舅舅|姑姑|舅妈|嫂子|本人|家属"
)
# Surnames that seldom begin a word of illness or a verb; 高 only where it is not 高血压, 高烧 and the like.
_PLAIN_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱林何郭马罗梁宋郑谢韩唐冯董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田姜范"
    "姚谭廖邹熊陆郝孔崔毛邱秦江史顾侯邵孟龙雷钱汤尹黎武乔贺赖龚"
)
_PLAIN_GIVEN = rf"(?:欧阳|司马|上官|诸葛|皇甫|慕容|司徒|[{_PLAIN_SURNAMES}]|高(?![血烧热度龄脂糖尿]))(?!疸|[汗带斑痰])(?:(?!{_NO_NAME}){_HAN}){{1,2}}"
_BEFORE_DOCTOR = rf"(?:(?<!{_HAN})|(?<=[找请由让给是跟和问的]))"
_FOREIGN_PART = r"(?:(?![第一二三四五六七八九十的是有在])[\u4e00-\u9fff]){2,8}"
_FOREIGN = rf"{_FOREIGN_PART}(?:·{_FOREIGN_PART})+"  # 阿依古丽·买买提
_ENGLISH = r"[A-Z][A-Za-z]*(?:['’-][A-Z]?[a-z]+)*"
_CITY = rf"{_HAN}{{2,8}}?(?:省|自治区|市|州|县|区)"
_STREET = rf"{_HAN}{{1,10}}?(?:路|街|大道|胡同|巷|弄|村|镇|乡|屯|小区|花园|家园|新村|公寓|苑)"
_PLACE = rf"{_HAN}{{2,7}}?(?:省|自治区|市){_HAN}{{1,7}}?(?:市|州|县|(?<![社小地市])区|镇|乡|村)(?:{_HAN}{{1,6}}?(?:县|镇|乡|村))*"
_HOUSE = r"(?:[0-9A-Za-z一二三四五六七八九十百]+(?:号楼|号院|号|栋|幢|单元|弄|室|层|组|楼|座)[-\s]?)+(?:\d{2,5}室?)?"

# What a text must hold for a rule to find anything in it: most hold none of it, and are spared the rule.
_AT, _DIGIT, _CAPITAL, _DOT = re.compile("@"), re.compile(r"\d"), re.compile(r"[A-Z]"), re.compile("·")
_SPOKEN_NUMBER = re.compile(r"[一幺][三四五六七八九][零〇一二三四五六七八九幺]")
_HOME, _REGION, _SEX, _SAID, _CALLED = (re.compile(words) for words in ("[住址]", "[省市区]", "[男女]", "[是姓]", "叫"))
_HOUSE_AFTER_STREET = re.compile(r"[路街道同巷弄村镇乡屯区园寓苑][0-9A-Za-z一二三四五六七八九十百]")
_INTRODUCED, _KIN_NAMED = re.compile("姓名|名字|联系人|家属"), re.compile(_KIN)
_TITLED = re.compile("先生|女士|小姐|同志|大夫|医生|主任|教授|护士|阿姨|大爷|大妈")

# Each: (what the text must hold, what is looked for, what stands instead). Order matters: the longest forms first.
_RULES: tuple[tuple[re.Pattern[str], re.Pattern[str], str], ...] = (
    (_AT, re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), MAIL),
    (_DIGIT, re.compile(r"(?<![\dA-Za-z])\d{6}[ -]?(?:18|19|20)\d{2}[ -]?\d{4}[ -]?\d{3}[\dXx](?![\dA-Za-z])"), NUMBER),
    (_DIGIT, re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"), NUMBER),
    (_DIGIT, re.compile(r"(?<!\d)\(?0\d{2,3}\)?[- ]?\d{7,8}(?!\d)"), NUMBER),
    (_DIGIT, re.compile(r"(?<!\d)0\d{4}[- ]\d{6}(?!\d)"), NUMBER),
    (
        _SPOKEN_NUMBER,
        re.compile(
            r"(?<![零〇一二三四五六七八九幺])[一幺][三四五六七八九][零〇一二三四五六七八九幺]{9}(?![零〇一二三四五六七八九幺])"
        ),
        NUMBER,
    ),
    (_DIGIT, re.compile(r"(?<![\d.])\+?\(?\d{1,4}\)?[- .](?:\d{2,4}[- .]){1,3}\d{3,4}(?![\d.])"), NUMBER),
    (
        _DIGIT,
        re.compile(
            r"((?:住院|门诊|病案|病历|病例|病床|就诊|诊疗|挂号|医保|社保|就诊卡|身份证|护照|登记|档案|电话|手机|微信|QQ|床)(?:卡|证)?(?:号码|编号|号)?(?:是|为)?[:：#]?\s*)"
            r"(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{4,}",
            re.IGNORECASE,
        ),
        rf"\1{NUMBER}",
    ),
    (
        _DIGIT,
        re.compile(
            r"\b((?:MRN|NHS|SSN|ID|passport|insurance|medical record|patient|record|chart|hospital|phone|tel|mobile)"
            r"(?: (?:no|number|id))?\.?(?: is)?[:# ]\s*)(?=[A-Za-z-]*\d)[A-Za-z0-9][A-Za-z0-9 -]{3,}[A-Za-z0-9]",
            re.IGNORECASE,
        ),
        rf"\1{NUMBER}",
    ),
    (_DIGIT, re.compile(r"(?<![\d.])(?=[A-Za-z]{0,3}\d)[A-Za-z]{0,3}\d{7,}[Xx]?(?![\d.])"), NUMBER),
    (
        _HOME,
        re.compile(rf"((?:家住|住在|住址|地址|住)(?:是|为)?[:：]?\s*)(?:{_CITY}|{_STREET})[^，。；,;\s]*"),
        rf"\1{ADDRESS}",
    ),
    (_HOUSE_AFTER_STREET, re.compile(rf"(?:{_CITY})*{_STREET}{_HOUSE}"), ADDRESS),
    (_REGION, re.compile(_PLACE), ADDRESS),
    (
        _DIGIT,
        re.compile(
            r"\b\d{1,5} (?:[A-Z][a-z]+ ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Close|Way|Court)\b\.?"
        ),
        ADDRESS,
    ),
    (_DIGIT, re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b"), ADDRESS),
    (
        _INTRODUCED,
        re.compile(rf"((?:姓名|名字|患者姓名|联系人)(?:是|为|叫)?[:：]?\s*|家属[:：]\s*){_GIVEN}"),
        rf"\1{NAME}",
    ),
    (
        _CALLED,
        re.compile(
            rf"((?:我|他|她|本人|孩子|宝宝|儿子|女儿|名|患者|爱人|老公|老婆|大名|小名)(?:的名字)?叫(?:做)?){_GIVEN}"
        ),
        rf"\1{NAME}",
    ),
    (_SAID, re.compile(rf"(我是)(?:{_GIVEN}){_END}"), rf"\1{NAME}"),
    (_DOT, re.compile(_FOREIGN), NAME),
    (_SAID, re.compile(rf"(我姓|免贵姓)[{_SURNAMES}]"), rf"\1{NAME}"),
    (
        _KIN_NAMED,
        re.compile(rf"((?:{_KIN})){_PLAIN_GIVEN}(?=[，,。；\s]|这[两几]|今[天年早晚]|昨|最近|[五六七八九]十|代诉|\d)"),
        rf"\1{NAME}",
    ),
    (_SEX, re.compile(rf"(?<!{_HAN}){_PLAIN_GIVEN}(?=[，,、 ]\s*(?:性别)?[男女](?:性)?[，,、 \d])"), NAME),
    (
        _TITLED,
        re.compile(rf"{_BEFORE_DOCTOR}{_PLAIN_GIVEN}(?=先生|女士|小姐|同志|大夫|医生|主任|教授|护士|阿姨|大爷|大妈)"),
        NAME,
    ),
    (_TITLED, re.compile(rf"{_BEFORE_DOCTOR}[{_SURNAMES}](?=先生|女士|小姐|大夫|医生|主任|教授|护士长?)"), NAME),
    (_CAPITAL, re.compile(rf"\b((?:Mr|Mrs|Ms|Miss|Dr|Prof)\.?\s+){_ENGLISH}(?:\s+{_ENGLISH}){{0,2}}"), rf"\1{NAME}"),
    (
        _CAPITAL,
        re.compile(
            rf"\b(my (?:son|daughter|wife|husband|mother|father|mum|mom|dad|child|baby)\s+){_ENGLISH}(?:\s+{_ENGLISH}){{0,2}}"
        ),
        rf"\1{NAME}",
    ),
    (
        _CAPITAL,
        re.compile(
            r"\b((?i:my (?:full )?name(?: is|['’]s)|patient:|i am called|is called|(?:son|daughter|wife|husband|mother|father|child),|patient(?:'s)? name(?: is)?:?|name:)\s+)"
            r"[A-Z][a-z'’-]+(?:\s+[A-Z][a-z'’-]+){0,2}"
        ),
        rf"\1{NAME}",
    ),
)


def mask(text: str) -> str:
    """The text without what could name the patient. Masking what is masked changes nothing."""
    for held, pattern, instead in _RULES:
        if held.search(text):
            text = pattern.sub(instead, text)
    return text


def masked(text: str) -> str:
    """The text as it may leave this machine."""
    return mask(text)
