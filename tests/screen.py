"""The screens run without a browser: Streamlit's own test runner over the real scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

UI = Path(__file__).resolve().parents[1] / "ui"


def opened(script: str) -> Any:
    """A visitor's first look at a screen."""
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(UI / script), default_timeout=120).run()


def html_of(screen: Any) -> str:
    """Everything drawn as HTML, styles left out."""
    bodies = [element.proto.body for element in screen.get("html")]
    return "\n".join(body for body in bodies if not body.startswith("<style"))


def say(screen: Any, message: str) -> str:
    """Types a message; what the screen shows then."""
    screen.chat_input[0].set_value(message).run()
    return html_of(screen)


def tap(screen: Any, label: str) -> str:
    """Taps the button of that name; what the screen shows then."""
    next(button for button in screen.button if button.label == label).click().run()
    return html_of(screen)
