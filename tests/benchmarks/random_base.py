"""A base of a given shape with random weights, made where it is trained: speed and memory need no download.

The folder holds config and tokenizer only; the weights come into being on the device, layer by layer, in 4 bit at once where
that is asked for, so that a base of 7 B parameters stands in seconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

QWEN2_5_7B = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768, "rope_theta": 1000000.0,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
}  # fmt: skip
TOY = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 4096, "max_position_embeddings": 4096, "tie_word_embeddings": False,
}  # fmt: skip
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write_base_folder(folder: Path, data: Path, shape: dict[str, Any], tokens: int = 16000) -> Path:
    """config.json and a byte-level tokenizer trained on the data; the vocabulary is padded to the shape's, so that the head costs what it costs."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=min(tokens, shape["vocab_size"]),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=12,  # bytes: the words of a real tokenizer, not whole clauses
        show_progress=False,
    )
    lines = data.read_text(encoding="utf-8").splitlines()
    bpe.train_from_iterator((turn["content"] for line in lines for turn in json.loads(line)["messages"]), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = CHATML
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    config = Qwen2Config(
        **shape, eos_token_id=end, pad_token_id=pad, bos_token_id=None, architectures=["Qwen2ForCausalLM"]
    )
    config.save_pretrained(folder)
    return folder


def random_base(settings: Any, *, four_bit: bool, task: str = "causal", attention: str = "") -> Any:
    """In place of finetune.base_model.load_base: the same model, its weights drawn where it is trained."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    from finetune.base_model import _local_rank, compute_dtype, device_name, guard_cpu_quantization, quantization

    device = torch.device(f"cuda:{_local_rank()}") if device_name() == "cuda" else torch.device("cpu")
    dtype = compute_dtype(settings)
    config = AutoConfig.from_pretrained(settings.model, local_files_only=True)
    kind: Any = AutoModelForCausalLM if task == "causal" else AutoModelForSequenceClassification
    options: dict[str, Any] = {"attn_implementation": attention} if attention else {}
    if task == "reward":
        config.num_labels = 1
    with torch.device("meta"):
        model = kind.from_config(config, dtype=dtype, **options)
    with device:
        model.model.rotary_emb = type(model.model.rotary_emb)(config=config)  # its table is computed, not drawn
    generator = torch.Generator(device=device).manual_seed(0)
    if four_bit:
        guard_cpu_quantization()
    for name, module in list(model.named_modules()):
        if four_bit and isinstance(module, torch.nn.Linear) and name not in ("lm_head", "score"):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, _four_bit_linear(module, device, dtype, generator))
            continue
        for key, parameter in list(module.named_parameters(recurse=False)):
            value = (
                torch.ones(parameter.shape, device=device)
                if "norm" in name
                else drawn(parameter.shape, device, generator)
            )
            setattr(module, key, torch.nn.Parameter(value.to(dtype)))
    if four_bit:
        model.is_loaded_in_4bit = True
        model.quantization_method = quantization(dtype).quantization_method()
    if device.type == "cuda":
        model.hf_device_map = {"": device.index}
    model.config.use_cache = False
    return model


def drawn(shape: Any, device: Any, generator: Any) -> Any:
    """In bfloat16, so that a base of another type has the same numbers."""
    import torch

    return torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(0, 0.02, generator=generator)


def _four_bit_linear(plain: Any, device: Any, dtype: Any, generator: Any) -> Any:
    import bitsandbytes as bnb
    import torch

    out, width = plain.weight.shape
    weight = drawn((out, width), device, generator).to(dtype)
    linear = bnb.nn.Linear4bit(
        width, out, bias=False, compute_dtype=dtype, compress_statistics=True, quant_type="nf4", device="meta"
    )
    linear.weight = bnb.nn.Params4bit(
        weight, requires_grad=False, compress_statistics=True, quant_type="nf4", module=linear
    ).to(device)
    linear.quant_state = linear.weight.quant_state
    if plain.bias is not None:
        linear.bias = torch.nn.Parameter(drawn((out,), device, generator).to(dtype), requires_grad=False)
    return linear
