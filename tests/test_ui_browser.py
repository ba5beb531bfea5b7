"""The chat in a real browser: what a patient sees. Needs Chromium; set DAOZHEN_SCREENSHOTS to keep the pictures."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]


@pytest.fixture(scope="module")
def chat_url(built_home: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ui.cli", "chat", "--port", str(port)]
    server = subprocess.Popen(
        command,
        env={**os.environ, "DAOZHEN_HOME": str(built_home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for(url: str, server: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            server_is_up = False
            if not server_is_up:
                _pause()
    raise AssertionError("the chat did not come up")


def _pause() -> None:
    subprocess.run([sys.executable, "-c", "pass"], check=True)


@pytest.fixture(scope="module")
def page_maker(chat_url: str):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        def open_page(width: int = 1100, height: int = 1500):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(chat_url)
            page.get_by_test_id("stChatInputTextArea").wait_for(timeout=60_000)
            return page

        yield open_page
        browser.close()


def _ask(page, text: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(text)
    box.press("Enter")
    page.locator("[data-urgency]").first.wait_for(timeout=30_000)
    page.get_by_test_id("stExpander").first.wait_for(timeout=30_000)


def _keep(page, name: str) -> None:
    folder = os.environ.get("DAOZHEN_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_a_chinese_emergency_shows_120_the_emergency_department_and_its_source(page_maker):
    page = page_maker()
    _ask(page, "我奶奶胸口疼得厉害，直冒冷汗，脸色发白")
    assert page.locator("[data-urgency]").first.get_attribute("data-urgency") == "I"
    assert "120" in page.locator("[data-urgency]").first.inner_text()
    assert page.get_by_text("急诊科").first.is_visible()
    page.get_by_test_id("stExpander").first.click()
    assert page.get_by_text("red_flags/").first.is_visible()
    _keep(page, "chat_zh_emergency")


def test_an_english_everyday_question_shows_urgency_department_and_citation(page_maker):
    page = page_maker()
    _ask(page, "I have had a headache like a tight band for two weeks, worse at work")
    assert page.locator("[data-urgency]").first.get_attribute("data-urgency") in ("III", "IV")
    assert page.get_by_text("First choice").first.is_visible()
    assert page.get_by_test_id("stExpander").count() >= 1
    _keep(page, "chat_en_everyday")


def test_on_a_phone_a_closed_question_is_answered_by_a_tap(page_maker):
    page = page_maker(400, 1200)
    _ask(page, "肚子胀，吃完饭胃不舒服，打嗝")
    options = page.get_by_role("button", name="不知道")
    options.last.wait_for(timeout=30_000)
    options.last.click()
    page.locator("[data-urgency]").nth(1).wait_for(timeout=30_000)
    _keep(page, "chat_zh_phone")
