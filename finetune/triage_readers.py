"""Readers of consultations and complaints that say which department they belong to, or how urgent they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finetune.records import DialogueRecord, InvalidRecord, dialogue, shape_of
from finetune.row_fields import department_tags, field
from finetune.turns import spoken_text


def department_consultation(row: Any) -> Iterator[DialogueRecord]:
    """{"department": "心血管科", "title": "能跑步吗", "ask": "血压偏高能跑步吗？", "answer": "先量血压。"} (Toyhom; CSV in GBK too)"""
    title, ask = spoken_text(field(row, "title", "ask"), "title"), spoken_text(field(row, "ask", "title"), "ask")
    asked = title if ask in ("无", "") else ask if title in ask else f"{title}\n{ask}"
    yield dialogue(
        asked,
        spoken_text(field(row, "answer"), "answer"),
        tags=department_tags({"department": field(row, "department")}),
    )


def symptom_department(row: Any) -> Iterator[DialogueRecord]:
    """{"症状": "鼻出血", "疾病": "鼻出血", "icd-10": "R04.000", "某院科室": "耳鼻咽喉科"}: which department a symptom goes to"""
    name = next((key for key in row if str(key).endswith("科室")), None)
    if name is None:
        raise InvalidRecord(f"a column that ends with 科室, found {shape_of(row)}")
    department = spoken_text(row[name], name)
    symptom = spoken_text(field(row, "症状"), "症状")
    yield dialogue(f"{symptom}，应该挂哪个科？", department, tags=("routing", f"department:{department}"))


def urgency_vignette(row: Any) -> Iterator[DialogueRecord]:
    """{"patient_realistic": "My chest feels tight.", "gold_standard_triage": "A", "gold_standard_label": "Call an ambulance"}"""
    level = spoken_text(field(row, "gold_standard_triage"), "gold_standard_triage")
    label = spoken_text(field(row, "gold_standard_label"), "gold_standard_label")
    for wording in ("patient_realistic", "patient_minimal", "original_structured"):
        if row.get(wording):
            yield dialogue(spoken_text(row[wording], wording), label, tags=("urgency", f"urgency:{level}", wording))
