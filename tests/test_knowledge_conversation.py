"""A conversation goes to JSON and back unchanged; what is not one is refused in one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.conversation import Conversation, Episode, FollowUp, Turn
from knowledge.errors import InvalidConversation
from knowledge.urgency import UrgencyLevel

TEXTS = st.text(max_size=80)
QUESTIONS = st.builds(FollowUp, TEXTS, TEXTS, st.lists(TEXTS, max_size=6).map(tuple), TEXTS)
TURNS = st.builds(
    Turn, TEXTS, st.none() | QUESTIONS, st.none() | TEXTS, st.sampled_from(["medical", "thanks", "question", "test"])
)
EPISODES = st.builds(
    Episode,
    st.sampled_from(["self", "child", "husband"]),
    st.booleans(),
    st.lists(TURNS, max_size=4).map(tuple),
    st.sampled_from(UrgencyLevel),
    st.lists(TEXTS, max_size=3).map(tuple),
    st.lists(TEXTS, max_size=3).map(tuple),
    TEXTS,
)


@given(st.lists(EPISODES, min_size=1, max_size=3), st.sampled_from(["zh", "en", None]), st.none() | QUESTIONS)
def test_json_gives_the_conversation_back(episodes, language, pending):
    conversation = Conversation(tuple(episodes), len(episodes) - 1, language, pending)
    assert Conversation.from_json(conversation.as_json()) == conversation
    assert Conversation.from_json(json.dumps(conversation.as_json())) == conversation


@pytest.mark.parametrize(
    "values",
    [
        "{",
        "[]",
        "null",
        5,
        None,
        "[" * 100_000,
        '"' + "x" * 500_000 + '"',
        b"\xff\xfe",
        {"episodes": []},
        {"current": 7},
        {"current": -1},
        {"episodes": [{"urgency": "V"}]},
        {"episodes": [{"who": "../../etc/passwd"}]},
        {"episodes": [{"turns": [{"text": "x" * 5000}]}]},
        {"episodes": [{"turns": [{"text": "x", "kind": "system"}]}]},
        {"admin": True},
        {"language": "fr"},
    ],
)
def test_what_is_no_conversation_is_refused_in_one_line(values):
    with pytest.raises(InvalidConversation) as told:
        Conversation.from_json(values)
    assert "\n" not in str(told.value) and len(str(told.value)) < 500


def test_a_conversation_begins_with_nobody_ill_and_nothing_said():
    conversation = Conversation()
    assert conversation.turns == () and conversation.urgency is UrgencyLevel.HOME and conversation.others == ()
