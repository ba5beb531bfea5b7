"""How medicines are named and how doses and instructions about them are worded, read from medicines.yaml."""

from __future__ import annotations

from functools import cache

from knowledge.records import KNOWLEDGE_DIR, Bilingual, Record, Text, read_yaml, validated


class MedicineNames(Record):
    """Endings shared by nonproprietary names, whole words, and forms that Chinese product names end in."""

    zh_endings: tuple[Text, ...]
    zh_words: tuple[Text, ...]
    zh_forms: tuple[Text, ...]
    en_endings: tuple[Text, ...]
    en_words: tuple[Text, ...]


class InstructionWording(Record):
    """Expressions of an instruction about a medicine; `{medicine}` stands for any name.

    left_to_doctor and descriptive: what makes a clause none; hard: an instruction even where the clause describes.
    """

    zh_change: Text
    zh_amount_change: Text
    zh_start: Text
    zh_bare: Text
    zh_imperative: Text
    zh_left_to_doctor: Text
    zh_descriptive: Text
    zh_hard: Text
    en_verbs: Text
    en_objects: Text
    en_modals: Text
    en_frames: Text


class MedicineWording(Record):
    """All of medicines.yaml. replacement: said instead of a sentence; mark: put in place of one inside a quote."""

    names: MedicineNames
    dose_always: tuple[Text, ...]
    frequency: tuple[Text, ...]
    frequency_is_not_dose: Bilingual
    medicine_context: Bilingual
    instructions: InstructionWording
    asks_for_dose: tuple[Text, ...]
    replacement: Bilingual
    mark: Bilingual


@cache
def load_medicines() -> MedicineWording:
    """The shipped wording. Raises InvalidKnowledge naming file and line."""
    path = KNOWLEDGE_DIR / "medicines.yaml"
    return validated(MedicineWording, read_yaml(path), path)
