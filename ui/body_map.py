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
_CHILD_HEAD, _CHILD_BODY = "matrix(1.25 0 0 1.25 -25 14)", "matrix(0.86 0 0 0.74 14 56)"


@cache
def _component() -> Any:
    """Registered once for the process."""
    return st.components.v2.component(
        "daozhen_body_map",
        html='<div class="frame"></div>',
        css=(ASSETS / "body_map.css").read_text(encoding="utf-8"),
        js=(ASSETS / "body_map.js").read_text(encoding="utf-8"),
    )


def show_body_map(visitor: Visitor, language: Language) -> str | None:
    """Draws the map; returns the sentence once the patient has said that it is right."""
    words = _WORDS[language]
    left, right = st.columns(2)
    with left:
        who: Who = (
            st.segmented_control(
                words["who"],
                list(_WHO),
                format_func=lambda one: _WHO[one].in_language(language),
                default="adult",
                key=visitor.key("who"),
            )
            or "adult"
        )
    with right:
        side: Side = (
            st.segmented_control(
                words["view"], ["front", "back"], format_func=words.__getitem__, default="front", key=visitor.key("side")
            )
            or "front"
        )
    chosen = _chosen(visitor)
    _component()(
        data={"svg": drawing(side, who, language, tuple(chosen))},
        key=visitor.key("map"),
        on_tapped_change=lambda: _toggle(visitor),
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
    feeling = (
        st.pills(
            words["feeling"],
            list(FEELINGS),
            format_func=lambda one: FEELINGS[one].in_language(language),
            default="pain",
            key=visitor.key("feeling"),
        )
        or "pain"
    )
    if not chosen:
        st.caption(words["none"])
        return None
    sentence = sentence_of(chosen[:MOST_PLACES], feeling, who, language)
    said = st.button(words["say"].format(sentence=sentence), type="primary", width="stretch", key=visitor.key("say"))
    return sentence if said else None


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
    face = '<path class="outline" aria-hidden="true" d="M203 84a47 58 0 0 1 94 0q0 66 -47 66q-47 0 -47 -66z"/>'
    inset = face if side == "front" else ""
    width = 320 if side == "front" else 200
    return (
        f'<svg viewBox="0 0 {width} 436" role="group" aria-label="{html.escape(words["map"])}">'
        f"{inset}{parts}{marks}</svg>"
    )


def _part(region: BodyRegion, who: Who, language: Language, is_chosen: bool, is_first: bool) -> str:
    move = ""
    if who == "child" and region.side != "face":
        on_head = region.id in ("head", "back_of_head")
        move = f' transform="{_CHILD_HEAD if on_head else _CHILD_BODY}"'
    name = html.escape(region.name.in_language(language))
    return (
        f'<path d="{region.shape}"{move} data-place="{region.id}" role="button" tabindex="{0 if is_first else -1}" '
        f'aria-pressed="{str(is_chosen).lower()}" aria-label="{name}"><title>{name}</title></path>'
    )
