"""A trained encoder → a model folder that sentence-transformers and ONNX Runtime both read.

embedder.json                      name, dimension, longest text
onnx/model.onnx                    the graph with its weights, eight bits a number
tokenizer.json, tokenizer_config.json, config.json, modules.json, 1_Pooling/, 2_Normalize/
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.embedder_corpus_files import PairGroup
from finetune.embedder_encoder import Encoder
from finetune.embedder_graph import Precision, encoder_graph
from finetune.embedder_quantise import activations_of, smoothed, weights_of
from finetune.embedder_tokens import MASK, MASK_ID, PAD, PAD_ID, START, START_ID
from knowledge.errors import MissingExtra
from rag.embedder import SETTINGS_FILE, TOKENIZER_FILE
from rag.onnx_embedder import GRAPH_FILE

MAX_TOKENS = 512  # of a text; what lies beyond is not read
SAMPLE_TEXTS, SAMPLE_TOKENS = 32, 128  # of each group, for the scales of the activations
MODULES = [
    ("", "sentence_transformers.models.Transformer"),
    ("1_Pooling", "sentence_transformers.models.Pooling"),
    ("2_Normalize", "sentence_transformers.models.Normalize"),
]


def write_model_folder(
    folder: Path,
    name: str,
    encoder: Encoder,
    tokenizer: Path,
    groups: Sequence[PairGroup],
    precision: Precision = "int8",
) -> None:
    """Everything but the model card. tokenizer: a tokenizer.json; groups: texts to fix the eight-bit scales on."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise MissingExtra("writing model.onnx needs onnx; pip install 'daozhen[finetune]'") from None
    if folder.exists():
        shutil.rmtree(folder)
    for part in ("onnx", *(path for path, _ in MODULES if path)):
        (folder / part).mkdir(parents=True)
    shutil.copyfile(tokenizer, folder / TOKENIZER_FILE)
    weights = weights_of(encoder)
    scales: dict[str, float] = {}
    if precision == "int8" and encoder.shape.layers:
        weights, scales = smoothed(weights, activations_of(encoder, sample_of(groups), SAMPLE_TOKENS))
    model = encoder_graph(weights, encoder.shape, MAX_TOKENS, precision, scales)
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString(deterministic=True))
    write_settings(folder, name, encoder)


def sample_of(groups: Sequence[PairGroup]) -> list[np.ndarray]:
    """Token ids of some texts of every group, the shortest first; the same texts every time."""
    rng = np.random.default_rng(1)
    parts = [part for group in groups for part in (group.anchors, group.positives)]
    return sorted((part[row] for part in parts for row in rng.permutation(len(part))[:SAMPLE_TEXTS]), key=len)


def write_settings(folder: Path, name: str, encoder: Encoder) -> None:
    """What daozhen, transformers and sentence-transformers read beside the weights."""
    width = encoder.shape.width
    write_json(folder / SETTINGS_FILE, {"name": name, "dimension": width, "max_tokens": MAX_TOKENS})
    write_json(folder / "config.json", transformers_config(encoder))
    write_json(folder / "tokenizer_config.json", tokenizer_config())
    modules = [{"idx": n, "name": str(n), "path": path, "type": kind} for n, (path, kind) in enumerate(MODULES)]
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False})
    write_json(
        folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True}
    )
    write_json(folder / "2_Normalize" / "config.json", {})
    prompts = {"document": "", "query": ""}
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )


def transformers_config(encoder: Encoder) -> dict[str, Any]:
    """The encoder as transformers' ModernBertConfig describes it: global attention in every layer."""
    shape = encoder.shape
    kinds = ["full_attention"] * shape.layers
    rope = {"rope_type": "default", "rope_theta": shape.rotary_base}
    return {
        "model_type": "modernbert",
        "architectures": ["ModernBertModel"],
        "vocab_size": encoder.embeddings.tok_embeddings.num_embeddings,
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "max_position_embeddings": MAX_TOKENS,
        "norm_eps": shape.epsilon,
        "layer_types": kinds,
        "rope_parameters": {"full_attention": rope, "sliding_attention": rope},
        "pad_token_id": PAD_ID,
        "cls_token_id": START_ID,
        "bos_token_id": START_ID,
        "sep_token_id": None,
        "eos_token_id": None,
        "mask_token_id": MASK_ID,
    }


def tokenizer_config() -> dict[str, Any]:
    """What transformers wants beside tokenizer.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "cls_token": START,
        "mask_token": MASK,
        "model_max_length": MAX_TOKENS,
        "model_input_names": ["input_ids", "attention_mask"],
    }


def write_json(path: Path, value: Any) -> None:
    """Readable JSON, Chinese as it is."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
