"""The patient's screen, run without a browser over the real assistant."""

from __future__ import annotations

import ast
import json
import logging
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from knowledge.replies import Citation, Conversation
from knowledge.urgency import UrgencyLevel
from rag import feedback
from rag.assistant import Assistant
from tests.screen import UI, html_of, opened, say, tap
from ui import body_map
from ui.body_regions import FEELINGS, REGIONS, sentence_of
from ui.reply_html import sentences_html


@pytest.fixture(autouse=True)
def home(built_home, monkeypatch):
    monkeypatch.setenv("DAOZHEN_HOME", str(built_home))
    return built_home


def test_the_first_screen_says_what_it_is_what_to_do_in_an_emergency_and_what_is_kept():
    shown = html_of(opened("patient_app.py"))
    assert "该去哪个科" in shown and "立即拨打 120" in shown and "不保存" in shown and "不是诊断" in shown


def test_the_banner_comes_first_and_says_the_level_in_words_and_with_a_symbol():
    shown = say(opened("patient_app.py"), "我奶奶胸口疼得厉害，直冒冷汗，脸色发白")
    banner = shown.index('data-urgency="I"')
    assert banner < shown.index("急诊科") and "‼" in shown and "立即拨打120" in shown


def test_a_whole_triage_needs_nothing_but_taps():
    screen = opened("patient_app.py")
    screen.button_group(key="places-legs-0").set_value(["knee_right"]).run()
    assert "我右膝盖疼" in tap(screen, "就这样说：我右膝盖疼")
    for _ in range(12):
        options = [button.label for button in screen.button if str(button.key).startswith("option-")]
        if not options:
            break
        tap(screen, options[-1])
    assert "就医卡" in html_of(screen) and not screen.exception


def test_answers_stand_under_a_heading_for_each_part_and_open_the_page_of_their_quote(home):
    shown = say(opened("patient_app.py"), "膝盖上下楼梯疼了两个星期")
    assert "<h4>在家怎么做</h4>" in shown or "<h4>您问的</h4>" in shown
    assert "<details" in shown and "<mark>" in shown


def test_a_dose_in_the_page_around_a_quote_is_not_shown():
    from knowledge.replies import AnswerSentence

    context = "发热时多喝水。布洛芬每次400毫克，每日三次。体温超过39度要就医。"
    citation = Citation("1", "发热", "处理", None, "a.txt", "zh", "发热时多喝水。")
    shown = sentences_html(
        [AnswerSentence("发热时多喝水。", "1", "do")], [citation], UrgencyLevel.IV, "zh", {"1": context}
    )
    assert "<mark>发热时多喝水。</mark>" in shown and "400" not in shown and "体温超过39度" in shown


def test_what_a_patient_types_is_never_markup():
    shown = say(opened("patient_app.py"), "<img src=x onerror=alert(1)> 肚子疼 **粗**")
    assert "<img" not in shown and "&lt;img" in shown


def test_switching_the_language_keeps_the_talk_and_answers_again_in_the_other():
    screen = opened("patient_app.py")
    zh = say(screen, "孩子发烧两天，咳嗽")
    level = zh[zh.index('data-urgency="') :][:18]
    screen.button_group(key="language-zh-0").set_value("en").run()
    en = html_of(screen)
    assert level in en and "孩子发烧两天" in en and "Where to go" in en
    assert len(screen.session_state["visitor"].history) == 1


def test_the_body_map_says_what_a_patient_would_in_either_language():
    assert sentence_of(["belly_lower_right"], "pain", "adult", "zh") == "我右下腹疼"
    assert sentence_of(["belly_lower_right"], "pain", "adult", "en") == "I have pain in my right lower belly"
    assert sentence_of(["knee_left", "foot_left"], "swelling", "child", "en").startswith(
        "My child has swelling in the "
    )


def test_every_place_of_the_body_map_is_a_complaint_the_assistant_takes(assistant):
    for language in ("zh", "en"):
        for place in REGIONS:
            sentence = sentence_of([place], "pain", "adult", language)
            heard = assistant.dialogue.heard(Conversation(), sentence, language)
            assert heard.turns[-1].kind == "medical" and heard.episode.who == "self", sentence


@pytest.mark.parametrize("side", ["front", "back"])
@pytest.mark.parametrize("who", ["adult", "child"])
def test_every_part_of_the_figure_is_a_named_button_and_one_takes_the_focus(side, who):
    figure = body_map.drawing(side, who, "en", ("head",))
    parts = figure.count("data-place=")
    assert parts > 15 and figure.count('role="button"') == figure.count("aria-label=") - 1 == parts
    assert figure.count('tabindex="0"') == 1 and figure.count('aria-pressed="true"') == (side == "front")


def test_the_taps_of_the_body_map_lie_on_the_side_they_name():
    def middle(place):
        return float(REGIONS[place].shape[1:].split()[0])

    assert middle("knee_right") < 100 < middle("knee_left")  # seen from the front
    assert middle("calf_left") < 100 < middle("calf_right")  # seen from behind
    assert set(FEELINGS) == {"pain", "swelling", "numbness", "itching", "injury"}


