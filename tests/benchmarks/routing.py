"""How well the router finds the department, on the project's own held-apart phrases and on public sets given by path.

    python -m tests.benchmarks.routing [--triage DIR] [--shallow] [--errors 20]

--shallow ranks by names and conditions alone, as the seed's generic paragraphs did: the "before" of RESULTS.md.
Scored before the emergency override: what is measured is the choice of department. Of Toyhom and CMtMedQA only rows
that the embedder did not train on are scored.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finetune.embedder_pairs import consultation_key, split_of
from knowledge.departments import EMERGENCY_ID, Department, load_departments
from knowledge.hospital import load_hospital, with_hospital_flags
from knowledge.replies import MAX_SUGGESTED
from knowledge.self_care import load_self_care
from knowledge.urgency import UrgencyLevel
from rag.embedder import load_embedder
from rag.red_flag_matcher import RedFlagMatcher
from rag.routing import RoutingIndex, RoutingWeights, admitted, patient_log_odds
from rag.triage import TriageContext, decide_triage

HERE = Path(__file__).resolve().parent
OWN = HERE.parent / "data" / "routing_phrases.jsonl"
HELD_OUT = {  # by finetune/configs/embedder.toml's test_share, of 20 parts
    "toyhom": lambda row: split_of(consultation_key(row), 6) != "train",
    "cmtmedqa": lambda row: "id" in row and split_of(row["id"], 10) != "train",  # safety probes have none
}


@dataclass(frozen=True)
class Case:
    """text: what the patient says; right: our departments, any of which counts; labels: the label space, or None for all."""

    text: str
    right: frozenset[str]
    labels: frozenset[str] | None


def own_cases() -> list[Case]:
    rows = (json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines())
    return [Case(row["text"], frozenset([row["department"]]), None) for row in rows]


def public_cases(folder: Path) -> Iterator[tuple[str, list[Case], int]]:
    """(set's name, cases, rows left out: trained on, or their label is not mapped)."""
    maps = tomllib.loads((HERE / "label_maps.toml").read_text(encoding="utf-8"))
    readers = {"toyhom": ("toyhom_internal_medicine.jsonl", _toyhom), "cmtmedqa": ("cmtmedqa_test.jsonl", _cmtmedqa)}
    readers |= {name: (f"{name}.jsonl", _pgbench) for name in maps if name.startswith("pgbench_")}
    for name, (file, texts_and_labels) in readers.items():
        path = folder / file
        if not path.is_file():
            print(f"{name}: {path} is not there; left out")
            continue
        mapping = {label: frozenset(ids) for label, ids in maps[name].items()}
        space = frozenset().union(*mapping.values())
        cases, left_out = [], 0
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            if name in HELD_OUT and not HELD_OUT[name](row):
                left_out += 1
                continue
            text, labels = texts_and_labels(row)
            right = frozenset().union(*(mapping.get(label, frozenset()) for label in labels))
            if right and text.strip():
                cases.append(Case(text, right, space))
            else:
                left_out += 1
        yield name, cases, left_out


def _toyhom(row: dict) -> tuple[str, list[str]]:
    return f"{row['title']}\n{row['ask']}", [row["department"]]


def _cmtmedqa(row: dict) -> tuple[str, list[str]]:
    said = [turn[0] for turn in row.get("history") or []] or [row.get("instruction", "")]
    return "\n".join(said), [row["cate1"]] if row.get("cate1") else []


def _pgbench(row: dict) -> tuple[str, list[str]]:
    said = [line.removeprefix("患者：") for line in row["dialogue"].splitlines() if line.startswith("患者：")]
    return "\n".join(said), [label.strip(",，") for label in row["departments"]]


class Ranker:
    """The shipped router over given departments."""

    def __init__(self, departments: dict[str, Department], weights: RoutingWeights = RoutingWeights()) -> None:
        self.departments = departments
        self.embedder = load_embedder()
        self.index = RoutingIndex.build(departments, self.embedder)
        self.matcher = RedFlagMatcher(*with_hospital_flags(None))
        self.weights = weights
        self.context = TriageContext(departments, load_hospital(None, tuple(departments)), load_self_care())

    def ranked(self, case: Case) -> list[str]:
        patient = self.matcher.read(case.text).patient
        query = self.embedder.encode_queries([case.text])[0]
        scores = {}
        for score in self.index.scores(case.text, query, self.weights):
            department = self.departments[score.department_id]
            outside = case.labels is not None and department.id not in case.labels
            if (
                outside
                or (case.labels is not None and department.id == EMERGENCY_ID)
                or not admitted(department, patient)
            ):
                continue
            scores[department.id] = score.log_odds + patient_log_odds(department, patient, self.weights)
        return sorted(scores, key=lambda department_id: -scores[department_id])

    def suggested(self, case: Case) -> list[str]:
        """What a patient is shown, the emergency department of levels I and II apart."""
        findings = self.matcher.read(case.text)
        query = self.embedder.encode_queries([case.text])[0]
        scores = self.index.scores(case.text, query, self.weights)
        decision = decide_triage(findings, scores, UrgencyLevel.HOME, self.context, "zh")
        override = decision.urgency >= UrgencyLevel.II
        return [entry.department.id for entry in decision.departments[override:] if entry.suggested][:MAX_SUGGESTED]


def shallow(departments: dict[str, Department]) -> dict[str, Department]:
    """The departments without their complaints."""
    return {
        key: record.model_copy(update={"complaints": type(record.complaints)()}) for key, record in departments.items()
    }


def accuracy(ranker: Ranker, cases: list[Case]) -> tuple[float, float, list[tuple[Case, list[str]]]]:
    """Share of cases with a right department first, and among the first three; and the cases not first."""
    places, wrong = [], []
    for case in cases:
        ranking = ranker.ranked(case)
        place = next((number for number, department_id in enumerate(ranking) if department_id in case.right), 999)
        places.append(place)
        if place:
            wrong.append((case, ranking[:3]))
    found = np.array(places)
    return float((found < 1).mean()), float((found < 3).mean()), wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triage", type=Path, help="folder with the public sets")
    parser.add_argument("--shallow", action="store_true")
    parser.add_argument("--errors", type=int, default=0, help="print so many wrong cases of each set")
    chosen = parser.parse_args()
    departments = shallow(load_departments()) if chosen.shallow else load_departments()
    ranker = Ranker(departments)
    sets = [("own phrases", own_cases(), 0)] + (list(public_cases(chosen.triage)) if chosen.triage else [])
    print(f"{'set':24} {'n':>6} {'left out':>8} {'top-1':>7} {'top-3':>7}")
    for name, cases, left_out in sets:
        top1, top3, wrong = accuracy(ranker, cases)
        print(f"{name:24} {len(cases):6} {left_out:8} {top1:7.3f} {top3:7.3f}")
        for case, ranking in wrong[: chosen.errors]:
            print(
                "   ", case.text[:80].replace("\n", " "), "|", ",".join(sorted(case.right))[:40], "|", ",".join(ranking)
            )
    shown = [ranker.suggested(case) for case in own_cases()]
    held = [bool(case.right.intersection(ids)) for case, ids in zip(own_cases(), shown, strict=True)]
    print(
        f"own phrases, as shown: {np.mean(held):.3f} held, {np.mean([len(ids) for ids in shown]):.2f} departments each"
    )


if __name__ == "__main__":
    main()
