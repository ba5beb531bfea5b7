"""Learning from solved cases: better order of departments, nothing else touched, nothing left behind."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge.departments import EMERGENCY_ID, load_departments
from knowledge.errors import InvalidCases, LearnedRoutingDamaged
from knowledge.hospital import Hospital
from rag import learned_store
from rag.case_features import Reader
from rag.evaluation_triage import Outcome, figures
from rag.learned_head import best_set
from rag.learned_routing import MOST_ADDED, MOST_TAKEN, combined, cross_validated, fit, our_departments
from rag.routing import RoutingIndex
from rag.solved_cases import SolvedCase, clinician_words, name_key, patient_words, read_cases
from tests.fakes import HashEmbedder
from ui.cli import main

COMPLAINTS = {
    "骨科": ["膝盖疼走路困难", "腰疼直不起来", "脚踝扭伤肿了", "手腕骨折"],
    "皮肤科": ["身上起红疹很痒", "脸上长痘", "手脱皮", "头皮屑多又痒"],
    "急诊科": ["车祸大出血", "昏迷叫不醒", "喘不上气", "触电"],
}


def solved(copies: int = 4) -> list[SolvedCase]:
    return [
        SolvedCase(
            f"患者：医生，我{complaint}，有{number + 1}天了。\n医生：多大年纪？\n患者：{20 + number}岁",
            (name,),
            ("骨科", "皮肤科"),
        )
        for number in range(copies)
        for name, complaints in COMPLAINTS.items()
        for complaint in complaints
    ]


@pytest.fixture(scope="module")
def reader() -> Reader:
    departments = {key: load_departments()[key] for key in ("orthopaedics", "dermatology", EMERGENCY_ID)}
    return Reader(RoutingIndex.build(departments, HashEmbedder()), HashEmbedder())


@pytest.fixture(scope="module")
def routing(reader):
    names = list(COMPLAINTS)
    return fit(solved(), reader, our_departments(names, load_departments(), Hospital()))


def general(reader, words):
    query = reader.embedder.encode_queries([words])[0]
    return query, reader.routing.scores(words, query)


def test_a_complaint_like_the_solved_ones_goes_where_they_went(routing):
    answers = routing.answers(["患者：我膝盖疼，走路困难", "患者：身上红疹，痒得很"])
    assert [answer.departments for answer in answers] == [("骨",), ("皮肤",)]


def test_learning_leaves_the_emergency_department_alone_and_moves_others_within_bounds(routing, reader):
    for words in ("车祸大出血，昏迷叫不醒", "膝盖疼", "x", "身上起红疹很痒"):
        query, before = general(reader, words)
        after = combined(before, routing, words, query)
        for one, other in zip(before, after, strict=True):
            assert MOST_TAKEN <= other.log_odds - one.log_odds <= MOST_ADDED
            if one.department_id == EMERGENCY_ID:
                assert other == one


def test_without_anything_learned_the_general_scores_are_unchanged(reader):
    query, before = general(reader, "膝盖疼")
    assert combined(before, None, "膝盖疼", query) == before


def test_learning_never_lowers_a_level_nor_displaces_emergency(assistant):
    """Every case says that chest pain goes to dermatology; the rules still send it to the emergency department first."""
    reader = Reader(assistant.routing, assistant.search.embedder)
    words = "奶奶胸口疼，直冒冷汗"
    cases = [SolvedCase(f"{words}{number}", ("皮肤科",)) for number in range(15)]
    cases += [SolvedCase(f"膝盖疼{number}", ("骨科",)) for number in range(15)]
    learned = fit(cases, reader, our_departments(["皮肤科", "骨科"], load_departments(), Hospital()))
    from rag.triage import decide_triage

    findings = assistant.matcher.read(words)
    query, before = general(reader, words)
    moved = combined(before, learned, words, query)
    assert moved != before
    levels = []
    for scores in (before, moved):
        decision = decide_triage(findings, scores, findings.raised[0].flag.level, assistant.context, "zh")
        levels.append(decision.urgency)
        assert decision.departments[0].department.id == EMERGENCY_ID
    assert levels[0] == levels[1]


def test_saved_and_loaded_it_answers_the_same(routing, reader, tmp_path):
    learned_store.save(tmp_path, routing, solved(), {}, "2026-01-01")
    loaded = learned_store.load(tmp_path, reader)
    questions = ["我膝盖疼", "脸上长痘", "头疼"]
    for one, other in zip(routing.answers(questions), loaded.answers(questions), strict=True):
        assert one.departments == other.departments
        assert np.allclose([chance for _, chance in one.ranking], [chance for _, chance in other.ranking], atol=1e-4)


@pytest.mark.parametrize("name", ["manifest.json", "cases.jsonl", "words.json", "arrays.npz"])
@pytest.mark.parametrize("harm", ["cut", "gone", "altered"])
def test_damage_is_told_in_one_line_and_the_general_routing_serves(name, harm, routing, reader, tmp_path):
    path = learned_store.save(tmp_path, routing, solved(), {}, "2026-01-01") / name
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if harm == "cut" else content[:-3] + b"xyz")
    learned, warning = learned_store.load_or_warn(tmp_path, reader)
    assert learned is None and "daozhen triage" in warning and "\n" not in warning
    assert learned_store.forget(tmp_path)
    assert learned_store.load(tmp_path, reader) is None


def test_another_embedder_is_refused(routing, reader, tmp_path):
    learned_store.save(tmp_path, routing, solved(), {}, "2026-01-01")
    with pytest.raises(LearnedRoutingDamaged, match="another embedder"):
        learned_store.load(tmp_path, replace(reader, embedder=HashEmbedder("other")))


def test_nothing_that_names_a_patient_is_kept(reader, tmp_path):
    cases = [replace(case, dialogue=f"我叫王小明，电话13812345678。{case.dialogue}") for case in solved()]
    folder = learned_store.save(tmp_path, fit(cases, reader), cases, {}, "2026-01-01")
    kept = (folder / "cases.jsonl").read_text(encoding="utf-8") + (folder / "words.json").read_text(encoding="utf-8")
    assert "王小" not in kept and "138" not in kept and "膝盖" in kept


def test_learning_again_replaces_what_was_learned(routing, reader, tmp_path):
    for _ in range(2):
        learned_store.save(tmp_path, routing, solved(), {}, "2026-01-01")
    assert len(list(learned_store.folder_of(tmp_path).glob("g-*"))) == 1


def test_a_fold_never_knows_a_department_of_the_held_cases_alone(reader):
    odd = SolvedCase("只有这一例", ("别的科",))
    answers = cross_validated([*solved(), odd], reader, 3)
    answer, known = answers[-1]
    assert "别的" not in known and "别的" not in {key for key, _ in answer.ranking}


def test_too_few_cases_are_refused(reader):
    with pytest.raises(InvalidCases, match="too few"):
        fit(solved()[:5], reader)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6), st.integers(0, 4))
def test_the_chosen_set_is_never_empty_and_holds_the_likeliest(chances, size):
    sizes = np.full(5, 0.01)
    sizes[size] = 1.0
    chosen = best_set(np.array(chances), sizes)
    assert chosen and chances[chosen[0]] == max(chances) and len(set(chosen)) == len(chosen) <= len(chances)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("妇科专业", "妇科"),
        ("小儿消化科", "小儿消化专业"),
        ("Cardiology Clinic", "Department of Cardiology"),
        ("小儿骨科专业,", "小儿骨科"),
    ],
)
def test_names_that_differ_in_the_word_for_department_are_one(one, other):
    assert name_key(one) == name_key(other)


def test_speakers_are_told_apart():
    dialogue = "患者：我头疼\n两天了\n医生：发烧吗？\n家长: 没有"
    assert patient_words(dialogue) == "我头疼\n两天了\n没有"
    assert clinician_words(dialogue) == "发烧吗？"


@pytest.mark.parametrize(
    "row",
    [
        "{",
        "[]",
        '{"dialogue": ""}',
        '{"dialogue": "a", "departments": []}',
        '{"dialogue": "a", "departments": "x"}',
        '{"departments": ["x"]}',
    ],
)
def test_a_bad_row_is_named_with_file_and_line(row, tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text('{"dialogue": "头疼", "departments": ["神经内科"]}\n' + row + "\n", encoding="utf-8")
    with pytest.raises(InvalidCases, match=r"cases\.jsonl:2: "):
        read_cases(path)
    kept, left_out = read_cases(path, skip_bad=True)
    assert len(kept) == len(left_out) == 1


def test_figures_are_counted_as_documented():
    space = frozenset("abc")
    outcomes = [
        Outcome(frozenset("a"), frozenset("a"), tuple("abc"), space),
        Outcome(frozenset("ab"), frozenset("c"), tuple("cab"), space),
        Outcome(frozenset("z"), frozenset("a"), tuple("abc"), space),
    ]
    values = figures(outcomes)
    assert values["n"] == 3 and values["exact_set"] == values["top1_in_set"] == 0.3333
    assert values["top3_recall"] == values["ceiling"] == 0.6667
    assert values["micro_f1"] == round(2 / 7, 4)
    assert set(values["intervals"]) == {"exact_set", "micro_f1", "top1_in_set", "top3_recall", "ceiling"}


def test_learn_status_and_forget_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path / "home"))
    path = tmp_path / "solved.jsonl"
    rows = [{"dialogue": case.dialogue, "departments": list(case.departments)} for case in solved(3)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert main(["triage", "learn", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["cases"] == 36 and report["cross_validated"]["n"] == 36
    assert main(["triage", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["serves"] is True
    assert main(["triage", "forget"]) == 0
    assert "cases.jsonl" in capsys.readouterr().out
    assert not (tmp_path / "home" / "learned_routing").exists()


def test_urgency_is_scored_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DAOZHEN_HOME", str(tmp_path))
    path = tmp_path / "vignettes.jsonl"
    path.write_text(
        '{"text": "胸口剧痛，大汗", "level": "emergency"}\n{"text": "想问问体检", "level": "routine"}\n',
        encoding="utf-8",
    )
    assert main(["eval", "urgency", str(path), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["n"] == 2 and values["under_triaged"]["cases"] == 0
    path.write_text('{"text": "咳", "level": "soon"}\n', encoding="utf-8")
    assert main(["eval", "urgency", str(path)]) == 2
    assert "vignettes.jsonl:1" in capsys.readouterr().err
