"""A person at risk is answered with care, and told a number of their own country."""

from __future__ import annotations

import dataclasses

import pytest

from knowledge.errors import InvalidKnowledge
from knowledge.hotlines import load_hotlines
from knowledge.urgency import UrgencyLevel
from rag import load_assistant
from rag.config import Settings


@pytest.mark.parametrize(
    ("text", "number"), [("我不想活了，想自杀", "12356"), ("I want to kill myself tonight", "12356")]
)
def test_suicidal_words_bring_advice_and_the_hotline(assistant, text, number):
    reply = assistant.reply(text)
    assert reply.triage.urgency >= UrgencyLevel.II and reply.follow_up is None
    assert number in reply.answer.text
    assert "hotlines" in {citation.source_id for citation in reply.answer.citations}


def test_the_number_is_that_of_the_configured_locale(built_home):
    abroad = load_assistant(dataclasses.replace(Settings(built_home), locale="en-US"))
    assert "988" in abroad.reply("I want to kill myself tonight").answer.text


def test_an_unknown_locale_is_named_with_those_there_are():
    with pytest.raises(InvalidKnowledge, match="zh-CN"):
        load_hotlines().of("crisis", "xx-XX")
