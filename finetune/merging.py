"""A trained adapter into its base, as one model of its own.

An adapter trained on 4-bit weights fits those, not the weights they were made from: it is merged into the dequantized
base, and what comes out is held against base and adapter by their logits before anything is written.
"""

from __future__ import annotations

import copy
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.adapter import RECIPE, read_recipe, replace_folder, require_adapter_of
from finetune.base_model import load_base, load_tokenizer, quantization, require_base
from finetune.chat_template import stop_token_ids
from finetune.stage_config import BaseSettings
from knowledge.errors import TrainingFailed, first_line

MAX_DIVERGENCE = {"float32": 1e-4, "bfloat16": 5e-3}  # nats a token between adapter and merged model
LARGE_BASE = 4e9  # parameters from which float32 would not fit beside everything else
PROBES = (
    "患者：发烧三天，夜里咳嗽。\n助手：",
    "The patient says: my knee hurts when I climb stairs.\nAnswer:",
    "Weights, numbers 1 2 3, and 标点。",
)


@dataclass(frozen=True)
class Merged:
    """What a merge came to. divergence: nats a token from base with adapter; changed: tensors the adapter changed."""

    model_dir: Path
    divergence: float
    changed: int
    dtype: str


def merge_adapter(
    adapter_dir: Path,
    model_dir: Path,
    *,
    base: str = "",
    four_bit: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> Merged:
    """Writes base and adapter as one model folder; with four_bit in nf4.

    Raises TrainingFailed where the adapter belongs to another base, cannot be merged, changes nothing, or where the merged
    model does not say what base and adapter say; nothing is written then.
    """
    recipe = read_recipe(adapter_dir)
    base = base or recipe.get("base", {}).get("model", "")
    if not base:
        raise TrainingFailed(f"{adapter_dir}: does not say which base it belongs to; name it with --base")
    require_base(BaseSettings(model=base))
    require_mergeable(adapter_dir, base)
    if model_dir.exists() and any(model_dir.iterdir()):
        raise TrainingFailed(f"{model_dir}: not empty; name a folder that does not exist yet")
    trained_in_four_bit = bool(recipe.get("base", {}).get("four_bit", False))
    settings = BaseSettings(model=base, dtype="bfloat16" if _weights_size(base) / 2 > LARGE_BASE else "float32")
    own_dtype = _own_dtype(base)
    tokenizer = load_tokenizer(settings, adapter_dir if (adapter_dir / "tokenizer_config.json").is_file() else None)
    model = load_base(settings, four_bit=trained_in_four_bit)
    if trained_in_four_bit:
        tell("the base was trained on in 4 bit: dequantized")
        model = _whole(model, settings.dtype)
    before = _prints(model, own_dtype)
    merged, wanted = _merged_in_memory(model, adapter_dir, tokenizer)
    merged = merged.to(own_dtype)
    changed = sum(before[name] != one for name, one in _prints(merged, own_dtype).items())
    if not changed:
        raise TrainingFailed(
            f"{adapter_dir}: merging it changes no weight of {base}; it was not trained, or is another base's"
        )
    divergence = _divergence(wanted, _log_probs(merged, tokenizer))
    dtype = str(own_dtype).removeprefix("torch.")
    if not divergence <= MAX_DIVERGENCE.get(dtype, 5e-3):
        raise TrainingFailed(
            f"{adapter_dir}: the merged model differs from base and adapter ({divergence:.2g} nats a token); not written"
        )
    _write(merged, tokenizer, model_dir, adapter_dir, four_bit)
    return Merged(model_dir, divergence, changed, "nf4" if four_bit else dtype)


def _whole(model: Any, dtype: str) -> Any:
    """The model with its weights dequantized, all of one type, as one that never was in 4 bit: no other can be saved."""
    import torch
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(model.config)
    weights = model.dequantize().to(getattr(torch, dtype)).state_dict()
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    whole = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    whole.load_state_dict(weights)
    whole.generation_config = model.generation_config
    return whole.eval()


def _merged_in_memory(model: Any, adapter_dir: Path, tokenizer: Any) -> tuple[Any, list[Any]]:
    """(the base with the adapter in its weights, what base and adapter said side by side: log-probabilities a probe)."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(model, str(adapter_dir)).eval()
    wanted = _log_probs(model, tokenizer)
    try:
        return model.merge_and_unload(safe_merge=True), wanted
    except ValueError as fault:
        raise TrainingFailed(f"{adapter_dir}: cannot be merged ({first_line(fault)})") from None


def require_mergeable(adapter_dir: Path, base: str) -> None:
    """Raises TrainingFailed for a prefix, a reward's adapter, or another base's."""
    import json

    require_adapter_of(adapter_dir, base)
    peft_config = json.loads((adapter_dir / "adapter_config.json").read_text(encoding="utf-8"))
    if peft_config.get("peft_type") != "LORA":
        raise TrainingFailed(f"{adapter_dir}: a prefix cannot be merged; serve it as base and adapter")
    if peft_config.get("task_type") == "SEQ_CLS":
        raise TrainingFailed(f"{adapter_dir}: a reward model does not write; it is used as [ppo] reward, not exported")


def _write(model: Any, tokenizer: Any, model_dir: Path, adapter_dir: Path, four_bit: bool) -> None:
    """Weights, tokenizer with its template, and a generation config that knows where answers end."""
    partial = model_dir.with_name(model_dir.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    model.config.use_cache = True
    model.generation_config.eos_token_id = sorted(stop_token_ids(tokenizer, model.generation_config))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(str(partial), safe_serialization=True, max_shard_size="4GB")
    tokenizer.save_pretrained(str(partial))
    if (adapter_dir / RECIPE).is_file():
        shutil.copy(adapter_dir / RECIPE, partial / RECIPE)
    if four_bit:
        quantize_folder(partial)
    if model_dir.exists():
        model_dir.rmdir()
    replace_folder(partial, model_dir)


def quantize_folder(folder: Path) -> None:
    """Puts a model folder's weights in nf4 with double quantization, in place."""
    import torch
    from transformers import AutoModelForCausalLM

    from finetune.base_model import guard_cpu_quantization

    guard_cpu_quantization()
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), quantization_config=quantization(torch.bfloat16), dtype=torch.bfloat16, local_files_only=True
    )
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    model.save_pretrained(str(folder), safe_serialization=True, max_shard_size="4GB")


