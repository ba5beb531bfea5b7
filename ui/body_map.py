"""The body to point at: a drawing whose parts can be tapped or walked through by keyboard, and the same parts as a list.

The drawing is a Streamlit component of plain HTML and JavaScript shipped with the package; where scripts do not run,
the list of names does the same. What is pointed at lives in the visitor's session alone.
"""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from knowledge.records import Bilingual, Language
from ui.body_regions import FEELINGS, GROUPS, REGIONS, BodyRegion, Side, Who, sentence_of
from ui.visitor import Visitor

ASSETS = Path(__file__).resolve().parent / "assets"
MOST_PLACES = 3
_WORDS: dict[Language, dict[str, str]] = {
    "zh": {
        "who": "谁不舒服",
        "view": "哪一面",
        "front": "正面",
        "back": "背面",
        "feeling": "怎么不舒服",
        "list": "不用图，从名单里选",
        "map": "人体图：点不舒服的地方。用方向键换地方，回车选中。",
        "right": "右",
        "left": "左",
        "say": "就这样说：{sentence}",
        "none": "先在图上点一下。",
    },
    "en": {
        "who": "Who is unwell",
        "view": "Which side",
        "front": "Front",
        "back": "Back",
        "feeling": "What is it like",
        "list": "Choose from a list instead",
        "map": "Body map: tap where it hurts. Arrow keys move, Enter chooses.",
        "right": "right",
        "left": "left",
        "say": "Say this: {sentence}",
        "none": "Tap a place first.",
    },
}
_WHO: dict[Who, Bilingual] = {"adult": Bilingual(zh="大人", en="Adult"), "child": Bilingual(zh="孩子", en="Child")}
_SEEN: dict[Side, tuple[Side, ...]] = {"front": ("front", "face"), "back": ("back",)}  # face: enlarged beside the front
# the same figure with a child's proportions: a larger head upon a shorter body
_CHILD_HEAD, _CHILD_BODY = "matrix(1.25 0 0 1.25 -25 25)", "matrix(0.86 0 0 0.74 14 56)"
_FACE_OUTLINE = '<path class="face" d="M204 78Q204 4 250 4Q296 4 296 78Q296 156 250 156Q204 156 204 78Z"/>'


@cache
def _component() -> Any:
    """Registered once for the process."""
    return st.components.v2.component(
        "daozhen_body_map",
        html='<div class="frame"></div>',
        css=(ASSETS / "body_map.css").read_text(encoding="utf-8"),
        js=(ASSETS / "body_map.js").read_text(encoding="utf-8"),
    )


def show_body_map(visitor: Visitor, language: Language) -> None:
    """Draws the map; what was pointed at becomes the first sentence once the patient has said that it is right."""
    words = _WORDS[language]
    with st.container(horizontal=True):
        who: Who = _choice(
            words["who"], {one: name.in_language(language) for one, name in _WHO.items()}, visitor.key("who")
        )
        side: Side = _choice(words["view"], {one: words[one] for one in _SEEN}, visitor.key("side"))
    chosen = _chosen(visitor)
    figure, choices = st.columns([3, 2])
    with figure:
        _component()(
            data={"svg": drawing(side, who, language, tuple(chosen))},
            key=visitor.key("map"),
            on_tapped_change=lambda: _toggle(visitor),
        )
    with choices:
        feelings = {one: name.in_language(language) for one, name in FEELINGS.items()}
        feeling = _choice(words["feeling"], feelings, visitor.key("feeling"), st.pills)
        sentence = sentence_of(chosen[:MOST_PLACES], feeling, who, language) if chosen else ""
        label = words["say"].format(sentence=sentence) if sentence else words["none"]
        st.button(
            label,
            type="primary",
            disabled=not sentence,
            width="stretch",
            key=visitor.key("say"),
            on_click=visitor.say,
            args=(sentence, language),
        )
        with st.expander(words["list"]):
            for group, name in GROUPS.items():
                st.pills(
                    name.in_language(language),
                    [key for key, region in REGIONS.items() if region.group == group],
                    selection_mode="multi",
                    format_func=lambda key: REGIONS[key].name.in_language(language),
                    key=visitor.key(f"places-{group}"),
                )


def _choice(label: str, options: dict[Any, str], key: str, draw: Any = st.segmented_control) -> Any:
    """One of a few; the first until another is tapped."""
    first = next(iter(options))
    return draw(label, list(options), format_func=options.__getitem__, default=first, key=key, wrap=True) or first


def _chosen(visitor: Visitor) -> list[str]:
    """Places pointed at, head to foot."""
    listed = {key for group in GROUPS for key in st.session_state.get(visitor.key(f"places-{group}"), None) or ()}
    return [key for key in REGIONS if key in listed]


def _toggle(visitor: Visitor) -> None:
    """A tap on the drawing: what was chosen goes, what was not is chosen; beyond the most, the tap does nothing."""
    place = st.session_state[visitor.key("map")].tapped
    if place not in REGIONS:
        return
    key = visitor.key(f"places-{REGIONS[place].group}")
    listed = list(st.session_state.get(key) or ())
    if place in listed:
        listed.remove(place)
    elif len(_chosen(visitor)) < MOST_PLACES:
        listed.append(place)
    st.session_state[key] = listed


def drawing(side: Side, who: Who, language: Language, chosen: tuple[str, ...] = ()) -> str:
    """The figure as SVG: every part is a button with a name and a pressed state; one of them takes the focus."""
    words = _WORDS[language]
    seen = _SEEN[side]
    shown = [region for region in REGIONS.values() if region.side in seen]
    parts = "".join(
        _part(region, who, language, region.id in chosen, is_first=place == 0) for place, region in enumerate(shown)
    )
    sides = (words["right"], words["left"]) if side == "front" else (words["left"], words["right"])
    marks = "".join(
        f'<text x="{x}" y="262" class="side" aria-hidden="true">{html.escape(word)}</text>'
        for x, word in zip((36, 164), sides, strict=True)
    )
    skin = "".join(f'<path d="{region.shape}"{_moved(region, who)}/>' for region in shown if region.side != "face")
    left, width = (20, 302) if side == "front" else (0, 200)
    return (
        f'<svg viewBox="{left} 0 {width} 436" role="group" aria-label="{html.escape(words["map"])}">'
        f'<g class="skin" aria-hidden="true">{skin}{_FACE_OUTLINE if side == "front" else ""}</g>{parts}{marks}</svg>'
    )


def _moved(region: BodyRegion, who: Who) -> str:
    """The attribute that gives a part a child's proportions."""
    if who == "adult" or region.side == "face":
        return ""
    return f' transform="{_CHILD_HEAD if region.id in ("head", "back_of_head") else _CHILD_BODY}"'


def _part(region: BodyRegion, who: Who, language: Language, is_chosen: bool, is_first: bool) -> str:
    name = html.escape(region.name.in_language(language))
    return (
        f'<path d="{region.shape}"{_moved(region, who)} data-place="{region.id}" role="button" tabindex="{0 if is_first else -1}" '
        f'aria-pressed="{str(is_chosen).lower()}" aria-label="{name}"><title>{name}</title></path>'
    )
