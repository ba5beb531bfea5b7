"""The index beside LangChain's community FAISS store with its BM25 retriever: one run, the same texts, the same vectors.

python -m tests.benchmarks.index --texts DIR [--passages 100000] [--queries 200] [--work FOLDER]

The texts are embedded once, for both sides; with --work a run that was stopped goes on from what was embedded, and
--embed-minutes bounds the wait: what is then left gets a neighbour's vector with noise, and the table says how many.
Seconds of both sides are without that embedding, whose own cost for a thousand texts is a line of its own. Beside the
wall's seconds (`_s`) stand the processor's (`_cpu_s`), which other work on the machine does not lengthen.

DIR holds .txt, .jsonl or .jsonl.xz files; their strings are cut into passages of some 280 characters. Each side runs
in processes of its own, so that peak memory is its own. LangChain's BM25 is given our words, since its own split finds
no words in Chinese; both sides are given the same embedder. `langchain-community` and `rank_bm25` are needed here and
nowhere else: pip install langchain-community rank_bm25. Their fusion is written out here, so that nothing more of what
is sunset is needed.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
PASSAGES_PER_FILE = 100
CHANGED_SHARE = 0.01
PIECE = 280  # characters
K = 10
PARTS = ("_s", "_cpu_s")
TEXTS_PER_LOOK = 2048
USUAL_NEAREST = (
    0.75  # the median cosine of 43,008 real passages and the nearest other one (a tenth below .64 or above .87)
)
SLOW_QUERIES = 20  # asked of a side that takes seconds for one
PASSAGES, VECTORS = "passages.json", "vectors.npy"


def strings_in(value: Any) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings_in(part)


def pieces_in(folder: Path) -> Iterator[str]:
    """Distinct stretches of the folder's texts, some 280 characters each, cut at a sentence mark where there is one."""
    seen: set[str] = set()
    for path in sorted(folder.rglob("*")):
        if not path.name.endswith((".txt", ".jsonl", ".jsonl.xz", ".txt.xz")):
            continue
        opened = lzma.open if path.suffix == ".xz" else open
        with opened(path, "rt", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                text = "\n".join(strings_in(json.loads(line))) if ".jsonl" in path.name else line
                while len(text) > 60:
                    cut = max(text.rfind(mark, 100, PIECE) for mark in "。！？.\n") + 1 or PIECE
                    piece, text = text[:cut].strip(), text[cut:]
                    if len(piece) > 40 and piece not in seen:
                        seen.add(piece)
                        yield " ".join(piece.split())


def prepare(texts: Path, count: int, queries: int, work: Path) -> None:
    """Source files of 100 passages, their changed versions, and questions cut out of passages."""
    chosen: list[str] = []
    for piece in pieces_in(texts):
        chosen.append(piece)
        if len(chosen) == count + max(1, int(count * CHANGED_SHARE)):
            break
    else:
        raise SystemExit(f"{texts}: only {len(chosen)} passages of text; give more, or ask for fewer with --passages")
    rng = random.Random(7)
    kept, new = chosen[:count], chosen[count:]
    rng.shuffle(kept)
    changed = sorted(rng.sample(range(count), len(new)))
    starts = [kept[rng.randrange(count)] for _ in range(queries)]
    (work / "changed.json").write_text(json.dumps(list(zip(changed, new, strict=True)), ensure_ascii=False))
    (work / "queries.json").write_text(json.dumps([text[:40] for text in starts], ensure_ascii=False))
    (work / PASSAGES).write_text(json.dumps(kept, ensure_ascii=False))  # last: where it is, the others are whole


def seconds(name: str, work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """{name_s, name_cpu_s}, and what the work gave."""
    begun, used = time.perf_counter(), time.process_time()
    found = work()
    return {f"{name}_s": time.perf_counter() - begun, f"{name}_cpu_s": time.process_time() - used}, found


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed_queries(ask: Callable[[str], Any], queries: list[str]) -> dict[str, float]:
    for query in queries[:3]:
        ask(query)
    taken = [seconds("query", lambda query=query: ask(query))[0] for query in queries]
    wall = sorted(1000 * each["query_s"] for each in taken)
    cpu = statistics.median(1000 * each["query_cpu_s"] for each in taken)
    return {"p50_ms": statistics.median(wall), "p99_ms": wall[int(0.99 * (len(wall) - 1))], "p50_cpu_ms": cpu}


def recall(found: list[list[str]], exact: list[list[str]]) -> float:
    return statistics.mean(len(set(a) & set(b)) / len(b) for a, b in zip(found, exact, strict=True))


# --- the vectors, made once for both sides ---


def embed(work: Path, minutes: float) -> dict[str, float]:
    """Writes the vectors of the texts that change and of every passage; goes on from what an earlier run embedded."""
    import numpy as np

    from ingest.index_cache import CACHE, IndexCache
    from rag.embedder import load_embedder

    embedder, cache = load_embedder(), IndexCache(work / CACHE)
    texts = texts_of(work)
    vectors = np.zeros((len(texts), embedder.dimension), dtype=np.float32)
    known_alone = _TimeIsUp(embedder.dimension, embedder.fingerprint)
    done, made, spent = 0, 0, {"embedding_s": 0.0, "embedding_cpu_s": 0.0}
    while done < len(texts):
        here, using = (
            slice(done, done + TEXTS_PER_LOOK),
            embedder if spent["embedding_s"] <= 60 * minutes else known_alone,
        )
        try:
            taken, (found, new) = seconds("embedding", lambda: cache.embedded(texts[here], using))  # noqa: B023
            vectors[here] = np.concatenate(list(found))
        except TimeoutError:
            break
        done, made = min(here.stop, len(texts)), made + new
        spent = {name: value + bool(new) * taken[name] for name, value in spent.items()}
    rng = np.random.default_rng(1)
    vectors[done:] = with_noise(vectors[rng.integers(done, size=len(texts) - done)], rng)
    np.save(work / VECTORS, vectors)
    rates = {f"{name}_per_1000_texts": 1000 * value / made for name, value in spent.items() if made}
    return rates | {"embedded_texts": done, "imitated_vectors": len(texts) - done}


@dataclass(frozen=True)
class _TimeIsUp:
    """Takes the embedder's place where only what was embedded before may be used."""

    dimension: int
    fingerprint: str

    def encode_passages(self, texts: Sequence[str]) -> Any:
        raise TimeoutError


def texts_of(work: Path) -> list[str]:
    """The texts of this run, those that change first, in the order of their vectors."""
    changed = json.loads((work / "changed.json").read_text())
    return list(dict.fromkeys([*(text for _, text in changed), *json.loads((work / PASSAGES).read_text())]))


def with_noise(vectors: Any, rng: Any, cosine: float = USUAL_NEAREST) -> Any:
    """Vectors of unit length whose cosine with those given is about that: the usual one of a passage and its nearest."""
    import numpy as np

    noise = rng.standard_normal(vectors.shape, dtype=np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    mixed = cosine * vectors + math.sqrt(1 - cosine**2) * noise
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


class KnownVectors:
    """The shipped embedder, but that the texts of this run are looked up."""

    def __init__(self, work: Path) -> None:
        import numpy as np

        from rag.embedder import load_embedder

        self._embedder = load_embedder()
        self.name, self.dimension = self._embedder.name, self._embedder.dimension
        self.fingerprint = self._embedder.fingerprint
        self._places = {text: place for place, text in enumerate(texts_of(work))}
        self._vectors = np.load(work / VECTORS, mmap_mode="r")
        self.encode_queries = self._embedder.encode_queries
        self.encode_queries(["warm"])

    def encode_passages(self, texts: Sequence[str]) -> Any:
        return self._vectors[[self._places[text] for text in texts]]


# --- ours: each step a process of its own ---


def ours_write(work: Path, step: str) -> dict[str, float]:
    """build: every text; update: those that changed."""
    from rag.vector_store import PassageVectorStore

    passages = json.loads((work / PASSAGES).read_text())
    store = PassageVectorStore(work / "ours", KnownVectors(work))
    if step == "build":
        ids = [str(number) for number in range(len(passages))]
        return seconds("build", lambda: store.add_texts(passages, ids=ids))[0] | {"build_peak_mb": peak_mb()}
    changed = json.loads((work / "changed.json").read_text())
    ids, texts = [str(number) for number, _ in changed], [text for _, text in changed]
    store.similarity_search("warm", k=1)
    return seconds("update", lambda: store.add_texts(texts, ids=ids))[0] | {"update_peak_mb": peak_mb()}


def ours_read(work: Path) -> dict[str, float]:
    from rag.embedder import load_embedder
    from rag.passage_index import PassageIndex
    from rag.retriever import HybridSearch

    embedder = load_embedder()
    embedder.encode_queries(["warm"])
    queries = json.loads((work / "queries.json").read_text())
    opening, index = seconds("open", lambda: PassageIndex.open(work / "ours"))
    search = HybridSearch(index, embedder)
    dense = timed_queries(lambda query: index.nearest(embedder.encode_queries([query])[0], K), queries)
    hybrid = timed_queries(lambda query: search.search(query, K), queries)
    vectors = embedder.encode_queries(queries)
    exact = [list(map(str, (-(index.vectors.vectors @ vector)).argsort()[:K])) for vector in vectors]
    found = [[str(row) for row, _ in index.nearest(vector, K)] for vector in vectors]
    return {
        **opening,
        **{f"dense_{name}": value for name, value in dense.items()},
        **{f"hybrid_{name}": value for name, value in hybrid.items()},
        "recall_at_10": recall(found, exact),
        "read_peak_mb": peak_mb(),
    }


# --- the whole way from a folder of files, as `daozhen index rebuild` goes it ---


def files_write(work: Path, step: str) -> dict[str, float]:
    """build: a folder of files of 100 passages each; update: one file in a hundred has changed."""
    from ingest.pipeline import rebuild_index
    from rag.embedder import load_embedder

    embedder = load_embedder()
    embedder.encode_passages(["warm"])
    folder = work / "files"
    passages = json.loads((work / PASSAGES).read_text())
    files = [passages[start : start + PASSAGES_PER_FILE] for start in range(0, len(passages), PASSAGES_PER_FILE)]
    if step == "build":
        folder.mkdir()
        for number, texts in enumerate(files):
            (folder / f"{number}.txt").write_text("\n\n".join(texts), encoding="utf-8")
    else:
        new = [text for _, text in json.loads((work / "changed.json").read_text())]
        for number in range(0, len(files), round(1 / CHANGED_SHARE)):
            (folder / f"{number}.txt").write_text("\n\n".join(new[:PASSAGES_PER_FILE]), encoding="utf-8")
            new = new[PASSAGES_PER_FILE:]
    taken, report = seconds(f"files_{step}", lambda: rebuild_index(work / "files-index", embedder, [folder]))
    return {
        **taken,
        f"files_{step}_embedded": report.embedded,
        f"files_{step}_passages": report.passages,
        f"files_{step}_peak_mb": peak_mb(),
    }


# --- LangChain's community store and BM25 ---


def theirs_write(work: Path, step: str) -> dict[str, float]:
    from langchain_community.retrievers import BM25Retriever
    from langchain_community.vectorstores import FAISS
    from langchain_core.documents import Document

    from rag.langchain_plugs import EmbedderAdapter
    from rag.words import tokens_of

    adapter = EmbedderAdapter(KnownVectors(work))
    passages = json.loads((work / PASSAGES).read_text())
    ids = [str(number) for number in range(len(passages))]
    if step == "build":

        def build() -> None:
            FAISS.from_texts(passages, adapter, ids=ids, distance_strategy="MAX_INNER_PRODUCT").save_local(
                str(work / "theirs")
            )

        def words() -> None:
            documents = [Document(id=name, page_content=text) for name, text in zip(ids, passages, strict=True)]
            BM25Retriever.from_documents(documents, preprocess_func=tokens_of, k=K)

        store, words_alone = seconds("build_store_only", build)[0], seconds("build_words", words)[0]
        both = {f"build{part}": store[f"build_store_only{part}"] + words_alone[f"build_words{part}"] for part in PARTS}
        return store | both | {"build_peak_mb": peak_mb()}
    changed = json.loads((work / "changed.json").read_text())
    store = _their_store(work, adapter)
    gone, texts = [str(number) for number, _ in changed], [text for _, text in changed]

    def update() -> None:
        store.delete(gone)
        store.add_texts(texts, ids=gone)
        store.save_local(str(work / "theirs-updated"))

    return seconds("update_store_only", update)[0] | {"update_peak_mb": peak_mb()}


def fused_texts(rankings: list[tuple[list[Any], float]]) -> list[str]:
    """The texts of LangChain documents by weighted reciprocal rank fusion, as LangChain's EnsembleRetriever does it (constant 60)."""
    scores: dict[str, float] = {}
    for documents, weight in rankings:
        for rank, document in enumerate(documents, 1):
            scores[document.page_content] = scores.get(document.page_content, 0.0) + weight / (rank + 60)
    return sorted(scores, key=lambda text: -scores[text])


def theirs_read(work: Path) -> dict[str, float]:
    from langchain_community.retrievers import BM25Retriever

    from rag.embedder import load_embedder
    from rag.langchain_plugs import EmbedderAdapter
    from rag.words import tokens_of

    embedder = load_embedder()
    embedder.encode_queries(["warm"])
    queries = json.loads((work / "queries.json").read_text())
    opening, store = seconds("open_store_only", lambda: _their_store(work, EmbedderAdapter(embedder)))
    documents = [store.docstore.search(name) for name in store.index_to_docstore_id.values()]
    making, words = seconds(
        "open_words", lambda: BM25Retriever.from_documents(documents, preprocess_func=tokens_of, k=60)
    )

    def hybrid(query: str) -> list[str]:
        return fused_texts([(store.similarity_search(query, k=60), 0.4), (words.invoke(query), 0.6)])[:K]

    dense = timed_queries(lambda query: store.similarity_search(query, k=K), queries)
    both = timed_queries(hybrid, queries[:SLOW_QUERIES])
    vectors = store.index.reconstruct_n(0, store.index.ntotal)
    texts = [document.page_content for document in documents]
    exact = [[texts[row] for row in (-(vectors @ query)).argsort()[:K]] for query in embedder.encode_queries(queries)]
    found = [[document.page_content for document in store.similarity_search(query, k=K)] for query in queries]
    return {
        **opening,
        **{f"open{part}": opening[f"open_store_only{part}"] + making[f"open_words{part}"] for part in PARTS},
        **{f"dense_{name}": value for name, value in dense.items()},
        **{f"hybrid_{name}": value for name, value in both.items()},
        "recall_at_10": recall(found, exact),
        "read_peak_mb": peak_mb(),
        "hybrid_questions": len(queries[:SLOW_QUERIES]),
    }


def _their_store(work: Path, adapter: Any) -> Any:
    from langchain_community.vectorstores import FAISS

    # their own file, written by this run a moment ago: the pickle in it is what the store brings with it
    return FAISS.load_local(
        str(work / "theirs"), adapter, allow_dangerous_deserialization=True, distance_strategy="MAX_INNER_PRODUCT"
    )


STEPS: dict[str, Callable[[Path], dict[str, float]]] = {
    "embed": lambda work: embed(work, math.inf),
    "ours build": lambda work: ours_write(work, "build"),
    "theirs build": lambda work: theirs_write(work, "build"),
    "ours read": ours_read,
    "theirs read": theirs_read,
    "ours update": lambda work: ours_write(work, "update"),
    "theirs update": lambda work: theirs_write(work, "update"),
    "files build": lambda work: files_write(work, "build"),
    "files update": lambda work: files_write(work, "update"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--work", type=Path, help="Kept, so that a run that was stopped goes on.")
    parser.add_argument("--embed-minutes", type=float, default=math.inf)
    parser.add_argument("--only", choices=("ours", "theirs", "files"), help="One side alone, or the way from files.")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        found = embed(asked.work, asked.embed_minutes) if asked.step == "embed" else STEPS[asked.step](asked.work)
        print(json.dumps(found))
        return
    work = asked.work or Path(tempfile.mkdtemp(prefix="daozhen-index-benchmark-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        if not (work / PASSAGES).is_file():
            prepare(asked.texts, asked.passages, asked.queries, work)
        made = "embed" if (work / VECTORS).is_file() else ""
        sides = ("ours", "theirs") if asked.only is None else (asked.only,)
        steps = [step for step in STEPS if step.split()[0] in ("embed", *sides)]
        found = {step: _run(asked, work, step) for step in steps if step != made}
    finally:
        for folder in ("ours", "theirs", "theirs-updated", "files", "files-index"):
            shutil.rmtree(work / folder, ignore_errors=True)
        if asked.work is None:
            shutil.rmtree(work, ignore_errors=True)
    _print_table(asked.passages, found)


def _run(asked: argparse.Namespace, work: Path, step: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.index", "--texts", str(asked.texts), "--work", str(work)]
    command += ["--step", step, "--embed-minutes", str(asked.embed_minutes)]
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(f"{step}: {out.stderr[-2000:]}")
    print(f"{step}: {out.stdout.splitlines()[-1]}", file=sys.stderr, flush=True)
    measured: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    return measured


def _print_table(passages: int, found: dict[str, dict[str, float]]) -> None:
    ours = {name: value for step, row in found.items() if not step.startswith("theirs") for name, value in row.items()}
    theirs = {name: value for step, row in found.items() if step.startswith("theirs") for name, value in row.items()}
    print(f"{passages} passages\n{'what':28} {'ours':>10} {'LangChain':>10} {'ratio':>7}")
    for name in dict.fromkeys([*theirs, *ours]):
        pair = ours.get(name), theirs.get(name)
        ratio = f"{pair[1] / pair[0]:7.1f}" if pair[0] and pair[1] else ""
        cells = (f"{value:10.3f}" if value is not None else " " * 10 for value in pair)
        print(f"{name:28} {' '.join(cells)} {ratio}")


if __name__ == "__main__":
    main()
