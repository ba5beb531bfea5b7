"""The base stage: texts → a tokenizer and a small language model from scratch, as a model folder every other stage trains on.

A base of some tens of millions of parameters is no doctor: it learns both languages, the form of a consultation and to
copy from what stands in its prompt. What it may say is decided by the gates.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.base_corpus import TOKENIZER, Corpus, TextSource, ready_corpus
from finetune.base_measures import answer_tokens, answers_foretold, held_out_perplexity, token_losses
from finetune.base_tokenizer import END, PAD, save_chat_tokenizer
from finetune.plain_causal_attention import PLAIN_CAUSAL, register_plain_causal
from knowledge.errors import MissingExtra, TrainingFailed

if TYPE_CHECKING:
    import torch

Progress = Callable[[str], None]
STAGE = "base"
RECIPE = "recipe.json"
TIMES_MEASURED, FEW_MEASURED = 4, 12  # while it trains: how often, and windows of each source


@dataclass(frozen=True)
class BaseShape:
    """A Llama of these numbers; embeddings and head share one table. window: the longest text, in tokens."""

    layers: int = 12
    width: int = 512
    heads: int = 8
    key_heads: int = 4
    inner: int = 1536
    window: int = 2048


@dataclass(frozen=True)
class BaseSteps:
    """rows: windows a step. late_share: of the steps, the last ones, in which the sources' late weights hold.
    answer_weight: how much a token of an answer counts beside one of any other text."""

    steps: int
    learning_rate: float
    rows: int = 64
    late_share: float = 0.3
    answer_weight: float = 1.0
    warmup_share: float = 0.04
    weight_decay: float = 0.1
    guard_share: float = 0.1
    least_fall: float = 0.3


@dataclass(frozen=True)
class BaseConfig:
    """What finetune/configs/embedded/base.toml says. held_out_share: of the documents, kept back to measure on."""

    name: str
    training: BaseSteps
    texts: tuple[TextSource, ...]
    shape: BaseShape = field(default_factory=BaseShape)
    vocabulary: int = 16_000
    held_out_share: float = 0.005
    seed: int = 1

    @classmethod
    def from_values(cls, values: Mapping[str, Any], where: str) -> BaseConfig:
        """Raises TrainingFailed naming the file and the key."""
        rest = {key: value for key, value in values.items() if key != "stage"}
        try:
            texts = tuple(TextSource(**row) for row in rest.pop("texts", []))
            training, shape = BaseSteps(**rest.pop("training", {})), BaseShape(**rest.pop("shape", {}))
            config = cls(training=training, shape=shape, texts=texts, **rest)
        except (TypeError, AttributeError) as fault:
            problem = str(fault).replace("__init__() got an ", "")
            raise TrainingFailed(f"{where}: {problem}; see finetune/configs/embedded/base.toml") from None
        if not config.texts:
            raise TrainingFailed(
                f"{where}: [[texts]] names nothing to learn from; see finetune/configs/embedded/base.toml"
            )
        return config


def train_base(
    config: BaseConfig, data_dir: Path, out_dir: Path, *, tell: Progress = lambda _line: None
) -> dict[str, Any]:
    """Trains the base and writes its model folder; returns its figures. A run that was stopped goes on.

    Texts that are not in data_dir are left out and named; with none at all, or where the loss does not fall, TrainingFailed
    is raised. Held-out perplexity is measured before and after.
    """
    try:
        import torch

        from finetune.guarded_loop import LoopSettings, train_loop
    except ImportError as fault:
        raise MissingExtra(f"training needs {fault.name}: pip install 'daozhen[finetune]'") from None
    if out_dir.exists() and any(out_dir.iterdir()):
        raise TrainingFailed(f"{out_dir}: not empty; name a folder that does not exist yet with --out")
    started = time.perf_counter()
    work = out_dir.with_name(f"{out_dir.name}.work")
    corpus = ready_corpus(work / "corpus", data_dir, config.texts, config.vocabulary, config.held_out_share, tell)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.seed)
    model = new_model(config.shape, corpus.figures["vocabulary"], work / "corpus" / TOKENIZER).to(device)
    parameters = sum(weight.numel() for weight in model.parameters())
    tell(f"{parameters / 1e6:.1f} M parameters on {device.type}")
    windows = Windows(config, corpus, device)
    before = held_out_perplexity(model, corpus, config.shape.window, device)
    steps = config.training
    measure: Any = torch.compile(token_losses) if device.type == "cuda" else token_losses

    def loss_of(step: int) -> torch.Tensor:
        if step and step % max(1, steps.steps // TIMES_MEASURED) == 0:
            tell(
                f"answer tokens foretold: {answers_foretold(model, corpus, config.shape.window, device, FEW_MEASURED)}"
            )
        ids = windows.of_step(step)
        weights = 1 + (steps.answer_weight - 1) * answer_tokens(ids)[:, 1:]
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            losses, _ = measure(model, ids)
        loss: torch.Tensor = (losses * weights).sum() / weights.sum()
        return loss

    settings = LoopSettings(
        steps.steps,
        steps.learning_rate,
        steps.warmup_share,
        steps.weight_decay,
        steps.guard_share,
        steps.least_fall,
    )
    fingerprint = hashlib.sha256(
        json.dumps([asdict(config), corpus.figures["fingerprint"]], sort_keys=True).encode()
    ).hexdigest()[:16]
    trained = time.perf_counter()
    losses = train_loop(model, loss_of, settings, work / "checkpoint", fingerprint, tell)
    seconds = time.perf_counter() - trained
    after = held_out_perplexity(model, corpus, config.shape.window, device)
    tokens = steps.steps * steps.rows * windows.length
    figures: dict[str, Any] = {
        "parameters": parameters,
        "steps": steps.steps,
        "tokens": tokens,
        "tokens_per_second": round(tokens / max(seconds, 1e-6)),
        "loss": [round(losses[0], 3), round(sum(losses[-50:]) / len(losses[-50:]), 3)],
        "perplexity_before": before,
        "perplexity_after": after,
        "answer_tokens_foretold": answers_foretold(model, corpus, config.shape.window, device),
        "seconds": round(time.perf_counter() - started),
    }
    write_base(model, config, corpus, work, out_dir, {**figures, "losses": thinned(losses)})
    return figures


def new_model(shape: BaseShape, vocabulary: int, tokenizer_file: Path) -> Any:
    """A Llama with random weights."""
    from tokenizers import Tokenizer
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    register_plain_causal()
    settings = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        max_position_embeddings=shape.window,
        tie_word_embeddings=True,
        initializer_range=0.02,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PAD),
    )
    settings._attn_implementation = PLAIN_CAUSAL
    model = LlamaForCausalLM(settings)
    for name, weight in model.named_parameters():  # what writes into the residual stream begins smaller, as in GPT-2
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.data.div_(math.sqrt(2 * shape.layers))
    return model


class Windows:
    """Windows of the corpus at random, each step's the same for the same seed, drawn by the sources' weights."""

    def __init__(self, config: BaseConfig, corpus: Corpus, device: Any) -> None:
        import numpy as np
        import torch

        self.config = config
        sources = [source for source in config.texts if len(corpus.streams.get(source.name, ())) > 1]
        lengths = [len(corpus.streams[source.name]) for source in sources]
        if not lengths:
            raise TrainingFailed("the texts hold nothing to learn from; give more of them")
        self.length = min(config.shape.window, *(length - 1 for length in lengths))
        self.starts = np.cumsum([0, *lengths[:-1]])
        self.lengths = np.array(lengths)
        self.weights = [np.array([getattr(one, name) for one in sources], float) for name in ("weight", "late_weight")]
        self.ids = torch.from_numpy(
            np.concatenate([corpus.streams[source.name] for source in sources]).astype(np.int32)
        ).to(device)
        self.offsets = torch.arange(self.length, device=device)

    def of_step(self, step: int) -> Any:
        """(rows, tokens) int64."""
        import numpy as np
        import torch

        steps = self.config.training
        weights = self.weights[step >= round(steps.steps * (1 - steps.late_share))]
        rng = np.random.default_rng([self.config.seed, step])
        chosen = rng.choice(len(weights), steps.rows, p=weights / weights.sum())
        starts = self.starts[chosen] + (rng.random(steps.rows) * (self.lengths[chosen] - self.length)).astype(np.int64)
        return self.ids[torch.from_numpy(starts).to(self.ids.device)[:, None] + self.offsets].long()


def write_base(
    model: Any, config: BaseConfig, corpus: Corpus, work: Path, out_dir: Path, figures: Mapping[str, Any]
) -> None:
    """The model folder, bfloat16, whole or not at all."""
    import torch
    from tokenizers import Tokenizer

    partial = out_dir.with_name(f"{out_dir.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    plain = model.to(torch.bfloat16)
    plain.config._attn_implementation = "sdpa"
    plain.config.use_cache = True
    plain.save_pretrained(str(partial), safe_serialization=True)
    save_chat_tokenizer(Tokenizer.from_file(str(work / "corpus" / TOKENIZER)), partial, config.shape.window)
    recipe = {"stage": STAGE, "config": asdict(config), "corpus": corpus.figures, **figures}
    (partial / RECIPE).write_text(json.dumps(recipe, ensure_ascii=False, indent=1), encoding="utf-8")
    if out_dir.exists():
        out_dir.rmdir()
    partial.replace(out_dir)


def thinned(losses: typing.Sequence[float], most: int = 400) -> list[float]:
    """Means of equal stretches, for a curve."""
    size = max(1, len(losses) // most)
    return [round(sum(losses[at : at + size]) / len(losses[at : at + size]), 4) for at in range(0, len(losses), size)]
