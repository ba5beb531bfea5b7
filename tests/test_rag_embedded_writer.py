"""The small model that ships: it answers with the passages' own sentences, and is found by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("bitsandbytes")

from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from knowledge.errors import InvalidSettings, WriterUnavailable
from rag.chat_models import EMBEDDED, load_writer
from rag.config import Settings
from rag.evidence_search import Asked, gather_evidence
from rag.gates import Admitted, judge
from rag.model_writer import ModelWriter
from rag.reading_order import telling_sentences
from rag.word_for_word import quotable
from rag.writers import ExtractiveWriter
from rag.written_answer import written_answer

FOLDER = Path(__file__).parents[1] / "rag" / "models" / "writer"
QUESTIONS = [
    ("高血压患者每天能吃多少盐", "zh"),
    ("感冒了平时要注意什么", "zh"),
    ("Can I exercise with asthma?", "en"),
    ("How is a sprained ankle treated at home?", "en"),
]


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    return load_writer(Settings(tmp_path_factory.mktemp("home"), model=EMBEDDED))


@pytest.mark.parametrize(("question", "language"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_every_sentence_is_one_of_the_passages_and_the_answer_is_under_its_name(assistant, writer, question, language):
    evidence = gather_evidence(Asked.alone(question, language), assistant.search.current(), 6)
    assert evidence is not None
    drafts = list(writer.write(evidence))
    assert len(drafts) >= 2 and all(draft.text in draft.passages[0].text for draft in drafts)
    judged = [judge(draft, evidence) for draft in drafts]
    assert all(isinstance(one, Admitted) and one.sentence is draft for one, draft in zip(judged, drafts, strict=True))
    said = written_answer(writer, evidence)
    while True:
        try:
            next(said)
        except StopIteration as end:
            assert end.value.writer == EMBEDDED and not end.value.note
            break


@pytest.mark.parametrize(
    "question", ["When should I worry about a headache?", "When should I go to hospital with a fever?"]
)
def test_when_to_hurry_is_told_last_and_in_the_order_of_the_documents(assistant, writer, question):
    evidence = gather_evidence(Asked.alone(question, "en"), assistant.search.current(), 6)
    assert evidence is not None
    own = [draft.text for draft in ExtractiveWriter().write(evidence) if draft.part == "danger"]
    drafts = list(writer.write(evidence))
    told = [draft.text for draft in drafts if draft.part == "danger"]
    assert told and told == [text for text in own if text in told]
    assert [draft.part for draft in drafts[-len(told) :]] == ["danger"] * len(told)


def test_a_model_that_fails_half_way_keeps_what_it_chose(assistant):
    evidence = gather_evidence(Asked.alone(*QUESTIONS[0]), assistant.search.current(), 6)
    assert evidence is not None
    first, second = quotable(evidence, telling_sentences(evidence)).sentences[:2]

    class Breaks(FakeListChatModel):
        def _stream(self, *arguments, **options):
            yield ChatGenerationChunk(message=AIMessageChunk(content=first + second))
            raise WriterUnavailable("gone")

    writer = ModelWriter(Breaks(responses=[""]), "fake", remote=False, seconds=20, word_for_word=True)
    chosen = []
    with pytest.raises(WriterUnavailable):
        for draft in writer.write(evidence):
            chosen.append(draft.text)
    assert chosen and all(text in first + second for text in chosen)


def test_by_whatever_path_it_is_named_it_has_its_adapter_and_is_held(tmp_path, monkeypatch):
    monkeypatch.chdir(FOLDER.parent)
    writer = load_writer(Settings(tmp_path, model="writer"))
    assert writer.name == EMBEDDED and writer.word_for_word


def test_it_takes_no_other_adapter(tmp_path):
    with pytest.raises(InvalidSettings, match="its own"):
        load_writer(Settings(tmp_path, model=EMBEDDED, adapter=str(tmp_path)))


def test_what_ships_is_small_and_names_no_place_it_was_made_in():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40_000_000
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jinja", ".md"}
    texts = [
        path.read_text(encoding="utf-8")
        for path in files
        if path.suffix in (".json", ".md") and path.name != "tokenizer.json"
    ]
    assert not any("/tmp" in text or "/root" in text for text in texts)
