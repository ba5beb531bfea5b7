"""The staff's pages, run without a browser, and the password before them."""

from __future__ import annotations

import json
import shutil
import stat

import pytest

from knowledge.errors import InvalidSettings, InvalidUsage
from rag import feedback
from rag.config import Settings, load_settings
from rag.figures import keep_figures, kept_figures
from tests.screen import opened
from ui import staff_password
from ui.cli import main
from ui.staff_evaluation import shares_of
from ui.staff_library import keep_upload
from ui.staff_password import Throttle, is_right, set_password
from ui.staff_settings import check_settings

PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def quick_hash(monkeypatch):
    """The real scheme at a cost tests can pay."""
    monkeypatch.setattr(staff_password, "_COST", {"n": 2**10, "r": 8, "p": 1})


@pytest.fixture
def home(built_home, tmp_path, monkeypatch):
    """A home of one's own, with the built index and a password."""
    shutil.copytree(built_home / "index", tmp_path / "index")
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    set_password(tmp_path, PASSWORD)
    return tmp_path


@pytest.fixture
def pages(home):
    """The pages, entered."""
    screen = opened("staff_app.py")
    screen.text_input[0].set_value(PASSWORD)
    return screen.button[0].click().run()


def test_only_a_hash_of_the_password_is_kept_readable_by_the_owner_alone(home):
    path = home / staff_password.FILE
    assert PASSWORD not in path.read_text() and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert is_right(home, PASSWORD) and not is_right(home, PASSWORD + " ") and not is_right(home, "")


def test_a_short_password_and_a_damaged_file_are_told_in_one_line(home):
    with pytest.raises(InvalidUsage, match="10 characters"):
        set_password(home, "short")
    (home / staff_password.FILE).write_text("{}")
    with pytest.raises(InvalidSettings, match="--set-password"):
        is_right(home, PASSWORD)


def test_guessing_is_slowed_for_everybody_and_even_the_right_password_waits(home):
    clock = [0.0]
    throttle = Throttle(now=lambda: clock[0])
    assert [throttle.try_password(home, "wrong") for _ in range(5)] == [False] * 5
    assert throttle.try_password(home, PASSWORD) == 2.0
    clock[0] = 2.1
    assert throttle.try_password(home, "wrong") is False
    assert 3.9 < throttle.try_password(home, PASSWORD) <= 4.0
    clock[0] = 6.2
    assert throttle.try_password(home, PASSWORD) is True
    assert throttle.try_password(home, "wrong") is False and throttle.try_password(home, PASSWORD) is True


def test_the_staffs_pages_do_not_start_without_a_password(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    monkeypatch.delenv(staff_password.VARIABLE, raising=False)
    assert main(["chat", "--staff"]) != 0 and "--set-password" in capsys.readouterr().err
    assert main(["chat", "--set-password"]) != 0 and "--staff" in capsys.readouterr().err


def test_nothing_is_seen_before_the_password_and_a_wrong_one_shows_nothing(home):
    screen = opened("staff_app.py")
    assert not screen.radio and not screen.tabs
    screen.text_input[0].set_value("wrong password")
    screen.button[0].click().run()
    assert screen.error and not screen.radio and not screen.dataframe


def test_a_new_password_shuts_out_who_came_in_with_the_old_one(home, pages):
    assert pages.radio
    set_password(home, "another long password")
    pages.run()
    assert not pages.radio and pages.text_input


def test_every_page_opens(pages):
    for page in pages.radio[0].options:
        pages.radio[0].set_value(page).run()
        assert not pages.exception and not pages.error, page


def test_the_library_shows_departments_and_generations_and_takes_an_upload(home, pages):
    labels = [tab.label for tab in pages.tabs]
    assert labels == ["Sources", "Departments", "Generations", "Quarantine"]
    departments = pages.tabs[1].dataframe[0].value
    assert departments["passages"].sum() > 1000
    path = keep_upload(home / "documents", "../../etc/叶子.txt", "门诊楼一层是挂号处。".encode())
    assert path == home / "documents" / "叶子.txt"
    for name in ("", ".hidden.txt", "x.exe", "a\x00.txt", ".."):
        with pytest.raises(InvalidUsage):
            keep_upload(home / "documents", name, b"")


def test_settings_are_checked_before_they_are_kept(home, pages):
    pages.radio[0].set_value(next(page for page in pages.radio[0].options if "Settings" in page)).run()

    def keep():
        return next(button for button in pages.button if button.label == "Check and keep")

    next(field for field in pages.number_input if field.label == "idle_seconds").set_value(5)
    keep().click().run()
    assert "idle_seconds is 5" in pages.error[0].value and load_settings(home).idle_seconds == 300
    next(field for field in pages.number_input if field.label == "idle_seconds").set_value(120)
    keep().click().run()
    assert load_settings(home).idle_seconds == 120
    for wrong in (
        {"locale": "xx"},
        {"hospital_dir": "/no/such/folder"},
        {"model": "/no/such/folder"},
        {"embedder": "/none"},
    ):
        with pytest.raises(Exception, match="xx|such|none"):
            check_settings(Settings(home, **wrong))


def test_figures_of_an_evaluation_are_kept_and_drawn_as_shares(home):
    keep_figures(
        home,
        "urgency",
        "cases.jsonl",
        {"n": 20, "under": {"cases": 1, "of": 20, "share": 0.05, "low": 0.0, "high": 0.2}},
    )
    (home / "evaluations" / "broken.json").write_text("{")
    assert list(kept_figures(home)) == ["urgency"]
    rows = shares_of(
        {
            "mrr": 0.5,
            "intervals": {"mrr": [0.4, 0.6]},
            "under": {"cases": 1, "of": 20, "share": 0.05, "low": 0.0, "high": 0.2},
        }
    )
    assert {"figure": "mrr", "share": 0.5, "low": 0.4, "high": 0.6} in rows
    assert {"figure": "under", "share": 0.05, "low": 0.0, "high": 0.2} in rows


def test_eval_keeps_its_figures_and_no_words_of_a_case(home, tmp_path, capsys):
    cases = tmp_path / "mine.jsonl"
    cases.write_text(
        json.dumps({"text": "SENTINELWORD 胸口疼，直冒冷汗", "level": "emergency"}, ensure_ascii=False) + "\n"
    )
    assert main(["eval", "urgency", str(cases), "--json"]) == 0
    (path,) = (home / "evaluations").glob("*.json")
    assert kept_figures(home)["urgency"]["figures"]["n"] == 1 and "SENTINELWORD" not in path.read_text()


def test_feedback_is_exported_and_deleted(home, pages):
    feedback.keep_feedback(home, feedback.new_file_name(), feedback.Feedback("问", "答", True))
    pages.radio[0].set_value(next(page for page in pages.radio[0].options if "Feedback" in page)).run()
    assert "1 rows" in pages.markdown[0].value
    pages.checkbox[0].check().run()
    next(button for button in pages.button if button.label == "Delete").click().run()
    assert feedback.training_lines(home) == ""
