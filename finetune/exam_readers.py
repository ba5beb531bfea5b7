"""Readers of questions with options: examinations, and patient guidance with candidate departments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from finetune.records import ChoiceRecord, InvalidRecord, shape_of
from finetune.row_fields import field, optional
from finetune.turns import spoken_text

_OPTION = re.compile(r"(?:^|(?<=\n))\s*([A-Z])\s*[.、:：)\s]\s*")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def lettered_options(row: Any) -> Iterator[ChoiceRecord]:
    """{"Question": "…见于", "Options": "A 急性喉炎\\nB 百日咳", "Answer": "A", "Explanation": "…"} (CMExam)

    Options also as {"A": …} (CMB's `option`, MedQA, MLEC-QA) or a list of texts or of {key, value}; the answer as
    letters ("A", "AB", ["A", "B"]), MedQA's `answer_idx`, or the option's own text. Options without text are left out.
    """
    options = _options(field(row, "options", "option"))
    answer = row["answer_idx"] if isinstance(row.get("answer_idx"), str) else field(row, "answer")
    tags = tuple(
        f"{name}:{row[name]}"
        for name in ("exam_type", "exam_class", "question_type", "qtype", "meta_info")
        if isinstance(row.get(name), str) and row[name]
    )
    yield ChoiceRecord(
        spoken_text(field(row, "question", "qtext"), "question"),
        options,
        _answers(answer, options),
        optional(row, "Explanation", "explanation"),
        tags=tags,
    )


def numbered_options(row: Any) -> Iterator[ChoiceRecord]:
    """{"question": "…", "opa": "…", "opb": "…", "opc": "…", "opd": "…", "cop": 0, "exp": "…"} (MedMCQA; cop counts from 0)"""
    options = {letter: spoken_text(field(row, f"op{letter.lower()}")) for letter in "ABCD"}
    right = field(row, "cop")
    if not isinstance(right, int) or not 0 <= right < 4:
        raise InvalidRecord(f"cop from 0 to 3, found {right!r:.20}")
    yield ChoiceRecord(spoken_text(field(row, "question")), options, ("ABCD"[right],), optional(row, "exp"))


def research_question(row: Any) -> Iterator[ChoiceRecord]:
    """{"question": "…?", "context": {"contexts": ["…"]}, "long_answer": "…", "final_decision": "yes"} (PubMedQA; in capitals in its own file)"""
    context = field(row, "context", "contexts")
    context = context.get("contexts", []) if isinstance(context, dict) else context
    decision = spoken_text(field(row, "final_decision"), "final_decision").lower()
    options = {"A": "yes", "B": "no", "C": "maybe"}
    letter = next((letter for letter, text in options.items() if text == decision), None)
    if letter is None:
        raise InvalidRecord(f"final_decision yes, no or maybe, found {decision[:20]!r}")
    question = f"{spoken_text(context, 'contexts')}\n{spoken_text(field(row, 'question'))}"
    yield ChoiceRecord(question, options, (letter,), spoken_text(field(row, "long_answer")))


def patient_guidance(row: Any) -> Iterator[ChoiceRecord]:
    """{"dialogue": "患者：牙疼（女，30岁）", "candidates": ["牙周病专业", "其他"], "departments": ["牙周病专业"]}"""
    candidates, right = field(row, "candidates"), field(row, "departments")
    if not (
        isinstance(candidates, list)
        and isinstance(right, list)
        and all(isinstance(name, str) for name in [*candidates, *right])
    ):
        raise InvalidRecord(f"candidates and departments to be lists of names, found {shape_of(row)}")
    if len(candidates) > len(_LETTERS):
        raise InvalidRecord(f"at most {len(_LETTERS)} candidates, found {len(candidates)}")
    right = [name if name in candidates else f"{name}专业" for name in right]  # some rows leave the ending out
    missing = [name for name in right if name not in candidates]
    if missing:
        raise InvalidRecord(f"departments among the candidates, found {len(missing)} that are not")
    options = dict(zip(_LETTERS, candidates, strict=False))
    letters = tuple(letter for letter, name in options.items() if name in right)
    yield ChoiceRecord(spoken_text(field(row, "dialogue")), options, letters, tags=("routing",))


def _options(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        text = value.replace("\\n", "\n")
        marks = list(_OPTION.finditer(text))
        ends = [*(mark.start() for mark in marks[1:]), len(text)]
        options = {mark[1]: text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}
    elif isinstance(value, dict):
        options = {str(letter).strip(): text.strip() for letter, text in value.items() if isinstance(text, str)}
    elif isinstance(value, list) and len(value) <= len(_LETTERS):
        options = {}
        for letter, item in zip(_LETTERS, value, strict=False):
            if isinstance(item, dict):
                options[str(item.get("key", letter))] = spoken_text(item.get("value"), "value")
            else:
                options[letter] = re.sub(rf"^{letter}\s*[.、:：)]\s*", "", spoken_text(item, "options"))
    else:
        raise InvalidRecord(f"options as a text with letters, an object or a list, found {shape_of(value)}")
    return {letter: text for letter, text in options.items() if text}


def _answers(value: Any, options: dict[str, str]) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(dict.fromkeys(letter for item in value for letter in _answers(item, options)))
    text = spoken_text(value, "answer")
    if text in options:
        return (text,)
    whole = next((letter for letter, option in options.items() if option == text), None)
    if whole is not None:
        return (whole,)
    letters = tuple(dict.fromkeys(re.sub(r"[\s,，、;；]", "", text)))
    if not letters or any(letter not in options for letter in letters):
        raise InvalidRecord(f"an answer among {', '.join(options)}, found {text[:20]!r}")
    return letters
