"""One frozen config per training run, read from TOML: a misspelt key, a wrong type or an impossible value stops the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from finetune.toml_records import read_toml, record_of
from knowledge.errors import TrainingFailed

Method = Literal["full", "lora", "qlora", "prefix"]
StageName = Literal["pt", "sft", "rm", "dpo", "kto", "grpo", "ppo"]


@dataclass(frozen=True)
class BaseSettings:
    """The model that is trained on.

    model: a folder, or a hub id where allow_download is true. dtype: "auto" is bfloat16 on a GPU, float32 on a CPU.
    chat_template: "" the base's own, "plain" ours for a base without one. attention: "auto" takes variable-length flash
    attention for packed rows where the GPU has it, else sdpa.
    """

    model: str = ""
    revision: str = ""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    chat_template: Literal["", "plain"] = ""
    attention: Literal["auto", "sdpa", "eager", "varlen"] = "auto"
    allow_download: bool = False


@dataclass(frozen=True)
class AdapterSettings:
    """What is trained: everything ("full"), a LoRA on the base or on its 4-bit form, or a prefix (p-tuning v2).

    alpha: 0 is twice the rank. targets: "all-linear", or module names. prefix_tokens: virtual tokens of a prefix.
    """

    method: Method = "qlora"
    rank: int = 16
    alpha: int = 0
    dropout: float = 0.0
    rslora: bool = False
    dora: bool = False
    targets: tuple[str, ...] = ("all-linear",)
    prefix_tokens: int = 32

    @property
    def four_bit(self) -> bool:
        return self.method == "qlora"

    @property
    def lora_alpha(self) -> int:
        return self.alpha or 2 * self.rank


@dataclass(frozen=True)
class TrainingSettings:
    """How long and in what steps.

    max_steps: 0 leaves it to epochs. batch_size: rows a device takes at once, 0 probes for the largest that fits;
    accumulate: batches a step. warmup_share: of all steps. max_tokens: of a row. packing: several rows a sequence, never
    seeing each other. patience: evaluations without a better loss before stopping, 0 never. evaluation_share: of the rows,
    held out where no evaluation files are named.

    Speed, alike in what is learnt. gradient_checkpointing: layers are computed again on the way back, instead of kept;
    recompute_every: only each n-th layer. kernels: "auto" is on a GPU the fused step of finetune/fused_lora.py and, where
    liger-kernel is installed, its norm and rotation; "fused" takes the step on a CPU too, "plain" neither. logits_chunk:
    tokens whose logits stand in memory at once, 0 all. compile: torch compiles the layers.
    """

    epochs: float = 3.0
    max_steps: int = 0
    batch_size: int = 4
    accumulate: int = 4
    learning_rate: float = 2e-4
    scheduler: str = "cosine"
    warmup_share: float = 0.05
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_tokens: int = 1024
    packing: bool = False
    gradient_checkpointing: bool = True
    recompute_every: int = 1
    kernels: Literal["auto", "fused", "plain"] = "auto"
    logits_chunk: int = 2048
    compile: bool = False
    neftune_alpha: float = 0.0
    log_every: int = 5
    save_every: int = 100
    evaluate_every: int = 0
    evaluation_share: float = 0.0
    patience: int = 0


@dataclass(frozen=True)
class RewardSettings:
    """rm. center_coefficient: how strongly rewards are drawn to a mean of zero (Eisenstein et al., 2023)."""

    center_coefficient: float = 0.01


@dataclass(frozen=True)
class PreferenceSettings:
    """dpo. losses: TRL's names, added with their weights; "sft" keeps the chosen answers likely. beta: pull to the reference."""

    beta: float = 0.1
    losses: tuple[str, ...] = ("sigmoid",)
    weights: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    precompute_reference: bool = True


@dataclass(frozen=True)
class ThumbSettings:
    """kto. Weights make up for more thumbs of one kind than of the other; 0 balances them from the data."""

    beta: float = 0.1
    desirable_weight: float = 0.0
    undesirable_weight: float = 0.0


@dataclass(frozen=True)
class VerifiableSettings:
    """grpo. rewards: names of finetune/verifiable_rewards.py, with a weight each. answers: written for each prompt."""

    rewards: tuple[str, ...] = ("exam", "format")
    weights: tuple[float, ...] = ()
    answers: int = 8
    max_new_tokens: int = 256
    temperature: float = 1.0
    beta: float = 0.02


