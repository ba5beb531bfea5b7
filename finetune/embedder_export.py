"""A trained token table → a model folder that sentence-transformers and ONNX Runtime both read, weights stored once.

The table is kept as one signed byte per number and one float32 scale per row. `model.safetensors` holds both under
the names that sentence-transformers' StaticEmbedding dequantises on loading; `model.onnx` is the graph alone, and
points into that file for its weights.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.errors import MissingExtra
from rag.embedder import GRAPH_FILE, SETTINGS_FILE, TOKENIZER_FILE, WEIGHTS_FILE

MODULES = [
    ("", "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding"),
    ("1_Normalize", "sentence_transformers.base.modules.normalize.Normalize"),
]
NORMALIZE = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
SENTENCE_TRANSFORMERS_CONFIG = {
    "model_type": "SentenceTransformer",
    "prompts": {"document": "", "query": ""},
    "default_prompt_name": None,
    "similarity_fn_name": "cosine",
}
OPSET, IR_VERSION = 17, 8  # old enough for every ONNX Runtime since 1.13


@dataclass(frozen=True)
class QuantisedTable:
    """codes: (tokens, dimension) int8; scales: (tokens,) float32; a token's vector is codes[token] * scales[token]."""

    codes: np.ndarray
    scales: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray) -> QuantisedTable:
        peaks = np.maximum(np.abs(table).max(axis=1), 1e-12)
        scales = (peaks / 127).astype(np.float32)
        return cls(np.rint(table / scales[:, None]).astype(np.int8), scales)


def write_model_folder(folder: Path, name: str, table: np.ndarray, tokenizer: Any) -> None:
    """Everything but the model card. table: (tokens, dimension) float32; tokenizer: a `tokenizers.Tokenizer`."""
    folder.mkdir(parents=True, exist_ok=True)
    quantised = QuantisedTable.of(table)
    tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)
    _write_weights(folder / WEIGHTS_FILE, quantised)
    _write_graph(folder, quantised)
    settings = {"name": name, "dimension": table.shape[1], "max_tokens": 1_000_000}
    _write_json(folder / SETTINGS_FILE, settings)
    for number, (path, _) in enumerate(MODULES):
        (folder / path).mkdir(exist_ok=True)
        if number:
            _write_json(folder / path / "config.json", NORMALIZE)
    modules = [{"idx": n, "name": str(n), "path": path, "type": kind} for n, (path, kind) in enumerate(MODULES)]
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "config_sentence_transformers.json", SENTENCE_TRANSFORMERS_CONFIG)


def _write_weights(path: Path, quantised: QuantisedTable) -> None:
    from safetensors.numpy import save_file

    save_file({"embeddings": quantised.codes, "weights": quantised.scales}, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes for the owner alone; an installed package is read by others


def _write_graph(folder: Path, quantised: QuantisedTable) -> None:
    """input_ids, attention_mask (n, tokens) int64 → sentence_embedding (n, dimension): the rows' sum, at unit length.

    A text without tokens has the sum 0 and stays 0.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError:
        raise MissingExtra("writing model.onnx needs onnx; pip install 'daozhen[finetune]'") from None
    places = _places_in_safetensors(folder / WEIGHTS_FILE)
    initializers = [
        _external("embeddings", TensorProto.INT8, quantised.codes.shape, places["embeddings"]),
        _external("weights", TensorProto.FLOAT, quantised.scales.shape, places["weights"]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("tiny", TensorProto.FLOAT, [], [1e-12]),
    ]
    nodes = [
        helper.make_node("Gather", ["embeddings", "input_ids"], ["codes"], axis=0),
        helper.make_node("Cast", ["codes"], ["rows"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["weights", "input_ids"], ["scales"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["scales", "mask"], ["kept_scales"]),
        helper.make_node("Unsqueeze", ["kept_scales", "one"], ["kept_scales_row"]),
        helper.make_node("MatMul", ["kept_scales_row", "rows"], ["sum_row"]),
        helper.make_node("Squeeze", ["sum_row", "one"], ["sum"]),
        helper.make_node("ReduceL2", ["sum"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Max", ["length", "tiny"], ["safe_length"]),
        helper.make_node("Div", ["sum", "safe_length"], ["sentence_embedding"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    dimension = quantised.codes.shape[1]
    outputs = [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["n", dimension])]
    graph = helper.make_graph(nodes, "static_embedder", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="daozhen")
    model.ir_version = IR_VERSION
    (folder / GRAPH_FILE).write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(folder / GRAPH_FILE))


def _external(name: str, kind: int, shape: tuple[int, ...], place: tuple[int, int]) -> Any:
    """A tensor whose bytes lie in the weights file. place: (offset, length) in bytes."""
    from onnx import TensorProto

    tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", WEIGHTS_FILE), ("offset", place[0]), ("length", place[1])):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _places_in_safetensors(path: Path) -> dict[str, tuple[int, int]]:
    """(offset in the file, length) of every tensor: eight bytes give the header's length, the header their places."""
    with path.open("rb") as file:
        (header_length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_length))
    start = 8 + header_length
    header.pop("__metadata__", None)
    return {
        name: (start + tensor["data_offsets"][0], tensor["data_offsets"][1] - tensor["data_offsets"][0])
        for name, tensor in header.items()
    }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
