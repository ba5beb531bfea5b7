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


AXE = os.environ.get("AXE_CORE", "")  # path of axe.min.js, from the npm package axe-core
DISPLAYS = {"浅色": "light", "深色": "dark", "高对比": "contrast"}
SENTINEL = "SENTINELWORD"


@pytest.fixture(scope="module")
def served(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The chat as patients get it: its address, and the folder of its temporary files and everything it printed."""
    folder = tmp_path_factory.mktemp("served")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ui.cli", "chat", "--port", str(port)]
    with (folder / "printed.txt").open("w") as printed:
        server = subprocess.Popen(
            command,
            env={**os.environ, "DAOZHEN_HOME": str(built_home), "TMPDIR": str(folder)},
            stdout=printed,
            stderr=printed,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url, server)
            yield url, folder
        finally:
            server.terminate()
            server.wait(timeout=20)


def _wait_for(url: str, server: subprocess.Popen[bytes], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            subprocess.run([sys.executable, "-c", "pass"], check=True)
    raise AssertionError("the chat did not come up")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, served):
    """Opens the screen as another visitor each time; a script's fault fails the test."""
    faults: list[str] = []
    contexts = []

    def opened(width: int = 1100, height: int = 1000, colours: str = "light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, color_scheme=colours))
        page = contexts[-1].new_page()
        page.set_default_timeout(45_000)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.goto(served[0])
        page.locator("[data-place]").first.wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


def _ask(page, text: str, number: int = 0) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(text)
    box.press("Enter")
    _answered(page, number)


def _answered(page, number: int) -> None:
    """Waits until the reply stands whole: what can be done next is there."""
    page.locator(f"#said-{number}").wait_for()
    page.locator(
        f'[class*="st-key-delete-"] button:enabled, [class*="st-key-option-{number + 1}-"] button'
    ).first.wait_for()
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()


def _keep(page, name: str, full: bool = False) -> None:
    folder = os.environ.get("DAOZHEN_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=full)


def _choose_display(page, settings: str, *labels: str) -> None:
    page.get_by_role("button", name=settings).click()
    for label in labels:
        page.get_by_text(label, exact=True).last.click()
    page.keyboard.press("Escape")


def test_an_emergency_shows_120_the_department_and_a_source_that_opens_by_keyboard(open_page):
    page = open_page()
    _keep(page, "screen_first_zh")
    _ask(page, "我奶奶胸口疼得厉害，直冒冷汗，脸色发白")
    banner = page.locator("[data-urgency]").first
    assert banner.get_attribute("data-urgency") == "I" and "120" in banner.inner_text()
    assert page.get_by_text("急诊科").first.is_visible()
    page.locator(".dz-cite summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".dz-cite mark").first.is_visible() and page.get_by_text("red_flags/").first.is_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    _keep(page, "screen_emergency_zh")


def test_on_a_phone_a_whole_triage_is_done_by_taps_and_ends_with_a_card_to_keep(open_page):
    page = open_page(390, 800)
    _keep(page, "screen_phone_first_zh")
    page.locator("[data-place=knee_right]").click()
    page.get_by_role("button", name="就这样说：我右膝盖疼").click()
    _answered(page, 0)
    _keep(page, "screen_phone_question_zh")
    for number in range(1, 12):
        options = page.locator(f'[class*="st-key-option-{number}-"] button')
        if not options.count():
            break
        options.last.click()
        _answered(page, number)
    assert page.locator(".dz-card").is_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="保存就医卡").click()
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "就医卡" in text and "http" not in text
    assert page.get_by_role("button", name="打印就医卡").is_visible()
    page.locator(".dz-card").scroll_into_view_if_needed()
    _keep(page, "screen_phone_card_zh")


def test_in_english_dark_and_large_the_figure_is_walked_by_keyboard_and_the_talk_survives_the_language(open_page):
    page = open_page(colours="dark")
    page.get_by_text("English", exact=True).click()
    page.get_by_text("Who is unwell").wait_for()
    small = page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")
    _choose_display(page, "Type and colours", "Large type")
    page.wait_for_function(f"parseFloat(getComputedStyle(document.documentElement).fontSize) > {small * 1.2}")
    page.locator('[data-place][tabindex="0"]').focus()
    page.keyboard.press("ArrowDown")
    name = page.evaluate(
        "document.activeElement.shadowRoot?.activeElement?.ariaLabel || document.activeElement.ariaLabel"
    )
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Say this: I have pain in my").click()
    _answered(page, 0)
    assert name and name in page.locator("#said-0").inner_text()
    _keep(page, "screen_large_dark_en")
    page.get_by_text("中文", exact=True).click()
    page.get_by_text("去哪个科").wait_for()
    assert name in page.locator("#said-0").inner_text()


def test_two_visitors_at_once_never_see_each_others_words(open_page):
    one, other = open_page(), open_page()
    one.get_by_test_id("stChatInputTextArea").fill("牙疼三天，腮帮子肿了")
    other.get_by_test_id("stChatInputTextArea").fill("I twisted my ankle on the stairs")
    one.get_by_test_id("stChatInputTextArea").press("Enter")
    other.get_by_test_id("stChatInputTextArea").press("Enter")
    _answered(one, 0)
    _answered(other, 0)
    assert "牙疼" in one.inner_text("body") and "ankle" not in one.inner_text("body")
    assert "ankle" in other.inner_text("body") and "牙疼" not in other.inner_text("body")


def test_with_nobody_there_a_countdown_is_seen_and_the_screen_clears_the_draft_too(open_page, built_home):
    settings = built_home / "config.toml"
    settings.write_text("idle_seconds = 8\n")
    try:
        page = open_page()
        _ask(page, "膝盖上下楼梯疼")
        page.get_by_test_id("stChatInputTextArea").fill("还没写完的话")
        page.get_by_text("没有人在用吗").first.wait_for()
        _keep(page, "screen_idle_zh")
        page.get_by_role("button", name="我还在").click()
        assert page.locator("#said-0").is_visible()
        page.get_by_text("这里已经清空").wait_for()
        page.locator("#said-0").wait_for(state="detached")
        assert not page.get_by_test_id("stChatInputTextArea").input_value()
    finally:
        settings.unlink()


@pytest.mark.skipif(not Path(AXE).is_file(), reason="AXE_CORE names no axe.min.js")
@pytest.mark.parametrize("display", DISPLAYS)
def test_no_serious_finding_of_accessibility_in_any_display(open_page, display):
    page = open_page()
    _choose_display(page, "字体和颜色", display)
    page.locator(f':root[data-display="{DISPLAYS[display]}"]').wait_for(state="attached")
    found = _findings(page)
    _ask(page, "膝盖上下楼梯疼了两个星期")
    page.locator(".dz-cite summary").first.click()
    found += _findings(page)
    _keep(page, f"screen_axe_{DISPLAYS[display]}", full=True)
    assert not found


def _findings(page) -> list[str]:
    page.add_script_tag(path=AXE)
    violations = page.evaluate("async () => (await axe.run(document)).violations")
    return [
        f"{one['id']}: {node['html'][:300]} {node['failureSummary'][:300]}"
        for one in violations
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_no_staff_page_is_reached_from_the_patients_process(open_page, served):
    page = open_page()
    for path in ("staff_app", "staff_library", "staff"):
        page.goto(f"{served[0]}/{path}")
        page.locator("[data-place]").first.wait_for()
        assert not page.locator('input[type="password"]').count()


def test_nothing_said_is_found_in_the_home_the_temporary_files_or_what_was_printed(open_page, served, built_home):
    page = open_page()
    _ask(page, f"耳朵里像有{SENTINEL}在响三天了")
    assert SENTINEL in page.inner_text("body")
    files = [path for folder in (built_home, served[1]) for path in folder.rglob("*") if path.is_file()]
    assert files and not [path for path in files if SENTINEL.encode() in path.read_bytes()]
