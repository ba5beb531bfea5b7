"""The knowledge as a whole: it loads, it is complete, and `daozhen knowledge check` finds every kind of fault."""

from __future__ import annotations

import dataclasses

import pytest

from knowledge.departments import EMERGENCY_ID, Department, load_departments
from knowledge.errors import InvalidKnowledge
from knowledge.guidelines import load_guides, read_guide
from knowledge.records import KNOWLEDGE_DIR, read_yaml, validated
from knowledge.red_flags import load_red_flags, load_signs
from knowledge.self_care import load_self_care
from rag.knowledge_check import Knowledge, find_faults
from rag.knowledge_coverage import coverage_rows, flag_rows, source_rows


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return Knowledge(load_departments(), load_signs(), load_red_flags(), load_guides(), load_self_care())


def test_the_shipped_knowledge_has_no_fault(knowledge):
    assert [str(fault) for fault in find_faults(knowledge)] == []


def test_there_is_enough_of_everything(knowledge):
    assert len(knowledge.departments) >= 80 and len(knowledge.flags) >= 150 and len(knowledge.guides) >= 150
    assert EMERGENCY_ID in knowledge.departments and "fever_clinic" in knowledge.departments
    assert coverage_rows(knowledge)[-1][1] == str(len(knowledge.departments))
    assert flag_rows(knowledge)[-1][1] == str(len(knowledge.flags))
    assert source_rows(knowledge)[1][1] == str(len(knowledge.departments))


def changed(knowledge: Knowledge, **values) -> Knowledge:
    department = knowledge.departments["cardiology"].model_copy(update=values)
    return dataclasses.replace(
        knowledge, departments={**knowledge.departments, "cardiology": department}, flags={}, guides={}
    )


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (lambda record: {"complaints": record.complaints.model_copy(update={"en": ()})}, "0 en complaints"),
        (
            lambda record: {"boundaries": (record.boundaries[0].model_copy(update={"belongs_to": "nowhere"}),)},
            "boundary leads to 'nowhere'",
        ),
        (lambda record: {"questions": (record.questions[0], record.questions[0])}, "is used 2 times"),
        (
            lambda record: {"complaints": load_departments()["neurology"].complaints},
            "is a complaint of cardiology, neurology",
        ),
        (lambda record: {"referral_only": True}, "referral_only, yet it has complaints"),
    ],
)
def test_a_fault_is_named_with_file_and_line(values, problem, knowledge):
    faults = [str(fault) for fault in find_faults(changed(knowledge, **values(knowledge.departments["cardiology"])))]
    assert any(problem in fault for fault in faults), faults[:3]
    assert all(fault.startswith("knowledge/") and fault.split(":")[1].isdigit() for fault in faults)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id: [", "x.yaml:"),
        ("- a\n- b\n", "expected `key: value` lines"),
        ("id: x\nname: {zh: 甲, en: X}\ncolour: red\n", "x.yaml"),
        ("id: x\ngroup: nonsense\n", "x.yaml"),
    ],
)
def test_a_broken_record_is_one_line_that_names_file_and_place(text, problem, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidKnowledge) as told:
        validated(Department, read_yaml(path), path)
    assert problem in str(told.value) and "\n" not in str(told.value)


def test_a_record_without_source_or_basis_is_refused(tmp_path):
    values = read_yaml(KNOWLEDGE_DIR / "departments" / "cardiology.yaml")
    values.pop("basis", None)
    values.pop("sources", None)
    with pytest.raises(InvalidKnowledge, match="basis"):
        validated(Department, values, KNOWLEDGE_DIR / "departments" / "cardiology.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no front matter", "front matter"),
        (
            "---\nid: y\ntitle: {zh: 甲, en: X}\ndepartments: []\nsynonyms: {}\nbasis: general clinical knowledge\n---\n",
            "rename the file",
        ),
        (
            "---\nid: x\ntitle: {zh: 甲, en: X}\ndepartments: []\nsynonyms: {}\nbasis: general clinical knowledge\n---\n## 胡写\n",
            "x.md:8: unknown heading",
        ),
    ],
)
def test_a_broken_guide_is_one_line_that_names_file_and_place(text, problem, tmp_path):
    path = tmp_path / "x.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidKnowledge, match=problem):
        read_guide(path)


def test_a_department_with_too_few_guides_is_named(knowledge):
    faults = [str(fault) for fault in find_faults(dataclasses.replace(knowledge, flags={}, guides={}))]
    assert "knowledge/departments/cardiology.yaml:1: 0 guides name this department; at least 3" in faults


def test_a_paragraph_that_stands_in_two_guides_is_named_with_both(knowledge):
    chest, head = knowledge.guides["chest_pain"], knowledge.guides["headache"]
    copied = head.model_copy(update={"sections": (*head.sections[1:], chest.sections[0])})
    guides = {**knowledge.guides, "headache": copied}
    faults = [str(fault) for fault in find_faults(dataclasses.replace(knowledge, guides=guides))]
    assert any("headache.md" in fault and "word for word in chest_pain" in fault for fault in faults), faults
