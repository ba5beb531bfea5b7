"""Proximal policy optimisation: the model writes, a reward scores it, a pull to the reference keeps it itself.

Written here because no maintained library has it any more for language models. One base carries all four roles
(finetune/ppo_roles.py); the arithmetic is finetune/ppo_math.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from finetune.chat_template import stop_token_ids
from finetune.ppo_math import (
    AdaptiveWeight,
    RunningScale,
    advantages_of,
    masked_mean,
    policy_loss,
    token_rewards,
    value_loss,
    whitened,
)
from finetune.ppo_roles import Roles
from finetune.ppo_rollout import Rollout, roll_out
from finetune.ppo_scores import AnswerScores
from finetune.stage_config import StageConfig
from finetune.stage_rows import StageRow
from finetune.trainer_run import Job, save_trained
from finetune.training import StageInputs, trained_model
from knowledge.errors import TrainingFailed


def train(job: Job, inputs: StageInputs) -> dict[str, Any]:
    """Raises TrainingFailed where the reward or the adapter belongs to another base, or a frozen weight has changed."""
    policy = Policy(job, inputs)
    first = policy.resume() if job.resume else 0
    frozen = policy.roles.frozen_print()
    settings, rewards = job.config.ppo, []
    for iteration in range(first, settings.iterations):
        figures = policy.learn(iteration)
        rewards.append(figures["reward"])
        job.run.log({"step": iteration + 1, **figures})
        told = f"reward {figures['reward']:.3f} kl {figures['kl']:.2f} {figures['tokens_per_second']:,.0f} tokens/s"
        job.step(told, iteration + 1, settings.iterations)
        if (iteration + 1) % job.config.training.save_every == 0:
            policy.save(iteration + 1)
    if policy.roles.frozen_print() != frozen:
        raise TrainingFailed("a frozen role changed while the policy learnt; nothing was saved")
    last: dict[str, Any] = {
        "steps": settings.iterations,
        "reward_first": round(rewards[0], 4) if rewards else None,
        "reward_last": round(sum(rewards[-5:]) / len(rewards[-5:]), 4) if rewards else None,
    }
    policy.roles.take("default")
    save_trained(policy.roles.model, inputs.tokenizer, job, {**inputs.recipe, **last})
    job.run.draw_losses()
    return last


class Policy:
    """The roles, the optimiser and what they learn from."""

    def __init__(self, job: Job, inputs: StageInputs) -> None:
        import torch

        self.job, self.config, self.settings = job, job.config, job.config.ppo
        self.tokenizer, self.prompts = inputs.tokenizer, fitting_prompts(job, inputs)
        self.scores = AnswerScores(self.settings, self.tokenizer)
        model = trained_model(without_dropout(self.config))
        self.stops = stop_token_ids(self.tokenizer, model.get_base_model().generation_config)
        self.roles = Roles(
            model,
            base=self.config.base.model,
            init_adapter=self.config.init_adapter,
            reward_dir=self.scores.reward_dir,
        )
        if self.config.training.gradient_checkpointing:
            model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
            model.enable_input_require_grads()
        self.pull = AdaptiveWeight(self.settings.kl, self.settings.kl_target, self.settings.kl_horizon)
        self.scale = RunningScale()
        self.learners = {
            "default": self.roles.parameters_of("default"),
            "value": [*self.roles.parameters_of("value"), *self.roles.value_head.parameters()],
        }
        rates = {"default": self.config.training.learning_rate, "value": self.settings.value_learning_rate}
        groups = [{"params": self.learners[role], "lr": rate} for role, rate in rates.items()]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=self.config.training.weight_decay)

    def learn(self, iteration: int) -> dict[str, float]:
        """One iteration: write, score, update. Its randomness is its own, so that a resumed run is the uninterrupted one."""
        import torch

        started = time.perf_counter()
        torch.manual_seed(self.config.seed * 1_000_003 + iteration)
        rows, prompts = zip(*self._rows(iteration), strict=True)
        rollout = roll_out(
            self.roles,
            self.tokenizer,
            prompts,
            self.settings,
            self.stops,
            lambda texts: self.scores.of(texts, rows, self.roles),
        )
        rewards = self._rewards(rollout)
        advantages, returns = advantages_of(
            rewards, rollout.values, rollout.mask, self.settings.discount, self.settings.gae_lambda
        )
        advantages = whitened(advantages, rollout.mask)
        losses = self._update(rollout, advantages, returns)
        self.pull.update(rollout.divergence, len(rows))
        tokens = int(rollout.mask.sum())
        return {
            "reward": float(rollout.score.mean()),
            "kl": rollout.divergence,
            "kl_weight": self.pull.weight,
            "stopped": float(rollout.stopped.float().mean()),
            "answer_tokens": tokens / len(rows),
            **losses,
            "tokens_per_second": tokens / (time.perf_counter() - started),
        }

    def _rows(self, iteration: int) -> list[tuple[StageRow, list[int]]]:
        """Prompts of an iteration: every prompt once before any comes again, in an order of the seed's."""
        import numpy as np

        count, width = len(self.prompts), self.settings.prompts_per_iteration
        chosen = []
        for place in range(iteration * width, (iteration + 1) * width):
            order = np.random.default_rng([self.config.seed, place // count]).permutation(count)
            chosen.append(self.prompts[int(order[place % count])])
        return chosen

    def _rewards(self, rollout: Rollout) -> Any:
        """Rewards by token: the score on one scale, less for an answer that did not end, and the pull to the reference."""
        scores = rollout.score
        if self.settings.normalise_reward:
            self.scale.update(scores.tolist())
            scores = self.scale.scaled(scores, self.settings.reward_clip)
        scores = scores - self.settings.missing_stop_penalty * (~rollout.stopped).float()
        return token_rewards(scores, rollout.log_probs - rollout.reference_log_probs, rollout.mask, self.pull.weight)

    def _update(self, rollout: Rollout, advantages: Any, returns: Any) -> dict[str, float]:
        """Several passes over the answers; ends early where the policy has moved too far from the one that wrote them."""
        import torch

        self.roles.model.train()
        sums, updates, moved = {"loss": 0.0, "value_loss": 0.0}, 0, 0.0
        for _ in range(self.settings.epochs):
            for part in torch.randperm(len(rollout.ids)).to(rollout.ids.device).split(self.settings.minibatch):
                ids, attention, mask = rollout.ids[part], rollout.attention[part], rollout.mask[part]
                log_probs = self.roles.log_probs("default", ids, attention, rollout.start, self.settings.temperature)
                loss, divergence = policy_loss(
                    log_probs, rollout.log_probs[part], advantages[part], mask, self.settings.clip
                )
                moved = float(divergence)
                if moved > self.settings.kl_stop:
                    break
                loss.backward()  # before the next role is taken: recomputed layers must find the adapter they ran with
                values = self.roles.values(ids, attention, rollout.start)
                error = value_loss(values, rollout.values[part], returns[part], mask, self.settings.value_clip)
                error.backward()
                for learner in self.learners.values():
                    torch.nn.utils.clip_grad_norm_(learner, self.config.training.max_grad_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
                sums["loss"] += float(loss.detach())
                sums["value_loss"] += float(error.detach())
                updates += 1
            if moved > self.settings.kl_stop:
                break
        explained = 1 - masked_mean((returns - rollout.values) ** 2, rollout.mask) / (
            masked_mean((returns - masked_mean(returns, rollout.mask)) ** 2, rollout.mask) + 1e-8
        )
        means = {name: total / max(updates, 1) for name, total in sums.items()}
        return {**means, "updates": updates, "moved": moved, "explained_variance": float(explained)}

    def save(self, iteration: int) -> None:
        """Writes what a resumed run goes on from."""
        import torch
        from safetensors.torch import save_file

        state = {"iteration": iteration, "kl_weight": self.pull.weight, "scale": asdict(self.scale)}
        with self.job.run.new_checkpoint(iteration) as folder:
            save_file(dict(self._learnt()), str(folder / "learnt.safetensors"))
            torch.save(self.optimizer.state_dict(), folder / "optimizer.pt")
            (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")

    def resume(self) -> int:
        """Loads the last whole checkpoint; how many iterations it holds."""
        import torch
        from safetensors.torch import load_file

        folder = self.job.run.take_up(self.job.tell)
        if folder is None:
            return 0
        saved = load_file(str(folder / "learnt.safetensors"))
        for name, parameter in self._learnt():
            parameter.copy_(saved[name])
        self.optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        self.pull.weight, self.scale = state["kl_weight"], RunningScale(**state["scale"])
        return int(state["iteration"])

    def _learnt(self) -> Iterator[tuple[str, Any]]:
        for role, parameters in self.learners.items():
            for number, parameter in enumerate(parameters):
                yield f"{role}.{number}", parameter.data


def fitting_prompts(job: Job, inputs: StageInputs) -> list[tuple[StageRow, list[int]]]:
    """Prompts as tokens; those that leave no room for an answer are left out and counted."""
    room = job.config.training.max_tokens - job.config.ppo.max_new_tokens
    prompts = []
    for row in inputs.train:
        ids = inputs.tokenizer.apply_chat_template(
            row.values["prompt"], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        if len(ids) <= room:
            prompts.append((row, ids))
    if not prompts:
        raise TrainingFailed(
            f"no prompt leaves [ppo] max_new_tokens free within [training] max_tokens; room for {room}"
        )
    job.tell(f"{len(prompts)} prompts; {len(inputs.train) - len(prompts)} left out as longer than {room} tokens")
    return prompts


def without_dropout(config: StageConfig) -> StageConfig:
    """Dropout would make the policy differ from the one that wrote the answers before it has learnt anything."""
    return replace(config, adapter=replace(config.adapter, dropout=0.0))
