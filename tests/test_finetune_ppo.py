"""Proximal policy optimisation: its arithmetic by hand, and a known answer: the reward rises, the reference stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.stage_config import AdapterSettings, BaseSettings, ReinforcementSettings, StageConfig, TrainingSettings
from knowledge.errors import TrainingFailed, TrainingStopped

torch = pytest.importorskip("torch")

from finetune.ppo_math import (  # noqa: E402
    AdaptiveWeight,
    RunningScale,
    advantages_of,
    policy_loss,
    token_rewards,
    value_loss,
    whitened,
)
from finetune.ppo_rollout import answer_mask, padded_left  # noqa: E402


def test_advantages_are_those_computed_by_hand() -> None:
    rewards, values = torch.tensor([[0.0, 1.0, 9.0]]), torch.tensor([[0.5, 0.2, 7.0]])
    mask = torch.tensor([[1, 1, 0]])
    advantages, returns = advantages_of(rewards, values, mask, discount=0.9, gae_lambda=0.5)
    last = 1.0 - 0.2  # the answer ends here: what stands behind it does not count
    first = 0.9 * 0.2 - 0.5 + 0.9 * 0.5 * last
    assert torch.allclose(advantages, torch.tensor([[first, last, 0.0]]))
    assert torch.allclose(returns, torch.tensor([[first + 0.5, last + 0.2, 0.0]]))


def test_whitening_leaves_out_what_is_not_marked() -> None:
    values, mask = torch.tensor([[1.0, 3.0, 100.0]]), torch.tensor([[1, 1, 0]])
    assert torch.allclose(whitened(values, mask), torch.tensor([[-1.0, 1.0, 0.0]]), atol=1e-4)
    assert torch.allclose(whitened(values, mask, shift_mean=False), torch.tensor([[1.0, 3.0, 0.0]]), atol=1e-4)


def test_the_score_falls_on_the_last_token_and_the_pull_on_every_one() -> None:
    rewards = token_rewards(torch.tensor([2.0]), torch.tensor([[0.5, -0.5, 9.0]]), torch.tensor([[1, 1, 0]]), 0.1)
    assert torch.allclose(rewards, torch.tensor([[-0.05, 2.05, 0.0]]))


def test_a_step_too_far_gains_nothing_more() -> None:
    old, mask, gain = torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1)
    for moved, expected in ((0.1, -1.1052), (1.0, -1.2)):
        loss, divergence = policy_loss(torch.tensor([[moved]]), old, gain, mask, clip=0.2)
        assert float(loss) == pytest.approx(expected, abs=1e-3) and float(divergence) >= 0
    far = value_loss(torch.tensor([[5.0]]), torch.zeros(1, 1), torch.tensor([[1.0]]), mask, clip=0.2)
    assert float(far) == pytest.approx(0.5 * 16)


def test_the_pull_grows_when_the_policy_strays_and_rewards_come_to_one_scale() -> None:
    pull = AdaptiveWeight(0.1, target=4.0, horizon=100)
    pull.update(8.0, answers=10)
    assert pull.weight == pytest.approx(0.1 * 1.02)
    scale = RunningScale()
    scale.update([1.0, 2.0, 3.0])
    assert scale.scaled(torch.tensor([2.0, 3.0, 99.0]), 5.0).tolist() == pytest.approx([0.0, 1.0, 5.0], abs=1e-4)


def test_an_answer_ends_with_its_first_stop_token() -> None:
    mask, stopped = answer_mask(torch.tensor([[7, 2, 7, 2], [7, 7, 7, 7], [2, 7, 7, 7]]), {2})
    assert mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]] and stopped.tolist() == [True, False, True]
    ids, seen = padded_left([[5], [6, 7]], 0, "cpu")
    assert ids.tolist() == [[0, 5], [6, 7]] and seen.tolist() == [[0, 1], [1, 1]]


TRAINING = TrainingSettings(
    learning_rate=1e-2,
    max_tokens=64,
    batch_size=8,
    accumulate=1,
    save_every=2,
    log_every=1,
    gradient_checkpointing=False,
)


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """trained(out, settings, …): a ppo run; the reward is the share of answers that say something and do not repeat."""
    from finetune.training import train_stage

    data = tmp_path_factory.mktemp("ppo")
    rows = [{"prompt": f"发烧{number}天"} for number in range(4)]
    (data / "asked.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")

    def run(
        out: Path, settings: ReinforcementSettings, *, resume: bool = False, step: Any = None, **fields: Any
    ) -> dict:
        config = StageConfig(
            "ppo", "ppo", ("asked.jsonl",), base=BaseSettings(model=str(tiny_base)), training=fields.pop("training", TRAINING),
            adapter=AdapterSettings(rank=8), ppo=settings, **fields,
        )  # fmt: skip
        return train_stage(config, data, out, resume=resume, step=step or (lambda *_: None))

    return run


@pytest.fixture
def toy_reward() -> Any:
    """A reward a random model can climb by itself: the share of an answer's characters that are plain letters."""
    from finetune.verifiable_rewards import REWARDS

    REWARDS["letters"] = lambda text, row: sum(one.isascii() and one.isalpha() for one in text) / max(len(text), 1)
    yield
    del REWARDS["letters"]


