"""Who is ill: age, sex, and whose illness it is. Who writes and who is ill are often two people."""

from __future__ import annotations

import re
from dataclasses import dataclass

from knowledge.red_flags import YEARS_PER_UNIT
from rag.scope import clause_of
from rag.support import populations
from rag.wording import normalise

PREGNANT = "pregnant"  # its name in contrasts.yaml
_NOT_PREGNANT = re.compile(
    r"(?:没有?|没在|不是|未|并没|不可能|排除(?:了)?)(?:怀孕|怀上|妊娠)|怀孕(?:了)?(?:是)?(?:不可能|排除了)|验孕棒?(?:是)?(?:阴性|一道杠)"
    r"|\b(?:not|never been|is not|am not|was not|no longer|definitely not|can not be|could not be|ruled out) (?:be )?(?:pregnan\w*)|\bno pregnancy\b|\bpregnancy tests? ?,? ?(?:it )?(?:is |was |came back |are |were )?negative\b|\bnegative pregnancy test\b"
)
GROWN_UP = 14  # years: paediatric departments see those below


@dataclass(frozen=True)
class Patient:
    """What a text says of the person who is ill.

    relation: "self", or a key of RELATIONS. age_years: as said; None when unsaid.
    assumed_ages: cautious stand-ins drawn from the relation ("奶奶", "baby"); two where it may be a child or a grown-up.
    """

    relation: str = "self"
    age_years: float | None = None
    assumed_ages: tuple[float, ...] = ()
    sex: str | None = None
    pregnant: bool | None = None

    @property
    def likely_ages(self) -> tuple[float, ...]:
        """The age as said, else what the relation suggests; empty when nothing is known."""
        return (self.age_years,) if self.age_years is not None else self.assumed_ages


@dataclass(frozen=True)
class _Relation:
    words: str
    sex: str | None = None
    assumed_ages: tuple[float, ...] = ()


RELATIONS: dict[str, _Relation] = {
    "newborn": _Relation(r"新生儿|刚出生的?(?:宝宝|婴儿|孩子|娃)?|\bnewborn\b", None, (0.02,)),
    "baby": _Relation(
        r"婴儿|(?<!暖)宝宝|宝贝|小宝|奶娃|毛毛(?!虫)|奶孩子|小毛头|\bbab(?:y|ies)\b|\binfant\b|\blittle one\b",
        None,
        (0.9,),
    ),
    "toddler": _Relation(r"\btoddler\b|幼儿", None, (2,)),
    "grandmother": _Relation(r"奶奶|外婆|姥姥|阿嬷|阿婆|家婆|老太太|老奶奶|\bgrandma\b|\bold lady\b", "female", (70,)),
    "grandfather": _Relation(
        r"爷爷|外公|姥爷|我爷(?!们)|阿公|老爷子|老头子|老大爷|\bgrandpa\b|\bold man\b", "male", (70,)
    ),
    "mother": _Relation(
        r"妈妈|母亲|老妈|我妈|俺娘|俺妈|婆婆|岳母|丈母娘|阿妈|老娘|\bmom\b|\bmother\b|\bmother in law\b",
        "female",
        (45,),
    ),
    "father": _Relation(r"爸爸|父亲|老爸|我爸|俺爹|俺爸|公公|岳父|丈人|阿爸|老爹|\bdad\b|\bfather\b", "male", (45,)),
    "wife": _Relation(r"老婆|妻子|媳妇|太太|爱人|\bwife\b|\bgirlfriend\b|女朋友|女友", "female", (30,)),
    "husband": _Relation(r"老公|丈夫|\bhusband\b|\bboyfriend\b|男朋友|男友", "male", (30,)),
    "grandson": _Relation(r"孙子|外孙(?!女)|\bgrandson\b", "male", (5,)),
    "granddaughter": _Relation(r"孙女|外孙女|\bgranddaughter\b", "female", (5,)),
    "son": _Relation(r"儿子|男孩|男宝|小伙子|\bson\b|\blittle boy\b|\bboy\b", "male", (6, 30)),
    "daughter": _Relation(r"女儿|闺女|女孩|女宝|\bdaughter\b|\blittle girl\b|\bgirl\b", "female", (6, 30)),
    "child": _Relation(r"孩子|小孩|娃(?!娃菜)|小朋友|崽|细路|囡囡|\bchild\b|\bkids?\b|\bkiddo\b", None, (6,)),
    "elder": _Relation(r"老人家?|老年人|\belderly\b", None, (70,)),
    "sibling": _Relation(r"哥哥|姐姐|弟弟|妹妹|\bbrother\b|\bsister\b"),
    "friend": _Relation(
        r"朋友|室友|同事|同学|邻居|舍友|\bfriend\b|\broommate\b|\bcoworker\b|\bneighbor\b|\bflatmate\b"
    ),
}
CHILDREN = frozenset({"newborn", "baby", "toddler", "son", "daughter", "grandson", "granddaughter", "child"})
_NOT_THE_PATIENT_AFTER = re.compile(
    r"^\s*(?:们|都)?(?:他们|她们)?(?:说|觉得|认为|让|叫|催|劝|陪|要我|非要|建议|也说|告诉|在家|不在|帮我|送我|带我|问|上班|骂|吵架|"
    r"says?\b|said\b|tells?\b|told\b|wants?\b|thinks?\b|thought\b|made me\b|is making me\b|asked me\b|insists?\b|keeps telling\b|is a (?:doctor|nurse)\b|doctor\b)"
)
_NOT_THE_PATIENT_BEFORE = re.compile(
    r"(?:听|跟|和|给|照顾|生|带|抱|喂|打算要|想要|怀(?:了|着)?(?:个)?|生完|生了|备孕|吵架|\btelling|\bafter having (?:a|my)|\bwith (?:a|my)|\bhad (?:a|my))\s*(?:我|我的|我家|my|a)?\s*$"
)

