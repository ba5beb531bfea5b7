"""The embedder of the default install: unit rows, the same everywhere, and no torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from knowledge.errors import EmbedderMissing
from rag.embedder import DEFAULT_FOLDER, Embedder, load_embedder
from rag.langchain_plugs import EmbedderAdapter
from rag.onnx_embedder import TOKENS_PER_BATCH, batches_by_length, open_graph

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ["胸口闷得慌", "my chest feels tight", "高血压要注意什么", "头痛" * 900, "头痛🙂"]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT_FOLDER, tmp_path / "embedder"))


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_row_has_unit_length_and_the_stated_dimension(embedder: Embedder) -> None:
    for rows in (embedder.encode_passages(TEXTS), embedder.encode_queries(TEXTS)):
        assert rows.shape == (len(TEXTS), embedder.dimension) and rows.dtype == np.float32
        assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-4


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000", "🙂"])
def test_a_text_without_known_words_is_a_zero_row_and_never_nan(embedder: Embedder, text: str) -> None:
    rows = embedder.encode_passages([text, "头痛"])
    assert np.isfinite(rows).all() and not rows[0].any() and rows[1].any()


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.encode_passages([]).shape == (0, embedder.dimension)


def test_a_text_has_one_vector_whatever_stands_beside_it(embedder: Embedder) -> None:
    together = embedder.encode_passages(TEXTS)
    for row, text in zip(together, TEXTS, strict=True):
        assert np.abs(embedder.encode_passages([text])[0] - row).max() < 1e-5
    assert (load_embedder().encode_passages(TEXTS) == together).all()


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("胸痛", "chest pain", "toothache"),
        ("my child has a fever", "孩子发烧", "腰疼"),
        ("高血压", "high blood pressure", "broken arm"),
        ("拉肚子", "腹泻", "近视"),
    ],
)
def test_kindred_texts_lie_nearer_across_wordings_and_languages(
    embedder: Embedder, text: str, near: str, far: str
) -> None:
    query, close, distant = embedder.encode_queries([text, near, far])
    assert query @ close > query @ distant + 0.1


def test_full_width_and_capital_letters_change_nothing(embedder: Embedder) -> None:
    plain, odd = embedder.encode_queries(["ct 38.5", "ＣＴ ３８．５"])
    assert np.abs(plain - odd).max() < 1e-6


def test_the_adapter_gives_langchain_the_same_vectors_as_lists(embedder: Embedder) -> None:
    adapter = EmbedderAdapter(embedder)
    assert adapter.embed_query("头痛") == embedder.encode_queries(["头痛"])[0].tolist()
    assert adapter.embed_documents(["头痛", "咳嗽"]) == embedder.encode_passages(["头痛", "咳嗽"]).tolist()


def test_the_fingerprint_changes_when_one_byte_of_the_weights_does(embedder: Embedder, copy: Path) -> None:
    assert load_embedder(copy).fingerprint == embedder.fingerprint
    (copy / "README.md").write_text("another card", encoding="utf-8")
    assert load_embedder(copy).fingerprint == embedder.fingerprint
    graph = copy / "onnx" / "model.onnx"
    weights = bytearray(graph.read_bytes())
    weights[len(weights) // 2] ^= 1  # among the numbers of a weight
    graph.write_bytes(weights)
    assert load_embedder(copy).fingerprint != embedder.fingerprint


def test_the_fingerprint_changes_with_a_prefix_and_so_do_the_vectors(embedder: Embedder) -> None:
    prefixed = load_embedder(query_prefix="query: ")
    assert prefixed.fingerprint != embedder.fingerprint
    assert (prefixed.encode_queries(["头痛"]) == embedder.encode_queries(["query: 头痛"])).all()


def test_a_missing_folder_is_told_in_one_line_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(EmbedderMissing) as missing:
        load_embedder(tmp_path / "nowhere")
    assert "nowhere" in str(missing.value) and "\n" not in str(missing.value)


@pytest.mark.parametrize("file", ["embedder.json", "onnx/model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["removed", "cut short"])
def test_a_broken_folder_is_told_in_one_line_with_its_remedy(copy: Path, file: str, damage: str) -> None:
    if damage == "removed":
        (copy / file).unlink()
    else:
        (copy / file).write_bytes((copy / file).read_bytes()[:40])
    with pytest.raises(EmbedderMissing, match="daozhen") as missing:
        load_embedder(copy)
    assert "\n" not in str(missing.value)


def test_the_default_embedder_imports_no_torch() -> None:
    done = run_python(
        "import sys; from rag.embedder import load_embedder; load_embedder().encode_queries(['头痛']);"
        "print([name for name in ('torch', 'transformers', 'sentence_transformers') if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_another_model_without_sentence_transformers_names_the_extra_to_install(copy: Path) -> None:
    for file in ("embedder.json", "onnx/model.onnx"):
        (copy / file).unlink()
    done = run_python(
        "import sys; sys.modules['sentence_transformers'] = None\n"
        "from knowledge.errors import MissingExtra; from rag.embedder import load_embedder\n"
        f"try: load_embedder({str(copy)!r})\nexcept MissingExtra as fault: print(fault)"
    )
    assert "pip install 'daozhen[models]'" in done.stdout, done.stderr


def test_the_tokenizer_and_the_pooling_sentence_transformers_reads_are_ours(embedder: Embedder) -> None:
    """The two halves around the graph, as sentence-transformers runs them, give the same vectors."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(DEFAULT_FOLDER), local_files_only=True)
    pooling = json.loads((DEFAULT_FOLDER / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    assert pooling["pooling_mode_mean_tokens"] and pooling["word_embedding_dimension"] == embedder.dimension
    read = tokenizer(TEXTS[:3], padding=True, truncation=True, max_length=512, return_tensors="np")
    feed = {name: read[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    rows = open_graph(DEFAULT_FOLDER, threads=1).run(["token_embeddings"], feed)[0]
    sums = (rows * feed["attention_mask"][..., None]).sum(axis=1)
    theirs = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    assert np.abs(theirs - embedder.encode_passages(TEXTS[:3])).max() < 1e-3


def test_sentence_transformers_opens_the_folder_with_onnx_to_the_same_vectors(embedder: Embedder) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    pytest.importorskip("optimum.onnxruntime")
    model = sentence_transformers.SentenceTransformer(str(DEFAULT_FOLDER), backend="onnx", device="cpu")
    assert np.abs(model.encode(TEXTS) - embedder.encode_passages(TEXTS)).max() < 1e-3


def test_the_shipped_folder_is_at_most_thirty_megabytes_and_has_a_card() -> None:
    files = [path for path in DEFAULT_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 30_000_000
    card = (DEFAULT_FOLDER / "README.md").read_text(encoding="utf-8")
    for word in ("CC BY 4.0", "nDCG@10", "Limits"):
        assert word in card


def test_batches_hold_every_text_once_and_no_more_tokens_than_allowed() -> None:
    lengths = [5, 16_000, 3, 0, 9_000, 9_000, 40_000]
    batches = batches_by_length(lengths)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(
        len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= TOKENS_PER_BATCH for batch in batches
    )
