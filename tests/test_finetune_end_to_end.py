"""The whole road on a tiny model in 4 bit: pt → sft → rm → dpo → ppo, merged, served, its answer through the gates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from knowledge.prompts import answer_messages
from knowledge.replies import CitedAnswer
from rag import load_assistant
from rag.config import Settings
from rag.evidence import DraftSentence, Evidence
from rag.gates import Admitted, judge
from rag.reading_order import in_reading_order, telling_sentences
from rag.sentences import split_sentences
from ui.cli import main

QUESTION = "高血压患者每天能吃多少盐"
CONFIG = """
stage = "{stage}"
name = "{stage}"
data = ["{stage}.jsonl"]
[base]
model = "BASE"
[adapter]
rank = 16
[training]
max_steps = {steps}
batch_size = 1
accumulate = 1
learning_rate = {rate}
max_tokens = 2048
warmup_share = 0.0
gradient_checkpointing = false
save_every = 500
{rest}
"""
PPO = "[ppo]\niterations = 1\nprompts_per_iteration = 2\nminibatch = 2\nmax_new_tokens = 24"
STEPS = {"pt": (4, 1e-3, ""), "sft": (60, 1e-2, ""), "rm": (3, 1e-3, ""), "dpo": (2, 1e-6, ""), "ppo": (0, 1e-6, PPO)}
PIPELINE = """
stage = "pipeline"
base = "{base}"
[[steps]]
name = "pt"
config = "pt.toml"
[[steps]]
name = "sft"
config = "sft.toml"
init_adapter = "pt"
[[steps]]
name = "rm"
config = "rm.toml"
init_adapter = "sft"
[[steps]]
name = "dpo"
config = "dpo.toml"
init_adapter = "sft"
[[steps]]
name = "ppo"
config = "ppo.toml"
init_adapter = "dpo"
reward = "rm"
"""


class Listening:
    """A writer that keeps the evidence it is given and writes nothing."""

    name, remote = "listening", False

    def __init__(self) -> None:
        self.evidence: Evidence | None = None

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        self.evidence = evidence
        yield from ()


@pytest.fixture(scope="module")
def lesson(built_home: Path) -> tuple[list[dict[str, str]], str]:
    """(messages as serving gives them, an answer the gates admit)."""
    listening = Listening()
    load_assistant(Settings(built_home, passages_per_answer=2), writer=listening).reply(QUESTION)
    assert listening.evidence is not None
    evidence = in_reading_order(listening.evidence, telling_sentences(listening.evidence))
    messages = answer_messages(
        evidence.question, evidence.numbered(), "zh", evidence.urgency.title("zh"), evidence.department
    )
    said = [
        (text, key)
        for key, passage in evidence.keyed().items()
        for text in (sentence.text.removeprefix("- ").strip() for sentence in split_sentences(passage.text))
        if isinstance(judge(DraftSentence(text, [passage]), evidence), Admitted)
    ]
    answer = "".join(f"{text}[{key}]" for text, key in said[:2])  # fewer than two would be called too little
    return [{"role": one.role, "content": one.content} for one in messages], answer


@pytest.fixture(scope="module")
def trained(lesson: tuple[list[dict[str, str]], str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(base, runs) after the whole pipeline, by the command."""
    pytest.importorskip("trl")
    import torch

    from tests.tiny_chat_model import build_tiny_chat_model

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("road")
    messages, answer = lesson
    texts = [turn["content"] for turn in messages]
    base = build_tiny_chat_model(folder / "base", [*texts, answer] * 3, vocabulary=1600)
    pair = {"prompt": messages, "chosen": answer, "rejected": "不知道。"}
    rows: dict[str, list[dict[str, Any]]] = {
        "pt": [{"text": text} for text in texts],
        "sft": [{"messages": [*messages, {"role": "assistant", "content": answer}]}],
        "rm": [pair],
        "dpo": [pair],
        "ppo": [{"prompt": messages}],
    }
    for stage, (steps, rate, rest) in STEPS.items():
        (folder / f"{stage}.jsonl").write_text("\n".join(json.dumps(row) for row in rows[stage]), encoding="utf-8")
        (folder / f"{stage}.toml").write_text(CONFIG.format(stage=stage, steps=steps, rate=rate, rest=rest))
    ppo = folder / "ppo.toml"
    ppo.write_text(ppo.read_text() + '\nreward = "the step named in the pipeline"\n')
    (folder / "pipeline.toml").write_text(PIPELINE.format(base=base))
    assert main(["train", str(folder / "pipeline.toml"), "--data", str(folder), "--out", str(folder / "runs")]) == 0
    return base, folder / "runs"


def test_every_stage_left_an_adapter_that_names_what_it_was_begun_from(trained: tuple[Path, Path]) -> None:
    _, runs = trained
    recipes = {stage: json.loads((runs / stage / "adapter" / "recipe.json").read_text()) for stage in STEPS}
    assert all(recipe["base"]["four_bit"] for recipe in recipes.values())
    begun = recipes["ppo"]["begun_from"]
    assert [begun["stage"], begun["begun_from"]["stage"], begun["begun_from"]["begun_from"]["stage"]] == [
        "dpo",
        "sft",
        "pt",
    ]


@pytest.mark.parametrize("form", ["base and adapter in 4 bit", "merged"])
def test_the_trained_model_answers_a_patient_and_the_gates_let_it(
    form: str, trained: tuple[Path, Path], lesson: tuple[list, str], built_home: Path, tmp_path: Path
) -> None:
    base, runs = trained
    if form == "merged":
        assert main(["export", str(runs / "ppo"), str(tmp_path / "merged")]) == 0
        settings = Settings(built_home, passages_per_answer=2, model=str(tmp_path / "merged"))
    else:
        settings = Settings(built_home, passages_per_answer=2, model=str(base), adapter=str(runs / "ppo" / "adapter"))
    reply = load_assistant(settings).reply(QUESTION)
    assert isinstance(reply.answer, CitedAnswer)
    assert reply.answer.writer == Path(settings.model).name
    assert [sentence.text for sentence in reply.answer.sentences][:2] == re.split(r"\[\d\]", lesson[1])[:2]


def test_a_finished_pipeline_is_not_run_again(trained: tuple[Path, Path], capsys: Any) -> None:
    _, runs = trained
    pipeline = runs.parent / "pipeline.toml"
    assert main(["train", str(pipeline), "--data", str(runs.parent), "--out", str(runs), "--resume"]) == 0
    assert capsys.readouterr().err.count("done already") == 5
