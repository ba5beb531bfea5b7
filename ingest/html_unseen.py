"""What the style of a web page hides from its visitors, and how."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_UNSEEN_STYLES = {
    "not displayed": re.compile(
        r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|content-visibility\s*:\s*hidden"
    ),
    "transparent": re.compile(r"(?<![\w-])opacity\s*:\s*0*(?:\.0+)?\s*(?:[;!]|$)|color\s*:\s*transparent"),
    "tiny": re.compile(r"font-size\s*:\s*(?:0*(?:\.\d+)?|1)\s*(?:px|pt|em|rem|%)?\s*(?:[;!]|$)"),
    "off the page": re.compile(
        r"(?:text-indent|left|top|right|margin-left)\s*:\s*-\d{3,}\s*(?:px|pt|em|rem|%)|clip\s*:\s*rect\(\s*(?:0|1px)|clip-path\s*:\s*inset\(\s*(?:50|100)%"
    ),
    "no size": re.compile(
        r"(?<![\w-])(?:height|width|max-height|max-width)\s*:\s*0(?:px|pt|em|%)?\s*(?:[;!]|$).*overflow\s*:\s*hidden|overflow\s*:\s*hidden.*(?<![\w-])(?:height|width|max-height|max-width)\s*:\s*0(?:px|pt|em|%)?\s*(?:[;!]|$)"
    ),
}
_WHITE = re.compile(
    r"(?<![\w-])color\s*:\s*(?:#fff(?:fff)?\b|white\b|rgba?\(\s*255\s*,\s*255\s*,\s*255|hsl\(\s*\d+\s*,\s*\d+%\s*,\s*100%)"
)
_BACKGROUND = re.compile(
    r"background(?:-color|-image)?\s*:\s*(?!\s*(?:#fff(?:fff)?\b|white\b|none\b|transparent\b|inherit\b))"
)
_HIDING_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


class UnseenByStyle:
    """What a page's style sheets, and the style and attributes of its elements, keep from being seen."""

    def __init__(self, root: HtmlElement) -> None:
        self._hiding = _hiding_selectors(root)

    def how(self, element: HtmlElement) -> str | None:
        """How an element itself is hidden, in a word or two; None where it can be seen."""
        style = element.get("style", "").lower()
        if element.get("hidden") is not None or any(_matches(element, selector) for selector in self._hiding):
            return "not displayed"
        for how, pattern in _UNSEEN_STYLES.items():
            if style and pattern.search(style):
                return how
        if (style and _WHITE.search(style)) or element.get("color", "").lower() in ("white", "#fff", "#ffffff"):
            return None if _on_colour(element) else "white"
        return None


def _on_colour(element: HtmlElement) -> bool:
    """Whether an element or one around it has a background of its own, so that white letters can be read."""
    around = [element, *element.iterancestors()]
    return any(_BACKGROUND.search(one.get("style", "").lower()) or one.get("bgcolor") for one in around) or bool(
        element.get("class")
    )


def _hiding_selectors(root: HtmlElement) -> list[str]:
    """The simple selectors (.name, #name, tag) that the page's own style sheets hide."""
    found = []
    for sheet in root.iter("style"):
        for selectors, body in _HIDING_RULE.findall((sheet.text or "")[:200_000]):
            if any(pattern.search(body.lower()) for pattern in _UNSEEN_STYLES.values()):
                found += [one.strip() for one in selectors.split(",") if re.fullmatch(r"\s*[.#]?[\w-]+\s*", one)]
    return found


def _matches(element: HtmlElement, selector: str) -> bool:
    if selector.startswith("."):
        return selector[1:] in element.get("class", "").split()
    return element.get("id") == selector[1:] if selector.startswith("#") else element.tag == selector
