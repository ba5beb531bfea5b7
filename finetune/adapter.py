"""What is trained on top of a base: a LoRA (plain, rank-stabilised, weight-decomposed) or a prefix, and its recipe.

An adapter folder holds the weights, the tokenizer with its chat template, and `recipe.json`: what base it belongs to and
how it came about. Nothing is read from it that does not fit the base.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from finetune.base_model import Task, base_fingerprint
from finetune.stage_config import AdapterSettings
from knowledge.errors import TrainingFailed, first_line

RECIPE = "recipe.json"
WEIGHTS = "adapter_model.safetensors"


def new_adapter(model: Any, settings: AdapterSettings, task: Task) -> Any:
    """The model with an untrained adapter on it; only the adapter (and a reward's head) learns, in float32."""
    from peft import LoraConfig, PrefixTuningConfig, get_peft_model

    task_type = "CAUSAL_LM" if task == "causal" else "SEQ_CLS"
    if settings.method == "prefix":
        peft_config: Any = PrefixTuningConfig(num_virtual_tokens=settings.prefix_tokens, task_type=task_type)
    else:
        peft_config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.dropout,
            use_rslora=settings.rslora,
            use_dora=settings.dora,
            target_modules=settings.targets[0] if settings.targets == ("all-linear",) else list(settings.targets),
            task_type=task_type,
        )
    try:
        return trainable_in_float32(get_peft_model(model, peft_config))
    except ValueError as fault:
        raise TrainingFailed(f"the adapter does not fit the base: {first_line(fault)}") from None


def continued_adapter(model: Any, folder: Path, task: Task, base: str) -> Any:
    """The model with the adapter of a folder on it, to be trained further.

    A reward's adapter may begin from a dialogue adapter: its head is then new.
    Raises TrainingFailed where the folder holds none, or one of another base.
    """
    from peft import PeftConfig, get_peft_model, set_peft_model_state_dict

    require_adapter_of(folder, base)
    peft_config = PeftConfig.from_pretrained(str(folder))
    peft_config.task_type = "CAUSAL_LM" if task == "causal" else "SEQ_CLS"
    peft_config.inference_mode = False
    peft_config.base_model_name_or_path = base
    peft_config.modules_to_save = None
    model = get_peft_model(model, peft_config)
    weights = adapter_weights(folder)
    if task == "causal":
        weights = {name: value for name, value in weights.items() if ".score." not in name}
    elif not any(".score." in name for name in weights):
        weights["base_model.model.score.weight"] = model.get_base_model().score.original_module.weight.detach()
    try:
        result: Any = set_peft_model_state_dict(model, weights)
    except RuntimeError:
        raise TrainingFailed(f"{folder}: its weights do not fit {base}; it belongs to another base") from None
    absent = [name for name in result.missing_keys if "lora_" in name or "prompt_encoder" in name]
    if absent or result.unexpected_keys:
        raise TrainingFailed(f"{folder}: its weights do not fit {base}; it belongs to another base")
    return trainable_in_float32(model)


def require_adapter_of(folder: Path, base: str) -> None:
    """Raises TrainingFailed where a folder holds no adapter, or one whose recipe names another base."""
    if not (folder / "adapter_config.json").is_file() or not (folder / WEIGHTS).is_file():
        raise TrainingFailed(f"{folder}: no adapter there; name the adapter folder that a training run wrote")
    known = read_recipe(folder).get("base", {}).get("fingerprint", "")
    if known and (actual := base_fingerprint(base)) and known != actual:
        name = read_recipe(folder)["base"].get("model", "another model")
        raise TrainingFailed(f"{folder}: trained on another base ({name}), not on {base}; name that base")


def adapter_weights(folder: Path) -> dict[str, Any]:
    """The weights in an adapter's folder, by name. Raises TrainingFailed where they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(str(folder / WEIGHTS)))
    except (OSError, SafetensorError) as fault:
        raise TrainingFailed(f"{folder / WEIGHTS}: cannot be read ({first_line(fault)}); train again") from None


def read_recipe(folder: Path) -> dict[str, Any]:
    """How an adapter came about; empty for an adapter made elsewhere."""
    path = folder / RECIPE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (OSError, json.JSONDecodeError):
        raise TrainingFailed(
            f"{path}: not readable JSON; restore it, or remove it to use the adapter unchecked"
        ) from None


def save_adapter(model: Any, tokenizer: Any, folder: Path, recipe: dict[str, Any], weights: Any = None) -> None:
    """Writes the adapter folder; it appears whole or not at all. weights: in place of the model's own, by name."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(str(partial), safe_serialization=True, state_dict=weights)
    tokenizer.save_pretrained(str(partial))
    (partial / "README.md").unlink(missing_ok=True)  # the library's own card names people's paths
    (partial / RECIPE).write_text(json.dumps(recipe, ensure_ascii=False, indent=2), encoding="utf-8")
    replace_folder(partial, folder)


def replace_folder(partial: Path, folder: Path) -> None:
    """Puts a whole folder where an older one may stand."""
    if folder.exists():
        old = folder.with_name(folder.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        partial.rename(folder)


def trainable_in_float32(model: Any) -> Any:
    """In bfloat16 a small update of a weight is lost, and a resumed run differs from an uninterrupted one."""
    import torch

    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)
    _heads_take_what_comes(model)
    return model


def _heads_take_what_comes(model: Any) -> None:
    """A head in float32 on a base whose last layer speaks bfloat16: what goes in is cast, where no autocast does it."""
    from peft.utils import ModulesToSaveWrapper

    for wrapper in model.modules():
        if isinstance(wrapper, ModulesToSaveWrapper):
            for head in wrapper.modules_to_save.values():
                head.register_forward_pre_hook(lambda one, given: (given[0].to(one.weight.dtype), *given[1:]))
