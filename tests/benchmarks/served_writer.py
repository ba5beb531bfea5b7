"""What a served model's faults cost a reply: seconds until the answer is whole, who wrote it, and what was shown.

    python -m tests.benchmarks.served_writer

The server is tests/served_model.py (real HTTP on this machine), the limits are the defaults. No model is measured here:
the server quotes the passages, so that all the time is its own pauses and ours.
"""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rag import load_assistant
from rag.chat_models import load_writer
from rag.config import Settings, load_settings, quiet_libraries
from rag.evidence_search import Asked, gather_evidence
from rag.writers import ExtractiveWriter
from tests.served_model import NAME, Plan, Request, ServedModel, answered, dies_after, ends_after, refuses, says, speak
from ui.ready import ensure_index

QUESTION = "高血压患者每天能吃多少盐"
AT_ONCE = 50


def plans_for(said: list[str]) -> dict[str, list[Plan]]:
    def half_json(request: Request) -> None:
        request.begin()
        request.raw('data: {"choices": [{"delta": {"con\n\n')
        request.end()

    def silent(request: Request) -> None:
        request.begin()
        speak(request, "".join(request.quoted(said[:2])) + "高血压")
        threading.Event().wait(15)

    def silent_from_the_start(request: Request) -> None:
        threading.Event().wait(25)

    return {
        "well": [says(said)],
        "429, Retry-After 1 s, then well": [refuses(429, Retry_After="1"), says(said)],
        "429, Retry-After an hour": [refuses(429, Retry_After="3600")],
        "500 twice, then well": [refuses(500), refuses(500), says(said)],
        "500 always": [refuses(500)],
        "401": [refuses(401)],
        "half a JSON": [half_json],
        "reset in mid-answer": [dies_after(said[:2], "高血压")],
        "closed in mid-answer": [ends_after(said[:2], "高血压")],
        "silent in mid-answer": [silent],
        "silent from the start": [silent_from_the_start],
    }


def main() -> None:
    quiet_libraries()
    settings = load_settings()
    ensure_index(settings)
    assistant = load_assistant(settings)
    evidence = gather_evidence(Asked.alone(QUESTION, "zh"), assistant.search.current(), 6)
    assert evidence is not None
    begun = time.perf_counter()
    own = answered(evidence, ExtractiveWriter())
    print(f"{'the passages own sentences':34} {time.perf_counter() - begun:6.2f} s")
    said = [sentence.text for sentence in own.sentences if sentence.part != "danger"][:3]
    dangers = {sentence.text for sentence in own.sentences if sentence.part == "danger"}

    def show(name: str, url: str) -> None:
        writer = load_writer(Settings(Path("/nonexistent"), model=f"openai:{NAME}", model_url=url))
        begun = time.perf_counter()
        answer = answered(evidence, writer)
        seconds = time.perf_counter() - begun
        kept = sum(sentence.text in said for sentence in answer.sentences)
        told = dangers <= {sentence.text for sentence in answer.sentences}
        print(
            f"{name:34} {seconds:6.2f} s  {answer.writer:18} {kept} of its sentences, danger told: {told}; {answer.note}"
        )

    for name, plans in plans_for(said).items():
        with ServedModel(*plans) as server:
            show(name, server.url)
    show("nobody there", server.url)
    with ServedModel(says(said, pause=0.05)) as server:
        writer = load_writer(Settings(Path("/nonexistent"), model=f"openai:{NAME}", model_url=server.url))

        def one(_: int) -> tuple[str, float]:
            begun = time.perf_counter()
            return answered(evidence, writer).writer, time.perf_counter() - begun

        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(one, range(AT_ONCE)))
    by_model = sum(name != "extractive" for name, _ in found)
    cuts = statistics.quantiles([seconds for _, seconds in found], n=20)
    print(
        f"{AT_ONCE} at once: {by_model} by the model, {AT_ONCE - by_model} by the passages; at most {server.most_at_once} "
        f"asked of the server at a time; p50 {cuts[9]:.1f} s, p95 {cuts[18]:.1f} s"
    )


if __name__ == "__main__":
    main()
