"""The model that is trained on: its tokenizer, its weights (whole or in 4 bit), and what tells it from any other.

4 bit is nf4 with double quantization (Dettmers et al., QLoRA, 2023); the heads stay whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any, Literal

from finetune.stage_config import BaseSettings
from knowledge.errors import MissingExtra, TrainingFailed, first_line

Task = Literal["causal", "reward"]
WHOLE_MODULES = ["lm_head", "score"]  # naming any replaces the library's own list, so both are always named
_SAMPLE_BYTES = 1 << 16


def require_training_libraries(*, trl: bool = True) -> None:
    """Raises MissingExtra where the finetune extra is not installed; trl: with the libraries of the stages on TRL."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it says on every start which hub it did not reach
    try:
        import accelerate  # noqa: F401
        import peft  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401

        if trl:
            import datasets  # noqa: F401
            import trl as _  # noqa: F401
    except ImportError as fault:
        raise MissingExtra(f"training needs {fault.name}: pip install 'daozhen[finetune]'") from None


def guard_cpu_quantization() -> None:
    """Keeps bitsandbytes from repacking 4-bit weights in place on a CPU with avx512_bf16.

    Version 0.50.2 does so on the first forward in eval mode; gradients and merged weights are wrong from then on, while the
    loss looks right. Must run before a model is loaded that will be trained or merged.
    """
    try:
        import bitsandbytes.nn.modules as modules
    except ImportError as fault:
        raise MissingExtra(f"4-bit weights need {fault.name}: pip install 'daozhen[models]'") from None
    modules.has_avx512bf16 = lambda: False


def device_name() -> str:
    """Where torch computes: "cuda" where it finds a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def compute_dtype(settings: BaseSettings) -> Any:
    """bfloat16 on a GPU, float32 on a CPU, unless the config says otherwise."""
    import torch

    if settings.dtype == "auto":
        return torch.bfloat16 if device_name() == "cuda" else torch.float32
    return getattr(torch, settings.dtype)


def quantization(dtype: Any) -> Any:
    """nf4 with double quantization. The library's default is fp4."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=WHOLE_MODULES,
    )


def require_base(settings: BaseSettings) -> None:
    """Raises TrainingFailed where a folder is named that holds no model, or a download would be needed that was not allowed."""
    folder = Path(settings.model).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise TrainingFailed(f"{settings.model}: no config.json there; name a model's folder as [base] model")
    if not folder.is_dir() and not settings.allow_download:
        raise TrainingFailed(
            f"{settings.model}: no such folder; put the base model there, or set [base] allow_download = true to fetch it"
        )


def load_tokenizer(settings: BaseSettings, folder: Path | None = None) -> Any:
    """The base's tokenizer, or the one an adapter was saved with; it has a padding token other than the stop token if it can."""
    from transformers import AutoTokenizer

    if folder is None:
        require_base(settings)
    where = str(folder) if folder else settings.model
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, **_source(settings, folder))
    except (OSError, ValueError, KeyError) as fault:
        raise TrainingFailed(f"{where}: its tokenizer cannot be loaded ({first_line(fault)})") from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(settings: BaseSettings, *, four_bit: bool, task: Task = "causal", attention: str = "") -> Any:
    """The base's weights, for training or merging. Raises TrainingFailed in one line where they cannot be loaded."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    require_base(settings)
    dtype = compute_dtype(settings)
    if four_bit:
        guard_cpu_quantization()
    kind: Any = AutoModelForCausalLM if task == "causal" else AutoModelForSequenceClassification
    options: dict[str, Any] = {"dtype": dtype, **_source(settings, None)}
    if four_bit and not is_quantized(settings.model):
        options["quantization_config"] = quantization(dtype)
    if task == "reward":
        options["num_labels"] = 1
    if attention:
        options["attn_implementation"] = attention
    if device_name() == "cuda":
        options["device_map"] = {"": _local_rank()}
    try:
        model: Any = kind.from_pretrained(settings.model, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as fault:
        raise TrainingFailed(f"{settings.model}: cannot be loaded as a model ({first_line(fault)})") from None
    model.config.use_cache = False
    if task == "reward":
        model.score.weight.data = model.score.weight.data.to(dtype)
    return model


def is_quantized(model: str) -> bool:
    """Whether a folder's weights are already in 4 bit."""
    config = Path(model).expanduser() / "config.json"
    return config.is_file() and "quantization_config" in json.loads(config.read_text(encoding="utf-8"))


def base_fingerprint(model: str) -> str:
    """What tells a base from every other: its shape, the names of its weights and samples of their bytes; "" for a hub id."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = {
        key: value for key, value in config.items() if not key.startswith(("_", "transformers_version", "use_cache"))
    }
    digest.update(json.dumps(shape, sort_keys=True).encode())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for place in (0, size // 2, max(0, size - _SAMPLE_BYTES)):
                file.seek(place)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:32]


def _source(settings: BaseSettings, folder: Path | None) -> dict[str, Any]:
    source: dict[str, Any] = {"local_files_only": not settings.allow_download}
    if settings.revision and folder is None:
        source["revision"] = settings.revision
    return source


def _local_rank() -> int:
    import os

    return int(os.environ.get("LOCAL_RANK", "0"))