def _log_probs(model: Any, tokenizer: Any) -> list[Any]:
    import torch

    device = next(model.parameters()).device
    with torch.inference_mode():
        return [
            model(**tokenizer(text, return_tensors="pt").to(device)).logits[0].float().log_softmax(-1)
            for text in PROBES
        ]


def _divergence(wanted: list[Any], given: list[Any]) -> float:
    """The mean Kullback-Leibler divergence over all tokens, in nats."""
    import torch

    rows = [(one.exp() * (one - other)).sum(-1) for one, other in zip(wanted, given, strict=True)]
    return float(torch.cat(rows).mean().clamp(min=0))


def _prints(model: Any, dtype: Any) -> dict[str, int]:
    """A checksum of every weight, in the type it will be kept in: a change that rounding swallows is none."""
    import torch

    return {
        name: zlib.crc32(weight.detach().to(dtype).cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        for name, weight in model.named_parameters()
    }


def _own_dtype(base: str) -> Any:
    """The type the base's weights are kept in."""
    import torch
    from transformers import AutoConfig

    dtype = getattr(AutoConfig.from_pretrained(base, local_files_only=True), "dtype", None)
    return (
        dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype) if isinstance(dtype, str) else torch.bfloat16
    )


def _weights_size(base: str) -> int:
    return sum(path.stat().st_size for path in Path(base).expanduser().glob("*.safetensors"))
