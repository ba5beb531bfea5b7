"""Group relative policy optimisation (Shao et al., 2024) with rewards that can be verified: no reward model, no value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from finetune.trainer_run import Job, run_trainer, trainer_arguments
from finetune.training import StageInputs, trained_model
from finetune.verifiable_rewards import Reward, reward_named
from knowledge.errors import TrainingFailed


def train(job: Job, inputs: StageInputs) -> dict[str, Any]:
    """Returns the last figures. Raises TrainingFailed where the answers of a prompt do not fill whole batches; see run_trainer."""
    import datasets
    from trl import GRPOConfig, GRPOTrainer

    settings, training = job.config.grpo, job.config.training
    if training.batch_size * training.accumulate % settings.answers:
        raise TrainingFailed(
            f"[grpo] answers = {settings.answers} must divide batch_size × accumulate = "
            f"{training.batch_size * training.accumulate}; change one"
        )
    room = training.max_tokens - settings.max_new_tokens
    rows = [row.values for row in inputs.train if _length(row.values["prompt"], inputs.tokenizer) <= room]
    if not rows:
        raise TrainingFailed(
            f"no prompt leaves [grpo] max_new_tokens free within [training] max_tokens; room for {room}"
        )
    job.tell(f"{len(rows)} prompts; {len(inputs.train) - len(rows)} left out as longer than {room} tokens")
    rewards: list[Any] = [scorer(name, reward_named(name)) for name in settings.rewards]
    trainer = GRPOTrainer(
        model=trained_model(job.config),
        reward_funcs=rewards,
        args=GRPOConfig(
            **trainer_arguments(job),
            num_generations=settings.answers,
            max_completion_length=settings.max_new_tokens,
            temperature=settings.temperature,
            beta=settings.beta,
            reward_weights=list(settings.weights) or None,
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=inputs.tokenizer,
    )
    return run_trainer(trainer, job, inputs.recipe)


def scorer(name: str, reward: Reward) -> Callable[..., list[float]]:
    """A reward as the trainer calls it: on all answers at once, with the prompts' columns beside them."""

    def score(completions: list[Any], answers: list[Any], passages: list[Any], **_: Any) -> list[float]:
        return [
            reward(answer[-1]["content"], {"answers": right, "passages": given})
            for answer, right, given in zip(completions, answers, passages, strict=True)
        ]

    score.__name__ = name
    return score


def _length(prompt: Any, tokenizer: Any) -> int:
    return len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True, return_dict=False))
