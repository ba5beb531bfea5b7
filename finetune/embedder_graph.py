"""An encoder's weights → one ONNX graph that ONNX Runtime runs quickly on a CPU.

The graph is written node by node rather than traced: it then holds ONNX Runtime's own attention and rotary operators
and eight-bit matrix products, and knows no torch. The scales of the activations are fixed beforehand, on sample texts
(finetune/embedder_quantise.py): products then run three times as fast as in floats, and a text's vector does not
depend on its neighbours in the batch, as it does where scales are taken from each batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

Precision = Literal["fp32", "int8"]
MICROSOFT = "com.microsoft"
OPSET, MICROSOFT_OPSET, IR_VERSION = 17, 1, 9
LARGEST_CODE = 63  # of weights: seven bits, because processors without VNNI add two products in sixteen
ZERO_POINT = 128  # of activations, which are kept as unsigned bytes


@dataclass(frozen=True)
class EncoderShape:
    """A pre-norm transformer encoder with rotary positions and gated feed-forward layers (ModernBERT's).

    width: numbers per token; inner: numbers inside a feed-forward layer; rotary_base: how slowly positions turn.
    """

    layers: int
    width: int
    heads: int
    inner: int
    rotary_base: float = 10_000.0
    epsilon: float = 1e-5


@dataclass
class GraphWriter:
    """Collects nodes and constants; every method returns the name of its result."""

    precision: Precision
    scales: Mapping[str, float]
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, name: str, value: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def read(self, rows: str, name: str) -> str:
        """Rows as a product reads them: floats, or bytes of the scale fixed for the weight of that name."""
        if self.precision == "fp32":
            return rows
        self.constant(f"{name}.scale", np.array(self.scales[name], np.float32))
        return self.node("QuantizeLinear", [rows, f"{name}.scale", "zero_point"], f"{name}.bytes")

    def product(self, rows: str, weight: np.ndarray, output: str, name: str) -> str:
        """What `read` gave for that name, (…, depth), times the transpose of weight (columns, depth)."""
        if self.precision == "fp32":
            return self.node("MatMul", [rows, self.constant(f"{output}.weight", weight.T)], output)
        codes, scales = quantised_rows(weight, LARGEST_CODE)
        inputs = [
            rows,
            self.constant(f"{output}.codes", codes.T),
            f"{name}.scale",
            self.constant(f"{output}.scales", scales),
            "zero_point",
        ]
        return self.node("MatMulIntegerToFloat", inputs, output, MICROSOFT)

    def normalised(self, rows: str, weight: np.ndarray, output: str, epsilon: float) -> str:
        names = [rows, self.constant(f"{output}.weight", weight)]
        return self.node("LayerNormalization", names, output, axis=-1, epsilon=epsilon)


def encoder_graph(
    weights: Mapping[str, np.ndarray],
    shape: EncoderShape,
    max_tokens: int,
    precision: Precision,
    scales: Mapping[str, float] = MappingProxyType({}),
) -> Any:
    """input_ids, attention_mask (n, tokens) int64 → token_embeddings (n, tokens, width) and their mean over the mask,
    sentence_embedding (n, width), of unit length; zero where the mask is empty.

    weights: as transformers' ModernBertModel names them, float32. scales: for int8, the size of one step of what each
    weight is multiplied with, by the weight's name.
    """
    from onnx import TensorProto, helper

    writer = GraphWriter(precision, scales)
    cosines, sines = rotary_tables(shape, max_tokens)
    writer.constant("cosines", cosines)
    writer.constant("sines", sines)
    if precision == "int8":
        writer.constant("zero_point", np.array(ZERO_POINT, np.uint8))
    writer.constant("first_position", np.zeros(1, np.int64))
    writer.constant("tokens_axis", np.array([1], np.int64))
    writer.node("Cast", ["attention_mask"], "mask_32", to=TensorProto.INT32)
    rows = _embedded(writer, weights, shape)
    for layer in range(shape.layers):
        rows = _attended(writer, rows, weights, shape, layer)
        rows = _fed_forward(writer, rows, weights, shape, layer)
    writer.normalised(rows, weights["final_norm.weight"], "token_embeddings", shape.epsilon)
    _pooled(writer)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [
        helper.make_tensor_value_info("token_embeddings", TensorProto.FLOAT, ["n", "tokens", shape.width]),
        helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["n", shape.width]),
    ]
    graph = helper.make_graph(writer.nodes, "encoder", inputs, outputs, writer.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, MICROSOFT_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="daozhen")
    model.ir_version = IR_VERSION
    return model


def quantised_rows(table: np.ndarray, largest: int = 127) -> tuple[np.ndarray, np.ndarray]:
    """int8 codes up to `largest` and one float32 scale per row; row = codes * scale."""
    scales = np.maximum(np.abs(table).max(axis=1), 1e-12).astype(np.float32) / largest
    return np.rint(table / scales[:, None]).astype(np.int8), scales


def rotary_tables(shape: EncoderShape, max_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """(max_tokens, half a head) float32 cosines and sines of every position's angles."""
    half = shape.width // shape.heads // 2
    turns = shape.rotary_base ** (-np.arange(half) / half)
    angles = np.arange(max_tokens)[:, None] * turns[None, :]
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _embedded(writer: GraphWriter, weights: Mapping[str, np.ndarray], shape: EncoderShape) -> str:
    from onnx import TensorProto

    table = weights["embeddings.tok_embeddings.weight"]
    if writer.precision == "fp32":
        rows = writer.node("Gather", [writer.constant("table", table), "input_ids"], "looked_up")
    else:
        codes, scales = quantised_rows(table)
        writer.node("Gather", [writer.constant("table.codes", codes), "input_ids"], "codes")
        writer.node("Cast", ["codes"], "numbers", to=TensorProto.FLOAT)
        writer.node("Gather", [writer.constant("table.scales", scales[:, None]), "input_ids"], "scales")
        rows = writer.node("Mul", ["numbers", "scales"], "looked_up")
    return writer.normalised(rows, weights["embeddings.norm.weight"], "embedded", shape.epsilon)


def _attended(
    writer: GraphWriter, rows: str, weights: Mapping[str, np.ndarray], shape: EncoderShape, layer: int
) -> str:
    at = f"layers.{layer}.attn"
    name = f"{at}_norm.weight"  # the first layer has none: the embeddings are normalised already
    normed = writer.normalised(rows, weights[name], f"{at}.normed", shape.epsilon) if name in weights else rows
    joint = f"{at}.Wqkv.weight"
    read = writer.read(normed, joint)
    parts = np.split(weights[joint], 3)
    query, key, value = (
        writer.product(read, part, f"{at}.{kind}", joint)
        for kind, part in zip(("query", "key", "value"), parts, strict=True)
    )
    turned = [
        writer.node(
            "RotaryEmbedding",
            [part, "first_position", "cosines", "sines"],
            f"{part}_turned",
            MICROSOFT,
            num_heads=shape.heads,
        )
        for part in (query, key)
    ]
    inputs = [*turned, value, "", "mask_32"]
    mixed = writer.node("MultiHeadAttention", inputs, f"{at}.mixed", MICROSOFT, num_heads=shape.heads)
    out = f"{at}.Wo.weight"
    added = writer.product(writer.read(mixed, out), weights[out], f"{at}.added", out)
    return writer.node("Add", [rows, added], f"{at}.sum")


def _fed_forward(
    writer: GraphWriter, rows: str, weights: Mapping[str, np.ndarray], shape: EncoderShape, layer: int
) -> str:
    at = f"layers.{layer}.mlp"
    normed = writer.normalised(rows, weights[f"{at}_norm.weight"], f"{at}.normed", shape.epsilon)
    joint, out = f"{at}.Wi.weight", f"{at}.Wo.weight"
    read = writer.read(normed, joint)
    shown, gate = np.split(weights[joint], 2)
    active = writer.node("Gelu", [writer.product(read, shown, f"{at}.shown", joint)], f"{at}.active", MICROSOFT)
    gated = writer.node("Mul", [active, writer.product(read, gate, f"{at}.gate", joint)], f"{at}.gated")
    added = writer.product(writer.read(gated, out), weights[out], f"{at}.added", out)
    return writer.node("Add", [rows, added], f"{at}.sum")


def _pooled(writer: GraphWriter) -> None:
    from onnx import TensorProto

    writer.constant("tiny", np.array(1e-12, np.float32))
    writer.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    writer.node("Unsqueeze", ["mask", "tokens_axis"], "mask_row")
    writer.node("MatMul", ["mask_row", "token_embeddings"], "sum_row")
    writer.node("Squeeze", ["sum_row", "tokens_axis"], "sum")
    writer.node("ReduceL2", ["sum"], "length", axes=[1], keepdims=1)
    writer.node("Max", ["length", "tiny"], "safe_length")
    writer.node("Div", ["sum", "safe_length"], "sentence_embedding")