_HAS_AN_ILLNESS = re.compile(
    r"^\s*(?:都|也|以前|之前|曾经)?(?:有|得过|患|死于|因|是.{0,6}走的|(?:has|had|have|died)\b)"
)
_WRITER_IS_ILL = re.compile(
    r"(?:^|[，,。；;\n])\s*(?:但是?|可是?|现在|最近|今天|所以)?我(?!家|妈|爸|爷|奶|老|儿|女|孩|娃|的|们|外|弟|哥|姐|妹|丈|妻|爱人|今年\d|想问|来问|带|陪|叫)"
    r"|\bi (?:have|feel|am|get|keep|was|started|had|can)\b(?! (?:asking|writing|worried|her|his|the mother|the father|a nurse))"
)

_PERSON_WORDS = re.compile("|".join(f"(?P<{name}>{relation.words})" for name, relation in RELATIONS.items()))
_SELF = re.compile(r"我(?:今年|自己|现在|才|都|已经|刚)*\d|我今年|我自己|我是|本人|\bi am\b|\bi was\b")

_AGES = re.compile(
    r"(?P<years>\d{1,3}(?:\.\d)?)\s*(?:多|来|几)?\s*-?\s*(?:周?岁|years?[- ]olds?|yrs?[- ]olds?|y/?o\b|-year-old|\byear old)"
    r"|(?<![孕经了约有])(?P<months>\d{1,2}(?:\.\d)?)\s*(?:个?(?:多)?月)(?:大|龄|的(?:宝|婴|孩|娃|小孩|儿子|女儿|男|女)|了?[，,。]?(?=发烧|拉肚子|不吃奶))|(?P<months_en>\d{1,2})\s*[- ]?(?:months?|mos?)[- ](?:olds?)\b|(?P<mo>\d{1,2})\s*m/?o\b"
    r"|(?P<weeks>\d{1,2})\s*-?\s*(?:周(?:大|龄|的(?:宝|婴|孩|娃))|(?:weeks?|wks?)[- ]olds?\b)"
    r"|(?P<days>\d{1,3})\s*-?\s*(?:天(?:大|龄|的(?:宝|婴|孩|娃|新生))|日龄|days?[- ]olds?\b)|(?:出生|生下来?|落地)(?:才|刚|有|了)?\s*(?P<born_days>\d{1,3})\s*天"
    r"|(?:出生|生下来?)(?:才|刚|有|了)?\s*(?P<born_months>\d{1,2}(?:\.\d)?)\s*个月"
    r"|(?:今年|年龄|年纪|\baged?|\bage:)\s*(?:是|为|:|：|才|刚|都|已经)?\s*(?P<stated>\d{1,3})(?!\d|\s*(?:年|月|天|个|小时|分|次|度|\.|%|岁|周))"
    r"|\b(?:i am|he is|she is|who is|(?:mom|mother|dad|father|husband|wife|grandma|grandpa|son|daughter|child|brother|sister|friend) is|turned|just turned)\s+(?:now |only |about |almost )?(?P<is>\d{1,3})(?=\s*(?:$|[,.;!?)\n]|and\b|with\b|years\b|male\b|female\b|,|yo\b|m\b|f\b))"
    r"|(?<![\d.])(?P<marked>\d{1,2})\s*(?P<marked_sex>[mf])\b(?!\s*(?:dive|deep|fall|high|away|from|tall|drop|of|to))|\b(?P<sex_marked>[mf])\s?(?P<after_sex>\d{2})\b"
    r"|(?:男|女)(?:性)?[，,、 ]\s*(?P<listed>\d{1,3})(?!\d|个月|天|周)"
    r"|\bin (?:my|his|her) (?:early |mid |late )?(?P<decade>[2-9]0)s\b|(?P<full_month>刚?满月|刚出月子的宝宝)|(?P<hundred_days>百天|百日)(?=宝宝|的宝宝|婴)"
)
_AGE_UNITS = {
    "years": "years", "months": "months", "months_en": "months", "mo": "months", "weeks": "weeks", "days": "days", "born_days": "days",
    "born_months": "months", "stated": "years", "is": "years", "marked": "years", "after_sex": "years", "listed": "years", "decade": "years",
}  # fmt: skip
_WORD_AGES = re.compile(
    r"\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a)[- ](year|month|week|day)s?[- ]old\b"
)
_WORD_NUMBERS = {
    word: number
    for number, word in enumerate(
        ["a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], 1
    )
} | {"one": 1}
_BABY_AGE = re.compile(
    r"(?:宝宝|婴儿|孩子|娃|儿子|女儿|baby|infant)(?:现在|才|刚|今年|快|已经|满|了|有|,|，|is|only|just|\s)*(?P<number>\d{1,2}(?:\.\d)?)\s*"
    r"(?:(?P<months>个多?月|months?)|(?P<weeks>周|weeks?)|(?P<days>天|days?))(?!前|以前|之前| ago|没|不|了没|来)"
)
_PRONOUN_AGE = re.compile(
    r"\b(?:he|she|baby|son|daughter|child) is (?:only |just |now |about )?(?P<number>\d{1,2}) (?P<unit>day|week|month)s?\b(?! pregnant| ago| post)"
)
_RELATIVE_AGE = re.compile(
    r"(?:妈妈?|爸爸?|母亲|父亲|奶奶|爷爷|外婆|外公|姥姥|姥爷|婆婆|公公|老婆|老公|爱人|老人|老太太|老爷子|我爷|我奶)(?:今年|都|已经|快|,|，)*(\d{2,3})(?=了|[，,。；;\s]|$)"
    r"|\b(?:mom|dad|grandma|grandpa|husband|wife|father|mother)\s*[,(]?\s*(\d{2,3})(?=[,.)\s]|$)(?!\s*(?:minutes|hours|days|weeks|months|times))"
)
_SEX = re.compile(
    r"(?P<female>女性|女士|女[，,、）)]|[（(]女|我是女|\bfemale\b|\bwoman\b|\blady\b|月经|姨妈|例假|白带|\bperiods?\b(?! of)|\bmenstrua)|(?P<male>男性|男士|男[，,、）)]|[（(]男|我是男|\bmale\b|\bman\b|\bguy\b|前列腺|睾丸|阴囊|阴茎|\bprostate\b|\btestic)"
)
_PRONOUNS = {"male": re.compile(r"\b(?:he|him|his)\b|他(?!们)"), "female": re.compile(r"\b(?:she|her)\b|她(?!们)")}


def find_patient(text: str, pregnant: bool | None) -> Patient:
    """The person who is ill, from a normalised text. pregnant: what the signs already told."""
    relation = relation_of(text)
    known = RELATIONS.get(relation)
    age = _age(text, relation)
    sex = (known.sex if known else None) or _sex(text, relation) or ("female" if pregnant else None)
    return Patient(relation, age, known.assumed_ages if known else (), sex, pregnant)


def told_of(text: str) -> set[str]:
    """Whom the patient's words are about, by the names in contrasts.yaml; an age tells of a child as a word does, and a
    pregnancy denied is none."""
    about = populations(text)
    if PREGNANT in about and denies_pregnancy(text):
        about.discard(PREGNANT)
    age = find_patient(normalise(text), None).age_years
    if age is not None and age < GROWN_UP:
        about |= {"baby", "child"} if age < 1 else {"child"}
    return about


def denies_pregnancy(text: str) -> bool:
    """Whether a text says that nobody is pregnant, and nowhere that somebody is."""
    plain = normalise(text)
    return bool(_NOT_PREGNANT.search(plain)) and PREGNANT not in populations(_NOT_PREGNANT.sub(" ", plain))


def relation_of(text: str) -> str:
    """Whose illness it is: the first person spoken of who neither speaks, nor accompanies, nor is family history."""
    for match in _PERSON_WORDS.finditer(text):
        after = text[match.end() :]
        speaks = _NOT_THE_PATIENT_AFTER.match(after)
        if (speaks and match.lastgroup not in CHILDREN) or _NOT_THE_PATIENT_BEFORE.search(text[: match.start()]):
            continue  # a grown-up who says something is not the patient; a child who says where it hurts is
        if _HAS_AN_ILLNESS.match(after) and _WRITER_IS_ILL.search(text):
            continue
        return str(match.lastgroup)
    return "self"


def _age(text: str, relation: str) -> float | None:
    """The patient's age in years: one said beside them, else any that is not the writer's own."""
    ages = list(_ages_in(text))
    if not ages:
        return None
    if relation == "self":
        return ages[0][0]
    of_others = [age for age, start in ages if not _SELF.search(text, *_clause_until(text, start))]
    return of_others[0] if of_others else None


def find_ages(text: str) -> list[float]:
    """Every age in years that a normalised text says."""
    return [age for age, _ in _ages_in(text)]


def _clause_until(text: str, start: int) -> tuple[int, int]:
    left, _ = clause_of(text, start, start)
    return left, min(len(text), start + 6)


def _ages_in(text: str) -> list[tuple[float, int]]:
    ages = []
    for match in _AGES.finditer(text):
        if match["full_month"]:
            ages.append((1 / 12, match.start()))
        elif match["hundred_days"]:
            ages.append((100 / 365.25, match.start()))
        else:
            group = next(name for name in _AGE_UNITS if match[name])
            years = float(match[group]) * YEARS_PER_UNIT[_AGE_UNITS[group]]
            if years <= 120:
                ages.append((years, match.start()))
    for match in _WORD_AGES.finditer(text):
        ages.append((_WORD_NUMBERS[match[1]] * YEARS_PER_UNIT[match[2] + "s"], match.start()))
    for match in _BABY_AGE.finditer(text):
        ages.append((float(match["number"]) * YEARS_PER_UNIT[str(match.lastgroup)], match.start()))
    for match in _PRONOUN_AGE.finditer(text):
        ages.append((float(match["number"]) * YEARS_PER_UNIT[f"{match['unit']}s"], match.start()))
    for match in _RELATIVE_AGE.finditer(text):
        ages.append((float(match[1] or match[2]), match.start()))
    return sorted(ages, key=lambda found: found[1])


def _sex(text: str, relation: str) -> str | None:
    if match := _SEX.search(text):
        return str(match.lastgroup)
    if match := re.search(r"(?<![\d.])\d{1,2}\s*([mf])\b|\b([mf])\s?\d{2}\b", text):
        return {"m": "male", "f": "female"}[match[1] or match[2]]
    if relation == "self":
        return None
    said = [sex for sex, pronoun in _PRONOUNS.items() if pronoun.search(text)]
    return said[0] if len(said) == 1 else None
