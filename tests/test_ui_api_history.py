"""A talk rebuilt from the messages a client carries: the same words always make the same conversation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge.conversation import Conversation
from knowledge.errors import WriterUnavailable
from ui.api_history import MAX_REMEMBERED, Histories
from ui.api_work import Stopped, Wanted

said_by_patients = st.sampled_from(
    [
        "肚子疼两天了",
        "不知道",
        "1",
        "没有",
        "会传染吗",
        "谢谢",
        "my knee hurts",
        "那我老公呢",
        "他也发烧",
        "胸口疼",
        "2",
    ]
)


@given(st.lists(said_by_patients, min_size=1, max_size=4))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_replayed_history_is_the_conversation_it_was(assistant, said):
    from ui.reply_text import chosen

    conversation = Conversation()
    for text in said:
        conversation = assistant.reply(chosen(text, conversation.pending), conversation).conversation
    histories = Histories()
    assert histories.after(assistant, said, None, Wanted()) == conversation
    assert histories.after(assistant, said, None, Wanted()) == conversation  # remembered


def test_histories_are_bounded_and_forgotten_and_a_language_is_part_of_them(assistant):
    now = [0.0]
    histories = Histories(clock=lambda: now[0])
    for number in range(MAX_REMEMBERED + 5):
        histories.keep(assistant, [f"疼{number}"], None, Conversation())
    assert len(histories) == MAX_REMEMBERED
    now[0] = 601.0
    histories.forget_old()
    assert len(histories) == 0
    chinese, english = (histories.after(assistant, ["头疼"], spoken, Wanted()) for spoken in ("zh", "en"))
    assert chinese.language == "zh" and english.language == "en"


def test_what_is_remembered_makes_no_difference(assistant):
    """A model's answer may quote another guide than the replay; what another generation or routing made is not used."""

    class Other:
        name, remote = "other", False

        def write(self, evidence):
            raise WriterUnavailable("never there")

    said, histories, wanted = ["膝盖疼，上下楼不舒服"], Histories(), Wanted()
    odd = Conversation().with_episode(replace(Conversation().episode, topic="guidelines/of-a-model"))
    histories.keep(replace(assistant, writer=Other()), said, None, odd)
    cold = Histories().after(assistant, said, None, wanted)
    assert len(histories) == 0 and histories.after(assistant, said, None, wanted) == cold
    histories.keep(assistant, said, None, odd)
    assert histories.after(assistant, said, None, wanted) == odd
    changed = replace(assistant, settings=replace(assistant.settings, passages_per_answer=3))
    assert histories.after(changed, said, None, wanted) == cold


def test_a_replay_ends_when_nobody_waits_any_more(assistant):
    wanted = Wanted()
    wanted.end()
    with pytest.raises(Stopped):
        Histories().after(assistant, ["头疼"], None, wanted)
