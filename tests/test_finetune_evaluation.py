"""Measures of a model: each computed by hand once, base and tuned always side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.exam_prompt import answered_letters, exam_prompt
from finetune.grounding_check import admitted_share
from finetune.pairwise_judge import Contest, judged
from finetune.text_measures import bleu4, repetition, rouge
from finetune.verifiable_rewards import REWARDS
from knowledge.errors import InvalidUsage, WriterUnavailable
from ui.cli import main

OPTIONS = ("A", "B", "C", "D", "E")


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("A", "A"),
        ("答案：ABD", "ABD"),
        ("答案是 A、C。因为 B 不对", "AC"),
        ("The answer is B, because a fever lasts", "B"),
        ("A, C and D", "ACD"),
        ("B. 百日咳", "B"),
        ("（C）", "C"),
        ("选择题应选D", "D"),
        ("正确选项为 A 和 B", "AB"),
        ("An answer cannot be given", ""),
        ("不知道", ""),
        ("先看A，再看B，所以答案：C", "C"),
    ],
)
def test_the_letters_an_answer_settles_on_are_read(text: str, letters: str) -> None:
    assert answered_letters(text, OPTIONS) == frozenset(letters)


def test_an_exam_counts_only_the_exact_set_of_options() -> None:
    right = {"answers": ["A", "B"]}
    assert [REWARDS["exam"](text, right) for text in ("AB", "BA", "A", "ABC", "")] == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert (
        "字母" in exam_prompt("见于", {"A": "喉炎"})[0]["content"]
        and "letters" in exam_prompt("Where?", {"A": "x"})[0]["content"]
    )


def test_text_measures_are_those_computed_by_hand() -> None:
    assert rouge("多喝水", "多喝热水") == pytest.approx({"rouge1": 6 / 7, "rouge2": 2 / 5, "rougeL": 6 / 7})
    assert rouge("", "多喝水") == {"rouge1": 0.0, "rouge2": 0.0, "rougeL": 0.0}
    assert bleu4("多喝水，多休息，测体温", "多喝水，多休息，测体温") == pytest.approx(1.0)
    assert bleu4("不知道", "多喝水多休息") == 0.0 and 0 < bleu4("多喝水多睡觉", "多喝水多休息") < 1
    assert repetition("多喝水多喝水多喝水") > 0.4 and repetition("多休息，测体温") == 0.0


def test_rouge_agrees_with_the_reference_implementation() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rouge2", "rougeL"])
    ours, theirs = "rest and drink water if the fever lasts", "drink water and rest while the fever lasts"
    expected = {name: score.fmeasure for name, score in scorer.score(theirs, ours).items()}
    assert rouge(ours, theirs) == pytest.approx(expected)


PASSAGES = ["发烧时要多休息，多喝水。体温超过三天不退要去医院。", "咳嗽时少说话。"]


def test_an_answer_is_grounded_as_far_as_the_gates_admit_it() -> None:
    assert admitted_share("发烧时要多休息，多喝水。[1]", PASSAGES) == 1.0
    assert admitted_share("发烧时要多休息，多喝水。[1]发烧时可以去游泳。[1]", PASSAGES) == 0.5
    assert admitted_share("发烧时要多休息，多喝水。", PASSAGES) == 0.0  # cites nothing
    assert admitted_share("资料不足", PASSAGES) == 0.0 and admitted_share("资料不足", []) == 1.0
    assert admitted_share("多休息。[1]", []) == 0.0 and admitted_share("", PASSAGES) == 0.0


class ScriptedJudge:
    """A judge that prefers what the script says; by_place: always the first."""

    def __init__(self, prefers: str = "", by_place: bool = False) -> None:
        self.prefers, self.by_place = prefers, by_place

    def invoke(self, prompt: str) -> Any:
        from langchain_core.messages import AIMessage

        first = prompt.split("Answer 1:")[1].split("Answer 2:")[0]
        won = "1" if self.by_place or self.prefers in first else "2"
        return AIMessage(
            "\n".join(f"{name}: {won}" for name in ("fluency", "relevance", "completeness", "proficiency"))
        )


CONTESTS = [Contest(f"问{number}", "多休息", "随便吧", "多休息多喝水") for number in range(4)]


def test_a_judge_counts_only_where_both_orders_agree() -> None:
    fair = judged(CONTESTS, ScriptedJudge("多喝水"))  # type: ignore[arg-type]
    assert fair["criteria"]["relevance"] == {"tuned_won_less_lost": 1.0, "interval": [1.0, 1.0], "rows": 4}
    placed = judged(CONTESTS, ScriptedJudge(by_place=True))  # type: ignore[arg-type]
    assert placed["orders_agree"] == 0 and placed["criteria"]["fluency"]["tuned_won_less_lost"] == 0


def test_a_judge_that_says_nothing_readable_is_told() -> None:
    class Silent(ScriptedJudge):
        def invoke(self, prompt: str) -> Any:
            from langchain_core.messages import AIMessage

            return AIMessage("I like both")

    with pytest.raises(WriterUnavailable, match="no readable verdict"):
        judged(CONTESTS, Silent())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    rows: dict[str, list[Any]] = {
        "dialogues": [
            {"messages": [{"role": "user", "content": f"发烧{n}"}, {"role": "assistant", "content": "多休息。"}]}
            for n in range(3)
        ],
        "exams": [
            {"Question": "见于", "Options": "A 喉炎\nB 百日咳", "Answer": "A", "Explanation": ""},  # CMExam
            {"question": "多选", "option": {"A": "一", "B": "二"}, "answer": "AB"},  # CMB
            {"question": "Which?", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 1, "exp": "e"},  # MedMCQA
            {
                "question": "Does it?",
                "context": {"contexts": ["x"]},
                "long_answer": "y",
                "final_decision": "yes",
            },  # PubMedQA
        ],
        "departments": [{"dialogue": "患者：牙疼", "candidates": ["口腔科", "眼科"], "departments": ["口腔科"]}],
        "grounded": [{"question": "发烧怎么办", "passages": PASSAGES}],
        "asked": [{"prompt": "发烧怎么办"}, {"prompt": "咳嗽"}, {"prompt": "头疼得很厉害怎么办"}],
    }
    for name, values in rows.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in values)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_base_and_tuned_stand_side_by_side_with_paired_intervals(
    sets: Path, tiny_base: Path, tmp_path: Path, capsys: Any
) -> None:
    from tests.tiny_chat_model import build_tiny_chat_model

    tuned = build_tiny_chat_model(tmp_path / "tuned", seed=5)
    arguments = ["eval", "model", "--model", str(tiny_base), "--tuned", str(tuned), "--max-new-tokens", "6", "--json"]
    for part in ("dialogues", "exams", "departments", "grounded"):
        arguments += [f"--{part}", str(sets / f"{part}.jsonl")]
    assert main(arguments) == 0
    measures = json.loads(capsys.readouterr().out)["measures"]
    assert {"perplexity", "bleu4", "rougeL", "exams", "departments", "grounded", "repetition", "missing_stop"} <= set(
        measures
    )
    for name, row in measures.items():
        assert row["rows"] >= 1 and row["interval"][0] <= row["interval"][1], name
        if name != "perplexity":
            assert row["gain"] == pytest.approx(row["tuned"] - row["base"], abs=2e-4)
    assert measures["exams"]["rows"] == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--adapter"),
        (["--tuned", "BASE"], "nothing to measure"),
        (["--tuned", "BASE", "--exams", "SETS/dialogues.jsonl"], "dialogues.jsonl:1"),
        (["--tuned", "BASE", "--grounded", "SETS/asked.jsonl"], "asked.jsonl:1"),
        (["--tuned", "/nowhere", "--exams", "SETS/exams.jsonl"], "no such folder"),
        (["--adapter", "/nowhere", "--exams", "SETS/exams.jsonl"], "no adapter"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    arguments: list[str], said: str, sets: Path, tiny_base: Path, capsys: Any
) -> None:
    filled = [one.replace("BASE", str(tiny_base)).replace("SETS", str(sets)) for one in arguments]
    assert main(["eval", "model", "--model", str(tiny_base), "--max-new-tokens", "2", *filled]) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert said in error.splitlines()[-1] and "Traceback" not in error


def test_predictions_go_on_where_they_stopped_and_stand_in_order(
    sets: Path, tiny_base: Path, tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "out.jsonl"
    arguments = [
        "predict",
        str(sets / "asked.jsonl"),
        "--model",
        str(tiny_base),
        "--out",
        str(out),
        "--max-new-tokens",
        "4",
        "--batch-size",
        "2",
    ]
    assert main(arguments) == 0 and json.loads(capsys.readouterr().out)["new"] == 3
    lines = out.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["row"] for line in lines] == [1, 2, 3]
    out.write_text(lines[2] + "\n" + lines[0][:20], encoding="utf-8")  # stopped in the middle of a line
    assert main(arguments) == 0 and json.loads(capsys.readouterr().out)["new"] == 2
    assert out.read_text(encoding="utf-8").splitlines() == lines
    out.write_text(lines[0].replace('"prompt_id": "', '"prompt_id": "0') + "\n", encoding="utf-8")
    assert main(arguments) == InvalidUsage.exit_code and "other prompts" in capsys.readouterr().err
