"""Writers side by side on the same evidence: what they write, what the gates let through, how fast.

    python -m tests.benchmarks.writers tests/data/answers.jsonl --writer extractive --writer models/tuned
    python -m tests.benchmarks.writers tests/data/answers.jsonl --writer models/tuned --writer extractive --blind pairs.jsonl

Every question that serving would hand to a writer is handed to each of them. Survived: of the sentences written, those
the gates let through as they are. --blind writes the whole answers of the first two writers in an order drawn by chance,
to be read by somebody who does not know whose is whose; the key stands in a file beside it.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rag.assistant import Assistant, load_assistant
from rag.chat_models import load_writer
from rag.config import load_settings, quiet_libraries
from rag.dialogue import language_of
from rag.evaluation_answers import GUIDES, AnswerCase, read_cases
from rag.evidence import DraftSentence, Evidence
from rag.evidence_search import Asked, gather_evidence
from rag.gates import Admitted, judge
from rag.intervals import clopper_pearson
from rag.writers import Writer
from rag.written_answer import written_answer

QUOTING = "quoting:"


@dataclass
class Written:
    """What one writer did. seconds: until its last sentence, of the questions it was asked."""

    name: str
    asked: int = 0
    abstained: int = 0
    sentences: int = 0
    survived: int = 0
    right_guide: int = 0
    abstained_rightly: int = 0
    answerable: int = 0
    seconds: list[float] = field(default_factory=list)
    characters: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def measure(writer: Writer, cases: list[tuple[AnswerCase, Evidence]]) -> Written:
    """What the writer makes of each case's evidence."""
    figures = Written(writer.name)
    for case, evidence in cases:
        begun = time.perf_counter()
        drafts = list(writer.write(evidence))
        figures.seconds.append(time.perf_counter() - begun)
        figures.asked += 1
        figures.answerable += case.answerable
        figures.abstained += not drafts
        figures.abstained_rightly += not drafts and not case.answerable
        figures.sentences += len(drafts)
        figures.characters += sum(len(draft.text) for draft in drafts)
        kept = [draft for draft in drafts if _stands(draft, evidence, figures)]
        figures.survived += len(kept)
        wanted = {GUIDES + guide for guide in case.guides}
        figures.right_guide += case.answerable and any(
            one.source_id in wanted for draft in kept for one in draft.passages
        )
    return figures


def _stands(draft: DraftSentence, evidence: Evidence, figures: Written) -> bool:
    judged = judge(draft, evidence)
    if isinstance(judged, Admitted):
        return judged.sentence is draft
    figures.refused.append((judged.gate, draft.text))
    return False


def handed_over(assistant: Assistant, cases: list[AnswerCase], k: int) -> Iterator[tuple[AnswerCase, Evidence]]:
    """The cases serving would ask a writer, with their evidence."""
    for case in cases:
        evidence = gather_evidence(Asked.alone(case.question, language_of(case.question)), assistant.search, k)
        if evidence is not None:
            yield case, evidence


def whole_answer(writer: Writer, evidence: Evidence) -> str:
    """What a patient would read."""
    said = written_answer(writer, evidence)
    while True:
        try:
            next(said)
        except StopIteration as end:
            return end.value.text if end.value else "(no answer)"


def blind_pairs(writers: list[Writer], cases: list[tuple[AnswerCase, Evidence]], path: Path, seed: int) -> None:
    rng, key = random.Random(seed), {}
    with path.open("w", encoding="utf-8") as file:
        for number, (case, evidence) in enumerate(cases):
            order = writers[:2]
            rng.shuffle(order)
            key[number] = [one.name for one in order]
            texts = [whole_answer(one, evidence) for one in order]
            file.write(json.dumps({"number": number, "question": case.question, "A": texts[0], "B": texts[1]}, ensure_ascii=False) + "\n")  # fmt: skip
    path.with_suffix(".key.json").write_text(json.dumps(key), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument(
        "--writer",
        action="append",
        required=True,
        help="extractive, a folder, or folder+adapter; before it `quoting:` for a model held to the passages' sentences",
    )
    parser.add_argument("--at-most", type=int, default=0, help="so many of the questions, drawn by chance")
    parser.add_argument("--blind", type=Path)
    parser.add_argument("--refused", action="store_true", help="list what the gates refused")
    asked = parser.parse_args()
    quiet_libraries()
    settings = load_settings()
    assistant = load_assistant(settings)
    cases = list(handed_over(assistant, read_cases(asked.cases), settings.passages_per_answer))
    if 0 < asked.at_most < len(cases):
        cases = random.Random(asked.at_most).sample(cases, asked.at_most)
    print(f"{len(cases)} questions reach a writer")
    writers = []
    for name in asked.writer:
        model, _, adapter = name.removeprefix(QUOTING).partition("+")
        chosen = replace(settings, model="" if model == "extractive" else model, adapter=adapter)
        writers.append(load_writer(replace(chosen, word_for_word=name.startswith(QUOTING))))
    print("| writer | sentences | survived (95 %) | right guide | abstained, rightly | characters an answer | p50 s |")
    print("|---|---|---|---|---|---|---|")
    for name, writer in zip(asked.writer, writers, strict=True):
        found = measure(writer, cases)
        low, high = clopper_pearson(found.survived, found.sentences) if found.sentences else (0.0, 0.0)
        answered = max(1, found.asked - found.abstained)
        print(
            f"| {name} | {found.sentences} | {found.survived / max(1, found.sentences):.3f} ({low:.3f}-{high:.3f}) "
            f"| {found.right_guide}/{found.answerable} | {found.abstained}, {found.abstained_rightly} "
            f"| {found.characters / answered:.0f} | {statistics.median(found.seconds):.2f} |"
        )
        if asked.refused:
            for gate, text in found.refused:
                print(f"  refused by {gate}: {text}")
    if asked.blind:
        blind_pairs(writers, cases, asked.blind, 7)


if __name__ == "__main__":
    main()