def test_the_reward_rises_the_divergence_is_bounded_and_what_is_frozen_stays(
    trained: Any, toy_reward: None, tmp_path: Path
) -> None:
    settings = ReinforcementSettings(
        reward="verifiable:letters", iterations=18, prompts_per_iteration=16, minibatch=8, epochs=4, max_new_tokens=8,
        kl=0.02, kl_target=6.0, kl_stop=0.5, missing_stop_penalty=0.0, value_learning_rate=1e-2,
    )  # fmt: skip
    trained(tmp_path / "run", settings)  # raises where a frozen weight has changed
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first, last = (sum(row["reward"] for row in part) / 4 for part in (rows[:4], rows[-4:]))
    assert last > first + 0.2, (first, last)
    assert max(row["kl"] for row in rows) < 40 and rows[0]["kl"] == pytest.approx(0, abs=1e-4)
    assert [path.name for path in (tmp_path / "run" / "adapter").iterdir() if path.is_dir()] == []


def test_a_resumed_run_is_the_uninterrupted_one(trained: Any, toy_reward: None, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    def interrupted(_what: str, done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    settings = ReinforcementSettings(
        reward="verifiable:letters", iterations=4, prompts_per_iteration=4, minibatch=4, max_new_tokens=4
    )
    recomputed = replace(TRAINING, gradient_checkpointing=True)
    trained(tmp_path / "whole", settings, training=recomputed)
    with pytest.raises(TrainingStopped, match="checkpoint-2"):
        trained(tmp_path / "cut", settings, step=interrupted, training=recomputed)
    trained(tmp_path / "cut", settings, resume=True, training=recomputed)
    one, other = (
        load_file(str(tmp_path / name / "adapter" / "adapter_model.safetensors")) for name in ("whole", "cut")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ReinforcementSettings(reward="verifiable:nothing", max_new_tokens=4), "known: exam"),
        (ReinforcementSettings(reward="/nowhere/rm", max_new_tokens=4), "no adapter"),
        (ReinforcementSettings(reward="verifiable:format", max_new_tokens=64), "no prompt leaves"),
    ],
)
def test_a_reward_that_is_not_there_is_told(
    settings: ReinforcementSettings, said: str, trained: Any, tmp_path: Path
) -> None:
    with pytest.raises(TrainingFailed, match=said):
        trained(tmp_path / "run", settings)


def test_the_roles_share_one_base_and_a_switch_changes_none(tiny_base: Path) -> None:
    from finetune.ppo_roles import Roles
    from finetune.training import trained_model

    config = StageConfig("ppo", "p", ("a",), base=BaseSettings(model=str(tiny_base)), adapter=AdapterSettings(rank=4))
    roles = Roles(trained_model(config), base=str(tiny_base), init_adapter="", reward_dir=None)
    ids = torch.tensor([[5, 6, 7, 8]])
    mask = torch.ones_like(ids)
    frozen = roles.frozen_print()
    for parameter in roles.parameters_of("default"):
        parameter.data += 0.05
    with torch.no_grad():
        policy = roles.log_probs("default", ids, mask, 1, 1.0)
        reference = roles.log_probs("reference", ids, mask, 1, 1.0)
        again = roles.log_probs("default", ids, mask, 1, 1.0)
        padded = roles.log_probs("default", *padded_left([[5, 6, 7, 8]], 0, "cpu"), 1, 1.0)
    assert torch.equal(policy, again) and torch.equal(policy, padded) and not torch.allclose(policy, reference)
    assert roles.frozen_print() == frozen
    learning = {name for name, parameter in roles.model.named_parameters() if parameter.requires_grad}
    assert learning and all(".default." in name or ".value." in name for name in learning)


def test_the_reward_role_scores_as_the_reward_model_does(tiny_base: Path, tmp_path: Path) -> None:
    """The score an rm run's own model gives is the score its adapter and head give on the policy's base."""
    from peft import PeftModel

    from finetune.base_model import load_base
    from finetune.ppo_roles import Roles
    from finetune.training import train_stage, trained_model

    rows = [{"prompt": f"发烧{n}", "chosen": "多休息。", "rejected": "不用管。"} for n in range(4)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    base = BaseSettings(model=str(tiny_base))
    training = replace(TRAINING, max_steps=3, save_every=9)
    config = StageConfig("rm", "rm", ("pairs.jsonl",), base=base, training=training, adapter=AdapterSettings(rank=4))
    train_stage(config, tmp_path, tmp_path / "rm")
    adapter = tmp_path / "rm" / "adapter"
    model = PeftModel.from_pretrained(load_base(base, four_bit=True, task="reward"), str(adapter)).eval()
    model.config.pad_token_id = model.base_model.model.config.pad_token_id = 0
    ids, mask = padded_left([[5, 6, 7, 8], [9, 10]], 0, "cpu")
    ppo = StageConfig("ppo", "p", ("a",), base=base, adapter=AdapterSettings(rank=8))
    roles = Roles(trained_model(ppo), base=str(tiny_base), init_adapter="", reward_dir=adapter)
    with torch.no_grad():
        ours = roles.scores(ids, mask)
        theirs = [float(model(input_ids=torch.tensor([row])).logits) for row in ([5, 6, 7, 8], [9, 10])]
    assert ours.tolist() == pytest.approx(theirs, abs=1e-4)
