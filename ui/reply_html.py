"""A reply as HTML: banner, reasons, departments, the answer by parts, each citation with its page. Decides nothing.

Every text is escaped. Citations are `details` elements: they open by tap, keyboard and screen reader without asking
the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from knowledge.records import Language
from knowledge.replies import (
    Abstention,
    AnswerSentence,
    Citation,
    CitedAnswer,
    RankedDepartment,
    TriageDecision,
)
from knowledge.urgency import UrgencyLevel
from rag.medicines import redacted

SYMBOLS = {
    UrgencyLevel.I: "‼",
    UrgencyLevel.II: "❗",
    UrgencyLevel.III: "▲",
    UrgencyLevel.IV: "●",
    UrgencyLevel.HOME: "⌂",
}
PARTS = ("answer", "why", "where", "do", "danger")
CONTEXT_CHARS = 700  # of the page, on each side of a quote
_READ_CHARS = 4000  # on each side, read for doses before the cut, so that no sentence is judged by half
WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "why_level": "为什么这样判断",
        "department": "去哪个科",
        "first": "首选",
        "or": "也可能",
        "bring": "带上",
        "now": "现在怎么做",
        "answer": "您问的",
        "why": "为什么",
        "where": "去哪里看",
        "do": "在家怎么做",
        "danger": "出现这些要赶快",
        "source": "出处 {key}",
        "page": "第 {page} 页",
        "unreviewed": "资料尚未经临床医生审核签字。",
        "abstained": "没有足够的依据",
        "you": "您说",
        "list": "、",
    },
    "en": {
        "why_level": "Why this level",
        "department": "Where to go",
        "first": "First choice",
        "or": "Possibly",
        "bring": "Bring",
        "now": "What to do now",
        "answer": "What you asked",
        "why": "Why",
        "where": "Where to be seen",
        "do": "What to do at home",
        "danger": "When to hurry",
        "source": "Source {key}",
        "page": "p. {page}",
        "unreviewed": "This material has not yet been signed by a clinician.",
        "abstained": "Not enough evidence",
        "you": "You said",
        "list": ", ",
    },
}


def said_html(message: str, language: Language, number: int) -> str:
    """What the patient said, as a heading above its reply."""
    return (
        f'<div class="dz-said" id="said-{number}" tabindex="-1" lang="{language}">'
        f'<h2><span class="dz-small">{WORDS[language]["you"]}</span> {_lines(message)}</h2></div>'
    )


def banner_html(triage: TriageDecision, language: Language, is_newest: bool = True) -> str:
    """How urgent: words and a symbol; a screen reader is told at once."""
    level = triage.urgency
    return (
        f'<div class="dz-banner dz-{level.label}" {"role=alert" if is_newest else ""} data-urgency="{level.label}" '
        f'lang="{language}"><h3><span aria-hidden="true">{SYMBOLS[level]}</span> {escape(level.title(language))}</h3>'
        f"<p>{escape(level.instruction(language))}</p></div>"
    )


def triage_html(triage: TriageDecision, language: Language) -> str:
    """Why, then the departments."""
    words = WORDS[language]
    reasons = "".join(f"<li>{escape(reason.text)}</li>" for reason in triage.reasons)
    departments = "".join(
        _department(entry, language, is_first=place == 0) for place, entry in enumerate(triage.suggested)
    )
    why = f"<h4>{words['why_level']}</h4><ul>{reasons}</ul>" if reasons else ""
    where = f'<h4>{words["department"]}</h4><ul class="dz-departments">{departments}</ul>' if departments else ""
    return f'<div lang="{language}">{why}{where}</div>'


def _department(entry: RankedDepartment, language: Language, is_first: bool) -> str:
    words = WORDS[language]
    bring = entry.department.bring.in_language(language)[:3] if is_first else ()
    taken = f'<p class="dz-small">{words["bring"]}: {escape(words["list"].join(bring))}</p>' if bring else ""
    return (
        f'<li><span class="dz-small">{words["first" if is_first else "or"]}</span>'
        f"<strong>{escape(entry.department.name.in_language(language))}</strong>"
        f'<span class="dz-small">{escape(entry.why)}</span>{taken}</li>'
    )


def answer_html(
    answer: CitedAnswer | Abstention, level: UrgencyLevel, language: Language, contexts: Mapping[str, str]
) -> str:
    """The answer under a heading for each part, each sentence with its source to open; or that there is none."""
    if isinstance(answer, Abstention):
        return f'<div class="dz-note" lang="{language}"><h4>{WORDS[language]["abstained"]}</h4><p>{_lines(answer.text)}</p></div>'
    note = f'<p class="dz-note">{escape(answer.note)}</p>' if answer.note else ""
    return note + sentences_html(answer.sentences, answer.citations, level, language, contexts)


def sentences_html(
    sentences: Sequence[AnswerSentence],
    citations: Iterable[Citation],
    level: UrgencyLevel,
    language: Language,
    contexts: Mapping[str, str],
) -> str:
    """Sentences grouped by part, in the order of PARTS; within a part as they came."""
    by_key = {citation.key: citation for citation in citations}
    blocks = []
    for part in PARTS:
        mine = [sentence for sentence in sentences if (sentence.part if sentence.part in PARTS else PARTS[0]) == part]
        if mine:
            rows = "".join(_sentence(one, by_key.get(one.key), language, contexts) for one in mine)
            name = "now" if part == "answer" and level >= UrgencyLevel.II else part
            blocks.append(f'<div class="dz-part dz-part-{part}"><h4>{WORDS[language][name]}</h4>{rows}</div>')
    return f'<div lang="{language}">{"".join(blocks)}</div>'


def _sentence(
    sentence: AnswerSentence, citation: Citation | None, language: Language, contexts: Mapping[str, str]
) -> str:
    lead = f'<p class="dz-note">{escape(sentence.before)}</p>' if sentence.before else ""
    text = escape(sentence.text)
    if citation is None:
        return f'{lead}<div class="dz-sentence">{text}</div>'
    words = WORDS[language]
    page = f" · {words['page'].format(page=citation.page)}" if citation.page else ""
    where = f"{citation.title} · {citation.section}{page}"
    label = f"{words['source'].format(key=citation.key)}: {where}"
    return (
        f'{lead}<div class="dz-sentence">{text} <details class="dz-cite"><summary aria-label="{escape(label)}">'
        f'[{escape(citation.key)}]</summary><blockquote lang="{escape(citation.language)}">'
        f'<p class="dz-small"><strong>{escape(where)}</strong></p>'
        f"<p>{_marked(contexts.get(citation.key, ''), citation, language)}</p>"
        f'<p class="dz-small">{escape(citation.source_id)} · {words["unreviewed"]}</p></blockquote></details></div>'
    )


def _marked(context: str, citation: Citation, language: Language) -> str:
    """The page around the quote, the quote marked; the quote alone where its page is not at hand."""
    quote = citation.quote
    start = context.find(quote)
    if start < 0:
        return f"<mark>{_lines(redacted(quote, language))}</mark>"
    end = start + len(quote)
    before = redacted(context[max(0, start - _READ_CHARS) : start], language)
    after = redacted(context[end : end + _READ_CHARS], language)
    return (
        f"{'… ' if len(before) > CONTEXT_CHARS else ''}{_lines(before[-CONTEXT_CHARS:])}"
        f"<mark>{_lines(redacted(quote, language))}</mark>"
        f"{_lines(after[:CONTEXT_CHARS])}{' …' if len(after) > CONTEXT_CHARS else ''}"
    )


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")
