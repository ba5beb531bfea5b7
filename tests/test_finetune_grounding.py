"""Records from the project's own knowledge: departments, urgency, and follow-up questions until advice can be given."""

from __future__ import annotations

import random
import re

import pytest

from finetune.follow_up_records import asking_turns, follow_up_records, told_at_once, with_ask_share
from finetune.grounding import GroundingRules
from finetune.records import DialogueRecord, Message
from finetune.triage_records import routing_records, urgency_records
from knowledge.urgency import UrgencyLevel

RULES = GroundingRules(at_most=14, seed=3)


def test_a_complaint_is_sent_to_its_department_among_candidates(assistant):
    for record in routing_records(assistant, RULES).records:
        offered = record.asked.split("\n")[0].partition(": ")[2]
        assert record.targets[0] in re.split(r"、|, (?=[A-Z])", offered)


def test_an_urgency_is_never_below_its_red_flag(assistant):
    for record in urgency_records(assistant, RULES).records:
        level = UrgencyLevel.from_label(
            next(tag for tag in record.tags if tag.startswith("urgency:")).partition(":")[2]
        )
        assert record.targets[0].splitlines()[1] in (level.instruction("zh"), level.instruction("en"))


def test_follow_up_dialogues_ask_until_they_advise(assistant):
    records = follow_up_records(assistant, GroundingRules(at_most=12, ask_share=1 - 1e-9, languages=("zh",))).records
    assert any("ask" in record.tags for record in records)
    for record in records:
        assert all("（" in question for question in record.targets[:-1]) and "（" not in record.targets[-1]


def asking(turns: int) -> DialogueRecord:
    messages = [Message("user", "疼")]
    for number in range(turns):
        messages += [Message("assistant", f"第{number}个问题？\n（是、否）"), Message("user", "是")]
    return DialogueRecord(
        (*messages, Message("assistant", "看骨科。")), tags=("follow_up", "ask" if turns else "advise")
    )


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_the_share_of_asking_turns_is_kept_and_no_dialogue_is_lost(share):
    records = [asking(number % 5) for number in range(100)]
    kept = with_ask_share(records, share, random.Random(1))
    asks, turns = asking_turns(kept)
    assert len(kept) == 100 and share - 0.05 <= asks / turns <= share


def test_a_dialogue_told_at_once_says_what_was_asked():
    assert told_at_once(asking(2)).messages[0].content == "疼\n第0个问题: 是\n第1个问题: 是"
