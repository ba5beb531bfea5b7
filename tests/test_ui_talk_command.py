"""`daozhen talk`: the dialogue through standard input, as a person or a script uses it."""

from __future__ import annotations

import io

import pytest

from ui.cli import main


@pytest.fixture
def talk(built_home, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(built_home))

    def run(typed: str, *arguments: str) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert main(["talk", *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_options_are_chosen_by_number_and_a_card_ends_the_questions(talk):
    out = talk("膝盖疼，上下楼不舒服\n1\n1\n1\n1\n1\n/note\n/quit\n")
    assert "就医卡" in out and "首选科室" in out and "给护士的交接单" in out and "膝盖疼，上下楼不舒服" in out


def test_an_emergency_shows_the_ambulance_and_asks_nothing(talk):
    out = talk("奶奶胸口疼得厉害，直冒冷汗\n")
    assert "120" in out and "想再问一句" not in out


def test_it_speaks_english_when_asked_to(talk):
    out = talk("膝盖疼\n/quit\n", "--lang", "en")
    assert "Tell me what is wrong" in out and "Goodbye" in out


def test_the_end_of_the_input_ends_it_politely(talk):
    assert "再见" in talk("")
    assert "Goodbye" in talk("你好\n\n   \n" + "痛" * 4001 + "\n/note\n/new\n[bold]x[/bold]\n9\n")


def test_an_interrupt_ends_it_politely(built_home, monkeypatch, capsys):
    class Interrupted(io.StringIO):
        def readline(self, *_args):
            raise KeyboardInterrupt

    monkeypatch.setenv("DAOZHEN_HOME", str(built_home))
    monkeypatch.setattr("sys.stdin", Interrupted())
    assert main(["talk"]) == 0
    told = capsys.readouterr()
    assert "再见" in told.out and "Traceback" not in told.err
