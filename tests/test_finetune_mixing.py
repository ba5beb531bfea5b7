"""A mixture takes from each source what its config says, and says what it took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.mixing import mix
from finetune.mixture_config import InvalidMixture, MixConfig, MixSource, load_mix
from finetune.mixture_plan import planned_rows
from finetune.record_writer import write_records
from finetune.records import InvalidData, PlainTextRecord, dialogue

CONFIGS = sorted((Path(__file__).resolve().parents[1] / "finetune" / "configs").glob("mix_*.toml"))


def sources(*rows: dict) -> tuple[MixSource, ...]:
    return tuple(MixSource(name=f"s{number}", file=f"s{number}.jsonl", **row) for number, row in enumerate(rows))


def files(folder: Path, *sizes: int, licence: str = "MIT") -> None:
    for number, size in enumerate(sizes):
        write_records(
            (dialogue(f"{number}-{row}", "答", licence=licence) for row in range(size)), folder / f"s{number}.jsonl"
        )


def asked(path: Path) -> list[str]:
    return [json.loads(line)["messages"][0]["content"] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("config", "available", "expected"),
    [
        ({"temperature": 1.0}, [100, 300], [100, 300]),
        ({"temperature": 1e9}, [100, 300], [100, 100]),
        ({"total": 40}, [100, 300], [10, 30]),
        ({"total": 350}, [100, 300], [88, 262]),
        ({"total": 1000}, [100, 300], [100, 300]),
    ],
)
def test_shares_follow_size_and_temperature(config, available, expected):
    assert planned_rows(MixConfig("m", "sft", sources({}, {}), **config), available) == expected


def test_weights_and_epochs_repeat_a_small_source():
    config = MixConfig("m", "sft", sources({"weight": 4.0, "epochs": 2.0}, {}))
    assert planned_rows(config, [100, 300]) == [200, 150]


def test_general_rows_stand_beside_each_domain_row():
    config = MixConfig("m", "pt", sources({}, {"general": True}), general_per_domain=5.0)
    assert planned_rows(config, [100, 10_000]) == [100, 500]
    assert planned_rows(config, [100, 200]) == [40, 200]  # too little general text: less of the domain's


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.floats(0.1, 5), st.floats(0.5, 3), st.booleans()), min_size=1, max_size=5
    ),
    st.floats(0.5, 8),
    st.none() | st.integers(1, 2000),
)
def test_no_source_gives_more_than_its_epochs_and_a_total_is_met_where_it_can_be(rows, temperature, total):
    parts = sources(*({"weight": weight, "epochs": epochs, "general": general} for _, weight, epochs, general in rows))
    available = [size for size, *_ in rows]
    plan = planned_rows(MixConfig("m", "sft", parts, temperature=temperature, total=total), available)
    most = [int(source.epochs * size + 1e-9) for source, size in zip(parts, available, strict=True)]
    assert all(0 <= taken <= limit for taken, limit in zip(plan, most, strict=True))
    if total is not None:
        assert sum(plan) == min(total, sum(most))


def test_a_mixture_is_shuffled_the_same_for_a_seed_and_uses_each_row_once_per_epoch(tmp_path):
    files(tmp_path, 30, 90)
    config = MixConfig("m", "sft", sources({"weight": 3.0, "epochs": 2.5}, {"cap": 60}), seed=7)
    parts = mix(config, tmp_path, tmp_path / "a.jsonl")
    mix(config, tmp_path, tmp_path / "b.jsonl")
    rows = asked(tmp_path / "a.jsonl")
    assert rows == asked(tmp_path / "b.jsonl") and rows != sorted(rows)
    assert [part.available for part in parts] == [30, 60] and [part.taken for part in parts] == [
        rows_of(rows, 0),
        rows_of(rows, 1),
    ]
    assert {rows.count(row) for row in set(rows) if row.startswith("0-")} <= {2, 3}
    assert {rows.count(row) for row in set(rows) if row.startswith("1-")} == {1}
    assert parts[0].licences == {"MIT": 30}


def rows_of(rows: list[str], source: int) -> int:
    return sum(row.startswith(f"{source}-") for row in rows)


def test_a_persona_is_filled_from_the_config_and_refused_while_it_is_empty(tmp_path):
    write_records([dialogue("你是谁？", "我是<NAME>，由<AUTHOR>开发。")], tmp_path / "s0.jsonl")
    text = 'name = "m"\nstage = "sft"\n[persona]\nname = "小诊"\nauthor = "某医院"\n[[source]]\nname = "s0"\nfile = "s0.jsonl"\n'
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    mix(load_mix(tmp_path / "m.toml"), tmp_path, tmp_path / "out.jsonl")
    assert "我是小诊，由某医院开发。" in (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    with pytest.raises(InvalidMixture, match="s0.jsonl:1: a persona row"):
        mix(MixConfig("m", "sft", sources({})), tmp_path, tmp_path / "out.jsonl")


def test_answers_with_a_thumb_go_to_the_stage_that_learns_from_thumbs(tmp_path):
    write_records([dialogue("脚疼", "不知道。", tags=("disliked",))], tmp_path / "s0.jsonl")
    with pytest.raises(InvalidMixture, match="s0.jsonl:1: an answer with a thumb down"):
        mix(MixConfig("m", "sft", sources({})), tmp_path, tmp_path / "out.jsonl")
    (part,) = mix(MixConfig("m", "kto", sources({})), tmp_path, tmp_path / "out.jsonl")
    assert part.taken == 1
    files(tmp_path, 1)
    with pytest.raises(InvalidMixture, match="s0.jsonl:1: an answer without a thumb"):
        mix(MixConfig("m", "kto", sources({})), tmp_path, tmp_path / "out.jsonl")


def test_rows_of_no_known_shape_stop_the_mixture_or_are_counted_where_the_config_says_so(tmp_path):
    files(tmp_path, 3)
    with (tmp_path / "s0.jsonl").open("a", encoding="utf-8") as out:
        out.write('{"foo": 1}\n')
    with pytest.raises(InvalidData, match="s0.jsonl:4: .*skip_bad = true under s0"):
        mix(MixConfig("m", "sft", sources({})), tmp_path, tmp_path / "out.jsonl")
    (part,) = mix(MixConfig("m", "sft", sources({"skip_bad": True})), tmp_path, tmp_path / "out.jsonl")
    assert (part.taken, part.skipped) == (3, 1)


def test_a_record_of_another_stage_or_licence_stops_the_mixture(tmp_path):
    write_records([PlainTextRecord("一段文字")], tmp_path / "s0.jsonl")
    with pytest.raises(
        InvalidMixture, match="s0.jsonl:1: a text record; stage sft trains on dialogue or choice records"
    ):
        mix(MixConfig("m", "sft", sources({})), tmp_path, tmp_path / "out.jsonl")
    files(tmp_path, 2, licence="CC-BY-NC-4.0")
    with pytest.raises(InvalidMixture, match="licence CC-BY-NC-4.0, and m allows only Apache-2.0"):
        mix(MixConfig("m", "sft", sources({}), licences=("Apache-2.0",)), tmp_path, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "m"\nstage = "sft"\n', "no \\[\\[source\\]\\]"),
        ('name = "m"\nstage = "sft"\nsede = 1\n[[source]]\nname = "a"\nfile = "a"\n', "unknown key sede"),
        ('name = "m"\nstage = "sft"\n[[source]]\nname = "a"\nfile = "a"\nweigth = 2\n', "unknown key weigth"),
        ('name = "m"\nstage = "sft"\n[[source]]\nname = "a"\nfile = "a"\nweight = -2\n', "weight = -2"),
        ('name = "m"\nstage = "rlhf"\n[[source]]\nname = "a"\nfile = "a"\n', "stage 'rlhf'"),
        ('name = "m"\nstage = "sft"\n[[source]]\nname = "a"\n', "missing 1 required"),
        ('name = "m"\nstage = "sft"\n[source]\nname = "a"\nfile = "a"\n', "write \\[\\[source\\]\\] before each"),
        (
            'name = "m"\nstage = "sft"\ntemperature = "warm"\n[[source]]\nname = "a"\nfile = "a"\n',
            "temperature = 'warm'",
        ),
        ('name = "m"\nstage = "sft"\ntemperature = nan\n[[source]]\nname = "a"\nfile = "a"\n', "above 0"),
        ('name = "m"\nstage = "sft"\n[[source]]\nname = "a"\nfile = "a"\ncap = 2.5\n', "cap = 2.5"),
        ('name = "m"\nstage = "sft"\nlicences = "MIT"\n[[source]]\nname = "a"\nfile = "a"\n', "licences = 'MIT'"),
        ('name = "m', "m.toml: "),
    ],
)
def test_a_config_that_says_something_else_stops_at_once(tmp_path, text, says):
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidMixture, match=says):
        load_mix(tmp_path / "m.toml")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_shipped_mixtures_load(path):
    assert load_mix(path).sources
