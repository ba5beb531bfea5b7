"""Where to: which departments are named beside the first one."""

from __future__ import annotations

import pytest

from knowledge.departments import load_departments
from knowledge.hospital import load_hospital
from knowledge.replies import MAX_SUGGESTED, RankedDepartment
from knowledge.self_care import load_self_care
from knowledge.urgency import UrgencyLevel
from rag.patient import Patient
from rag.red_flag_matcher import Findings
from rag.routing import DepartmentScore
from rag.triage import TriageContext, decide_triage, each_once


def suggested(*scores: tuple[str, float, float], patient: Patient = Patient(age_years=40)) -> list[str]:
    """The departments shown for (id, log-odds, how much of it was told)."""
    departments = load_departments()
    context = TriageContext(departments, load_hospital(None, tuple(departments)), load_self_care())
    listed = [DepartmentScore(name, log_odds, {"zh": "…"}, told) for name, log_odds, told in scores]
    decision = decide_triage(Findings("", {}, (), patient), listed, UrgencyLevel.IV, context, "zh")
    return [entry.department.id for entry in decision.suggested]


def test_likely_departments_the_patient_spoke_of_are_named():
    assert suggested(("cardiology", 6, 1), ("respiratory_medicine", 5.5, 0.8)) == ["cardiology", "respiratory_medicine"]


def test_a_department_far_behind_the_first_is_not_named():
    assert suggested(("cardiology", 6, 1), ("fever_clinic", 3, 1)) == ["cardiology"]


def test_a_department_the_patient_said_nothing_of_is_not_named():
    assert suggested(("cardiology", 6, 1), ("fever_clinic", 5.5, 0.2)) == ["cardiology"]


def test_a_department_of_children_or_the_old_is_not_named_beside_others_where_no_age_was_told():
    scores = ("neurology", 5, 1), ("paediatric_neurology", 7, 1), ("geriatrics", 7, 1)
    assert suggested(*scores, patient=Patient()) == ["neurology"]


def test_who_says_she_is_not_pregnant_is_not_sent_to_obstetrics():
    scores = ("obstetrics", 6, 1), ("gynaecology", 5.5, 1)
    assert suggested(*scores, patient=Patient(sex="female", pregnant=False)) == ["gynaecology"]


def test_what_an_answer_speaks_for_is_named():
    told_little = DepartmentScore("fever_clinic", 4.0, {"zh": "…"}, 0.1)
    assert told_little.moved(2.0).told == 1.0 and told_little.moved(-1.0).told == 0.1


@pytest.mark.parametrize("words", ["被狗咬了，出血了", "a dog bit my hand and it bled"])
def test_what_only_the_emergency_department_treats_is_sent_there_at_level_iii_too(assistant, words):
    triage = assistant.reply(words).triage
    assert triage.urgency >= UrgencyLevel.III and triage.departments[0].department.id == "emergency"


def test_reply_card_and_note_name_the_same_departments(assistant):
    reply = assistant.reply("奶奶胸口疼，直冒冷汗")
    shown = [entry.department.id for entry in reply.triage.suggested]
    assert shown == ["emergency", "cardiology"]
    assert [reply.card.first.department.id, *(entry.department.id for entry in reply.card.alternatives)] == shown
    assert len(reply.hand_off.departments) == len(shown) <= MAX_SUGGESTED


def test_a_department_that_stands_for_several_is_named_once_at_its_best_place():
    departments = load_departments()
    one, other = departments["cardiology"], departments["neurology"]
    ranked = [
        RankedDepartment(one, 0.5, "…", False),
        RankedDepartment(other, 0.3, "…"),
        RankedDepartment(one, 0.1, "…"),
    ]
    named = each_once(ranked)
    assert [(entry.department.id, entry.score, entry.suggested) for entry in named] == [
        ("cardiology", 0.5, True),
        ("neurology", 0.3, True),
    ]


def test_a_guide_named_speaks_for_its_departments(assistant):
    named = assistant.dialogue.departments_named("拉肚子", "zh", "拉肚子")
    assert max(named, key=lambda name: named[name]) == "gastroenterology" and named["gastroenterology"] > 0.5
    assert not assistant.dialogue.departments_named("不舒服", "zh", "不舒服")
