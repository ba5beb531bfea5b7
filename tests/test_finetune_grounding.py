"""Records from the project's own index: cited from the passages shown, or abstaining where none of them answers."""

from __future__ import annotations

import random
import re

import pytest

from finetune.cleaning import prescribing
from finetune.follow_up_records import asking_turns, follow_up_records, told_at_once, with_ask_share
from finetune.grounding import GroundingRules, grounded_records
from finetune.records import DialogueRecord, Message
from finetune.triage_records import routing_records, urgency_records
from knowledge.prompts import ABSTAINS, ANSWER_SYSTEM
from knowledge.urgency import UrgencyLevel

RULES = GroundingRules(at_most=14, abstain_share=0.4, seed=3)


@pytest.fixture(scope="module")
def grounded(assistant):
    return grounded_records(assistant, RULES).records


def test_an_answer_is_cited_word_for_word_from_a_passage_shown(grounded):
    answered = [record for record in grounded if "answers" in record.tags]
    assert answered
    for record in answered:
        for sentence, key in re.findall(r"(.+?)\s?\[(\d)\]\s?", record.targets[0]):
            shown = re.search(
                rf"^\[{key}\] .+?\n(.+?)(?=\n\n\[|\n\n(?:紧急程度|Urgency))", record.asked, re.MULTILINE | re.DOTALL
            )
            assert shown and sentence.strip() in shown[1].replace("［", "[")


def test_where_no_passage_answers_the_record_abstains_in_the_words_of_serving(grounded):
    abstaining = [record for record in grounded if "abstains" in record.tags]
    assert abstaining
    assert {record.targets[0].rstrip("。.") for record in abstaining} <= set(ABSTAINS.values())


def test_the_prompt_is_the_one_of_serving_and_no_target_prescribes(grounded):
    assert {record.system for record in grounded} <= set(ANSWER_SYSTEM.values())
    assert not any(prescribing(target) for record in grounded for target in record.targets)


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
