"""The card as one HTML page that needs nothing else: to print, to save, to show on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from knowledge.records import Language
from knowledge.replies import TriageCard
from knowledge.urgency import UrgencyLevel
from ui.reply_html import SYMBOLS
from ui.reply_text import WORDS

# background, text: every pair has a contrast of at least 4.5 : 1
COLOURS = {
    UrgencyLevel.I: ("#9b1c1c", "#ffffff"),
    UrgencyLevel.II: ("#a83c06", "#ffffff"),
    UrgencyLevel.III: ("#fbd15b", "#3a2a00"),
    UrgencyLevel.IV: ("#1d6b45", "#ffffff"),
    UrgencyLevel.HOME: ("#1f5c94", "#ffffff"),
}
_STYLE = """
body{font:16px/1.6 "Noto Sans CJK SC","Microsoft YaHei","PingFang SC",sans-serif;max-width:44rem;margin:1rem auto;padding:0 1rem;color:#111;background:#fff}
h1{font-size:1.5rem;margin:0 0 .5rem}.level{padding:.8rem 1rem;border-radius:.5rem;font-size:1.25rem;font-weight:700;
-webkit-print-color-adjust:exact;print-color-adjust:exact;border:2px solid #111}
dt{font-weight:700;margin-top:.8rem}dd{margin:0 0 0 0}ul{margin:.2rem 0;padding-left:1.2rem}
small{color:#333}@page{margin:15mm}
"""


def card_body(card: TriageCard, language: Language) -> str:
    """The card's lines, one term and its description each; what is not known is left out."""
    words = WORDS[language]
    first = card.first.department.name.in_language(language)
    others = [entry.department.name.in_language(language) for entry in card.alternatives]
    rows: list[tuple[str, Sequence[str]]] = [
        (words["about"], [card.who]),
        (words["how_soon"], [card.how_soon]),
        (words["where"], [card.where_to]),
        (words["first"], [f"{first} — {card.first.why}"]),
        (words["or"], others),
        (words["why"], card.reasons),
        (words["bring"], card.bring),
        (words["watch"], card.watch_for),
        (words["come_back"], [card.come_back]),
        (words["earlier"], card.earlier),
        (words["sources"], card.sources),
    ]
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{_listed(values)}</dd>" for name, values in rows if any(values))
    return f"<dl>{lines}</dl>"


def card_page(card: TriageCard, language: Language) -> str:
    """The whole page."""
    words = WORDS[language]
    background, colour = COLOURS[card.urgency]
    tag = "zh-CN" if language == "zh" else "en"
    return (
        f'<!doctype html><html lang="{tag}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(words["card"])}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(words['card'])}</h1>"
        f'<p class="level" style="background:{background};color:{colour}">{SYMBOLS[card.urgency]} '
        f"{escape(card.urgency.title(language))}</p>{card_body(card, language)}"
        f"<p><small>{escape(words['notice'])}</small></p></body></html>"
    )


def _listed(values: Sequence[str]) -> str:
    said = [escape(value) for value in values if value]
    return said[0] if len(said) == 1 else "<ul>" + "".join(f"<li>{one}</li>" for one in said) + "</ul>"