@dataclass(frozen=True)
class ReinforcementSettings:
    """ppo. reward: the adapter folder an rm run wrote, or "verifiable:NAME". reward_clip: bounds of a whitened reward.

    kl: the first weight of the pull to the reference, moved so that the divergence (nats an answer) stays near kl_target;
    kl_stop: an update ends early past it. missing_stop_penalty: taken from an answer that ran into max_new_tokens.
    """

    reward: str = ""
    iterations: int = 100
    prompts_per_iteration: int = 16
    epochs: int = 2
    minibatch: int = 8
    max_new_tokens: int = 256
    temperature: float = 1.0
    kl: float = 0.05
    kl_target: float = 4.0
    kl_horizon: int = 2000
    kl_stop: float = 0.2
    discount: float = 1.0
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_clip: float = 0.2
    value_learning_rate: float = 1e-4
    normalise_reward: bool = True
    reward_clip: float = 5.0
    missing_stop_penalty: float = 1.0


STAGE_SECTIONS: dict[str, tuple[str, type] | None] = {
    "pt": None,
    "sft": None,
    "rm": ("rm", RewardSettings),
    "dpo": ("dpo", PreferenceSettings),
    "kto": ("kto", ThumbSettings),
    "grpo": ("grpo", VerifiableSettings),
    "ppo": ("ppo", ReinforcementSettings),
}


@dataclass(frozen=True)
class StageConfig:
    """What one TOML of finetune/configs/ says. data, evaluation: JSON Lines, relative to the data folder."""

    stage: StageName
    name: str
    data: tuple[str, ...]
    evaluation: tuple[str, ...] = ()
    init_adapter: str = ""
    seed: int = 1
    base: BaseSettings = field(default_factory=BaseSettings)
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    rm: RewardSettings = field(default_factory=RewardSettings)
    dpo: PreferenceSettings = field(default_factory=PreferenceSettings)
    kto: ThumbSettings = field(default_factory=ThumbSettings)
    grpo: VerifiableSettings = field(default_factory=VerifiableSettings)
    ppo: ReinforcementSettings = field(default_factory=ReinforcementSettings)

    @classmethod
    def read(cls, path: Path) -> StageConfig:
        """The config of a file. Raises TrainingFailed naming file, key and what would work."""
        config = cls.from_values(read_toml(path), path.name)
        return config

    @classmethod
    def from_values(cls, values: Mapping[str, Any], where: str) -> StageConfig:
        if values.get("stage") not in STAGE_SECTIONS:
            raise TrainingFailed(f"{where}: stage is {values.get('stage')!r}; known: {', '.join(STAGE_SECTIONS)}")
        section = STAGE_SECTIONS[values["stage"]]
        foreign = {name for pair in STAGE_SECTIONS.values() if pair for name in (pair[0],)} - {
            section[0] if section else ""
        }
        if found := foreign & set(values):
            raise TrainingFailed(f"{where}: [{sorted(found)[0]}] says nothing to stage {values['stage']}; remove it")
        config: StageConfig = record_of(cls, values, where, "")
        config.check(where)
        return config

    def check(self, where: str) -> None:
        """Raises TrainingFailed where values cannot go together."""
        faults = {
            "data names no file": not self.data,
            "[base] model is missing; name a folder": not self.base.model,
            "[adapter] rank must be positive": self.adapter.rank < 1,
            "[training] max_tokens must be at least 8": self.training.max_tokens < 8,
            "[training] accumulate must be at least 1": self.training.accumulate < 1,
            "[training] batch_size cannot be negative": self.training.batch_size < 0,
            "[training] packing is for pt and sft": self.training.packing and self.stage not in ("pt", "sft"),
            "[training] packing cannot go with method prefix": self.training.packing and self.adapter.method == "prefix",
            "[training] recompute_every must be at least 1": self.training.recompute_every < 1,
            "[training] logits_chunk cannot be negative": self.training.logits_chunk < 0,
            "[adapter] method prefix is for pt and sft": self.adapter.method == "prefix" and self.stage not in ("pt", "sft"),
            "[adapter] method must be lora or qlora for ppo": self.stage == "ppo" and self.adapter.method not in ("lora", "qlora"),
            "[training] patience needs evaluate_every": bool(self.training.patience) and not self.training.evaluate_every,
            "[training] evaluate_every needs evaluation files or evaluation_share": bool(self.training.evaluate_every)
            and not self.evaluation
            and not self.training.evaluation_share,
            "init_adapter cannot continue method full; name the trained folder as [base] model": bool(self.init_adapter)
            and self.adapter.method == "full",
            "[ppo] reward is missing; name the adapter folder of an rm run": self.stage == "ppo" and not self.ppo.reward,
        }  # fmt: skip
        for fault, is_there in faults.items():
            if is_there:
                raise TrainingFailed(f"{where}: {fault}")

    def with_base(self, model: str) -> StageConfig:
        return replace(self, base=replace(self.base, model=model))
