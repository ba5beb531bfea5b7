"""What a hospital says of itself is used, and can make nothing less safe."""

from __future__ import annotations

import dataclasses

import pytest

from knowledge.departments import load_departments
from knowledge.errors import InvalidKnowledge
from knowledge.hospital import load_hospital, with_hospital_flags
from knowledge.red_flags import load_red_flags
from knowledge.urgency import UrgencyLevel
from rag import load_assistant
from rag.config import Settings
from rag.red_flag_matcher import RedFlagMatcher

IDS = tuple(load_departments())
FLAG = """
- id: {id}
  level: {level}
  name: {{zh: 本院蛇伤, en: Snake bite here}}
  patterns: {{zh: [蝮蛇..咬], en: [pit viper .. bit~]}}
  advice: {{zh: 马上来本院急诊。, en: Come to our emergency department now.}}
  triggers: {{zh: [被蝮蛇咬了], en: [a pit viper bit me]}}
  near_misses: {{zh: [没有被蝮蛇咬], en: [no pit viper bit me]}}
  basis: general clinical knowledge
"""


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


def test_a_hospitals_names_places_and_gaps_reach_the_patient(assistant, built_home, tmp_path):
    write(
        tmp_path,
        "departments.csv",
        "id,name_zh,available,instead,place,hours\nsports_medicine,,no,orthopaedics,,\northopaedics,骨一科,yes,,3号楼2层,周一至周五\n",
    )
    here = load_assistant(dataclasses.replace(Settings(built_home), hospital_dir=str(tmp_path)))
    names = [entry.department.name.zh for entry in here.reply("打球膝盖扭了，半月板损伤想看看").triage.departments]
    assert "骨一科" in names and "运动医学/关节科" not in names


def test_the_same_list_as_yaml(tmp_path):
    write(tmp_path, "departments.yaml", "- id: tuberculosis\n  available: false\n  instead: respiratory_medicine\n")
    assert load_hospital(tmp_path, IDS).destination("tuberculosis") == "respiratory_medicine"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,available\nnonsense,yes\n", "departments.csv:2: no department 'nonsense'"),
        ("id,available\nallergy,maybe\n", "departments.csv:2: available is 'maybe'"),
        ("id,available\nallergy,no\n", "departments.csv:2: allergy is not available"),
        ("id,color\nallergy,red\n", "departments.csv:1: unknown column 'color'"),
        ("id,available\nallergy,yes\nallergy,yes\n", "departments.csv:3: allergy stands twice"),
        ("id,available\nemergency,no\n", "departments.csv:2: no emergency department here"),
    ],
)
def test_a_mistake_in_the_list_is_named_by_file_and_line(text, problem, tmp_path):
    write(tmp_path, "departments.csv", text)
    with pytest.raises(InvalidKnowledge, match=problem.replace("'", ".")):
        load_hospital(tmp_path, IDS)


def test_a_hospital_may_add_a_red_flag(tmp_path):
    write(tmp_path, "red_flags/local.yaml", FLAG.format(id="pit_viper_here", level="I"))
    matcher = RedFlagMatcher(*with_hospital_flags(tmp_path))
    assert "pit_viper_here" in {found.flag.id for found in matcher.read("我爸被蝮蛇咬了").raised}


def test_a_hospital_may_raise_a_flag_but_never_lower_one(tmp_path):
    ours = next(flag for flag in load_red_flags().values() if flag.level is UrgencyLevel.III)
    write(tmp_path, "red_flags/local.yaml", FLAG.format(id=ours.id, level="II"))
    assert with_hospital_flags(tmp_path)[0][ours.id].level is UrgencyLevel.II
    write(tmp_path, "red_flags/local.yaml", FLAG.format(id=ours.id, level="IV"))
    with pytest.raises(InvalidKnowledge, match="never lowered"):
        with_hospital_flags(tmp_path)


def test_a_broken_red_flag_file_stops_the_start(tmp_path, built_home):
    write(tmp_path, "red_flags/local.yaml", "- id: half\n  level: II\n")
    with pytest.raises(InvalidKnowledge, match="local.yaml"):
        load_assistant(dataclasses.replace(Settings(built_home), hospital_dir=str(tmp_path)))


def test_hospital_files_that_are_not_lists_are_named(tmp_path):
    write(tmp_path, "departments.yaml", "id: x")
    with pytest.raises(InvalidKnowledge, match="departments.yaml"):
        load_hospital(tmp_path, IDS)
