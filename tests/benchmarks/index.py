"""The index beside LangChain's community FAISS store with its BM25 retriever: one run, the same texts, the same vectors.

python -m tests.benchmarks.index --texts DIR [--passages 100000] [--queries 200]

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
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
PASSAGES_PER_FILE = 100
CHANGED_SHARE = 0.01
PIECE = 280  # characters
K = 10
PASSAGES = "passages.json"


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


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed_queries(ask: Callable[[str], Any], queries: list[str]) -> dict[str, float]:
    for query in queries[:5]:
        ask(query)
    taken = sorted(seconds(lambda query=query: ask(query))[0] * 1000 for query in queries)
    return {"p50_ms": statistics.median(taken), "p99_ms": taken[int(0.99 * (len(taken) - 1))]}


def recall(found: list[list[str]], exact: list[list[str]]) -> float:
    return statistics.mean(len(set(a) & set(b)) / len(b) for a, b in zip(found, exact, strict=True))


# --- ours: each step a process of its own ---


def ours_write(work: Path, step: str) -> dict[str, float]:
    """build: every text; update: those that changed; rebuild: every text again, nothing remembered."""
    from rag.embedder import load_embedder
    from rag.vector_store import PassageVectorStore

    embedder = load_embedder()
    embedder.encode_passages(["warm"])
    passages = json.loads((work / PASSAGES).read_text())
    store = PassageVectorStore(work / "ours", embedder)
    if step == "build":
        ids = [str(number) for number in range(len(passages))]
        return {"build_s": seconds(lambda: store.add_texts(passages, ids=ids))[0], "build_peak_mb": peak_mb()}
    changed = json.loads((work / "changed.json").read_text())
    ids, texts = [str(number) for number, _ in changed], [text for _, text in changed]
    store.similarity_search("warm", k=1)
    return {"update_s": seconds(lambda: store.add_texts(texts, ids=ids))[0], "update_peak_mb": peak_mb()}


def ours_read(work: Path) -> dict[str, float]:
    from rag.embedder import load_embedder
    from rag.passage_index import PassageIndex
    from rag.retriever import HybridSearch

    embedder = load_embedder()
    embedder.encode_queries(["warm"])
    queries = json.loads((work / "queries.json").read_text())
    opening, index = seconds(lambda: PassageIndex.open(work / "ours"))
    search = HybridSearch(index, embedder)
    dense = timed_queries(lambda query: index.nearest(embedder.encode_queries([query])[0], K), queries)
    hybrid = timed_queries(lambda query: search.search(query, K), queries)
    vectors = embedder.encode_queries(queries)
    exact = [list(map(str, (-(index.vectors.vectors @ vector)).argsort()[:K])) for vector in vectors]
    found = [[str(row) for row, _ in index.nearest(vector, K)] for vector in vectors]
    return {
        "open_s": opening,
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
    taken, report = seconds(lambda: rebuild_index(work / "files-index", embedder, [folder]))
    return {
        f"files_{step}_s": taken,
        f"files_{step}_embedded": report.embedded,
        f"files_{step}_passages": report.passages,
        f"files_{step}_peak_mb": peak_mb(),
    }


# --- LangChain's community store and BM25 ---


def theirs_write(work: Path, step: str) -> dict[str, float]:
    from langchain_community.retrievers import BM25Retriever
    from langchain_community.vectorstores import FAISS
    from langchain_core.documents import Document

    from rag.embedder import load_embedder
    from rag.langchain_plugs import EmbedderAdapter
    from rag.words import tokens_of

    embedder = load_embedder()
    embedder.encode_passages(["warm"])
    adapter = EmbedderAdapter(embedder)
    passages = json.loads((work / PASSAGES).read_text())
    ids = [str(number) for number in range(len(passages))]

    def words(texts: list[str], names: list[str]) -> None:
        documents = [Document(id=name, page_content=text) for name, text in zip(names, texts, strict=True)]
        BM25Retriever.from_documents(documents, preprocess_func=tokens_of, k=K)

    if step == "build":

        def build() -> None:
            FAISS.from_texts(passages, adapter, ids=ids, distance_strategy="MAX_INNER_PRODUCT").save_local(
                str(work / "theirs")
            )

        store_s, _ = seconds(build)
        words_s, _ = seconds(lambda: words(passages, ids))
        return {"build_s": store_s + words_s, "build_store_only_s": store_s, "build_peak_mb": peak_mb()}
    changed = json.loads((work / "changed.json").read_text())
    store = _their_store(work, adapter)
    gone, texts = [str(number) for number, _ in changed], [text for _, text in changed]

    def update() -> None:
        store.delete(gone)
        store.add_texts(texts, ids=gone)
        store.save_local(str(work / "theirs-updated"))

    store_s, _ = seconds(update)
    new = dict(zip(gone, texts, strict=True))
    words_s, _ = seconds(lambda: words([new.get(name, text) for name, text in zip(ids, passages, strict=True)], ids))
    return {"update_s": store_s + words_s, "update_store_only_s": store_s, "update_peak_mb": peak_mb()}


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
    opening, store = seconds(lambda: _their_store(work, EmbedderAdapter(embedder)))
    documents = [store.docstore.search(name) for name in store.index_to_docstore_id.values()]
    words_s, words = seconds(lambda: BM25Retriever.from_documents(documents, preprocess_func=tokens_of, k=60))

    def hybrid(query: str) -> list[str]:
        return fused_texts([(store.similarity_search(query, k=60), 0.4), (words.invoke(query), 0.6)])[:K]

    dense = timed_queries(lambda query: store.similarity_search(query, k=K), queries)
    both = timed_queries(hybrid, queries[:40])
    vectors = store.index.reconstruct_n(0, store.index.ntotal)
    texts = [document.page_content for document in documents]
    exact = [[texts[row] for row in (-(vectors @ query)).argsort()[:K]] for query in embedder.encode_queries(queries)]
    found = [[document.page_content for document in store.similarity_search(query, k=K)] for query in queries]
    return {
        "open_s": opening + words_s,
        "open_store_only_s": opening,
        **{f"dense_{name}": value for name, value in dense.items()},
        **{f"hybrid_{name}": value for name, value in both.items()},
        "recall_at_10": recall(found, exact),
        "read_peak_mb": peak_mb(),
    }


def _their_store(work: Path, adapter: Any) -> Any:
    from langchain_community.vectorstores import FAISS

    # their own file, written by this run a moment ago: the pickle in it is what the store brings with it
    return FAISS.load_local(
        str(work / "theirs"), adapter, allow_dangerous_deserialization=True, distance_strategy="MAX_INNER_PRODUCT"
    )


STEPS: dict[str, Callable[[Path], dict[str, float]]] = {
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
    parser.add_argument("--only", choices=("ours", "theirs", "files"), help="Run the steps of one side alone.")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        print(json.dumps(STEPS[asked.step](asked.work)))
        return
    work = Path(tempfile.mkdtemp(prefix="daozhen-index-benchmark-"))
    found: dict[str, dict[str, float]] = {"ours": {}, "theirs": {}, "files": {}}
    try:
        prepare(asked.texts, asked.passages, asked.queries, work)
        for step in [step for step in STEPS if asked.only in (None, step.split()[0])]:
            command = [sys.executable, "-m", "tests.benchmarks.index", "--texts", str(asked.texts)]
            out = subprocess.run([*command, "--step", step, "--work", str(work)], capture_output=True, text=True)
            if out.returncode:
                raise SystemExit(f"{step}: {out.stderr[-2000:]}")
            found[step.split()[0]] |= json.loads(out.stdout.splitlines()[-1])
            print(f"{step}: {out.stdout.splitlines()[-1]}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found["ours"] |= found.pop("files")
    print(f"{asked.passages} passages\n{'what':22} {'ours':>10} {'LangChain':>10} {'ratio':>7}")
    for name in dict.fromkeys([*found["theirs"], *found["ours"]]):
        ours, theirs = found["ours"].get(name), found["theirs"].get(name)
        ratio = f"{theirs / ours:7.1f}" if ours and theirs else ""
        cells = (f"{value:10.3f}" if value is not None else " " * 10 for value in (ours, theirs))
        print(f"{name:22} {' '.join(cells)} {ratio}")


if __name__ == "__main__":
    main()
