"""A writer behind a server of this machine, and what it answers."""

from __future__ import annotations

from pathlib import Path

from knowledge.replies import CitedAnswer
from rag.chat_models import load_writer
from rag.config import Settings
from rag.evaluation_answers import stands_in_quote
from rag.evidence import Evidence
from rag.evidence_search import Asked, gather_evidence
from rag.served_writer import ServedLimits, ServedWriter
from tests.served_model import NAME, Plan, ServedModel, answered

SALT = "高血压患者每天能吃多少盐"
QUICK = ServedLimits(
    connect_seconds=1, first_seconds=3, stall_seconds=0.4, tries=3, at_once=4, wait_seconds=0.1, rest_after=100
)


def evidence_for(assistant, question: str) -> Evidence:
    found = gather_evidence(Asked.alone(question, "zh"), assistant.search.current(), 6)
    assert found is not None
    return found


def writer_at(url: str, limits: ServedLimits = QUICK, seconds: float = 5.0, **changes) -> ServedWriter:
    made = load_writer(Settings(Path("/nonexistent"), model=f"openai:{NAME}", model_url=url, **changes))
    return ServedWriter(made.chat_model, made.name, remote=made.remote, seconds=seconds, limits=limits)


def asked_of(evidence, *plans: Plan, **changes) -> tuple[CitedAnswer, ServedModel]:
    with ServedModel(*plans) as server:
        return answered(evidence, writer_at(server.url, **changes)), server


def assert_every_sentence_stands(answer: CitedAnswer, own: CitedAnswer) -> None:
    """Each in its quote, and whole: with its mark at the end, or a line of the documents that has none."""
    texts = [sentence.text for sentence in own.sentences]
    assert answer.sentences
    for sentence, citation in zip(answer.sentences, answer.citations, strict=True):
        assert stands_in_quote(sentence, citation)
        assert sentence.text in texts or sentence.text.endswith(tuple("。！？.!?")), sentence.text


def dangers_of(answer: CitedAnswer) -> list[str]:
    return [sentence.text for sentence in answer.sentences if sentence.part == "danger"]


def sayable(evidence: Evidence, own: CitedAnswer) -> list[str]:
    """At most three sentences a model may quote from what it is shown, none of them about when to hurry."""
    shown = "\n".join(passage.text for passage in evidence.keyed().values())
    return [one.text for one in own.sentences if one.part != "danger" and one.text in shown][:3]