def test_nothing_said_is_stored_or_logged(home, tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    caplog.set_level(logging.DEBUG)
    screen = opened("patient_app.py")
    say(screen, "我右边耳朵里像有SENTINELWORD在响，三天了")
    assert "SENTINELWORD" in html_of(screen)
    files = [path for folder in (home, tmp_path) for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"SENTINELWORD" in path.read_bytes()]
    out, err = capfd.readouterr()
    assert "SENTINELWORD" not in caplog.text + out + err


def test_feedback_is_stored_only_on_consent_masked_and_deleted_with_everything(home):
    screen = opened("patient_app.py")
    say(screen, "我叫王小明，电话13812345678，膝盖上下楼梯疼")
    screen.button_group(key="thumb-0-0").set_value("no").run()
    assert screen.button(key="keep-0-0").disabled and not list((home / feedback.FOLDER).glob("*"))
    screen.button_group(key="reason-0-no-0").set_value("看不懂").run()
    screen.checkbox(key="consent-0-0").check().run()
    screen.button(key="keep-0-0").click().run()
    (path,) = (home / feedback.FOLDER).glob("*.jsonl")
    row = json.loads(path.read_text(encoding="utf-8"))
    assert row["label"] is False and row["reason"] == "看不懂" and "膝盖" in row["prompt"] and row["completion"]
    assert "王小明" not in path.read_text(encoding="utf-8") and "13812345678" not in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert set(json.loads(feedback.training_lines(home).splitlines()[0])) == {"prompt", "completion", "label"}
    tap(screen, "全部删除")
    assert not path.exists() and "膝盖" not in html_of(screen) and screen.session_state["visitor"].history == []


def test_two_visitors_share_the_assistant_and_never_a_word(home):
    one, other = opened("patient_app.py"), opened("patient_app.py")
    say(one, "牙疼三天，腮帮子肿了")
    say(other, "I twisted my ankle on the stairs")
    say(one, "晚上睡不着")
    assert "ankle" not in html_of(one) and "牙疼" not in html_of(other)
    assert "牙疼" in html_of(one) and "ankle" in html_of(other)


def test_an_index_damaged_in_the_middle_ends_in_one_calm_line_and_the_level_stays(monkeypatch, assistant):
    screen = opened("patient_app.py")
    say(screen, "膝盖上下楼梯疼")

    triage = replace(assistant.reply("膝盖疼，发烧").triage, urgency=UrgencyLevel.III)

    def broken(self, text, conversation=None, language=None):
        yield triage
        raise OSError("SENTINELWORD disk")

    with monkeypatch.context() as patched:
        patched.setattr(Assistant, "stream", broken)
        shown = say(screen, "现在还发烧了")
    assert [one.value for one in screen.warning] == [
        "现在答不上来，不是您的问题。请直接问导诊台的护士；情况紧急请拨打 120。"
    ]
    assert 'data-urgency="III"' in shown and not screen.exception
    shown = say(screen, "还是疼")
    assert screen.session_state["visitor"].conversation.urgency >= UrgencyLevel.III
    assert "发烧" in screen.session_state["visitor"].conversation.said()


def test_the_patients_process_never_imports_a_staff_page():
    seen, waiting = set(), ["patient_app"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        tree = ast.parse((UI / f"{name}.py").read_text(encoding="utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        waiting += [module.split(".")[1] for module in modules if module.startswith("ui.")]
    assert {"visitor", "reply_view"} <= seen and not [name for name in seen if name.startswith("staff")]
    assert not (UI / "pages").exists()  # Streamlit would serve them by itself


def test_a_missing_index_is_one_calm_line(tmp_path, monkeypatch):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    screen = AppTest.from_file(str(UI / "patient_app.py"), default_timeout=60).run()
    assert len(screen.warning) == 1 and not screen.exception and str(tmp_path) not in screen.warning[0].value


def test_what_a_screen_needs_is_in_the_package():
    names = {path.name for path in Path(UI, "assets").iterdir()}
    assert {
        "page.js",
        "page.html",
        "page.css",
        "body_map.js",
        "body_map.css",
        "print.js",
        "print.css",
        "screen.css",
    } <= names


def test_sentences_of_a_writer_that_failed_are_taken_back_and_the_urgent_advice_before_them_stays():
    def growing():
        from knowledge.replies import AnswerPiece, AnswerSentence, Citation
        from knowledge.urgency import UrgencyLevel
        from ui.reply_view import GrowingAnswer

        answer = GrowingAnswer(UrgencyLevel.III, "en")
        for key, text in (("1", "Advice."), ("2", "Model one."), ("3", "Model two."), ("2", "Own one.")):
            citation = Citation(key, "title", "section", None, "source", "en", text)
            answer.add(AnswerPiece(AnswerSentence(text, key), citation))

    shown = html_of(AppTest.from_function(growing, default_timeout=60).run())
    assert "Advice." in shown and "Own one." in shown and "Model" not in shown
