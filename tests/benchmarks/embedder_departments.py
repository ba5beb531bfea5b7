"""What the embedder alone knows of departments: across the languages, and on Toyhom's labels.

    python -m tests.benchmarks.embedder_departments --triage DIR [--embedder FOLDER]

Across languages: a phrase of tests/data/routing_phrases.jsonl in one language against the departments' phrases of the
other; a department's score is the mean of its three nearest. Toyhom: rows that took no part in training (the fixed
hash of finetune/configs/embedder.toml), labels mapped by label_maps.toml; by the centroid of each label's training
rows, of embeddings and of character TF-IDF, and by the departments' own records without any labelled row.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finetune.embedder_pairs import consultation_key, rows_of, split_of
from knowledge.departments import load_departments
from rag.embedder import Embedder, load_embedder
from rag.ranking_scores import interval
from rag.routing import NEAREST, phrases_of

HERE = Path(__file__).resolve().parent
TOYHOM = "toyhom_internal_medicine.jsonl"
TOYHOM_TEST_SHARE = 6  # of 20 parts, as in finetune/configs/embedder.toml


def has_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def records(chinese: bool | None) -> dict[str, list[str]]:
    """Every department's phrases, of one language or of both."""
    return {
        department.id: [p.text for p in phrases_of(department) if chinese is None or has_chinese(p.text) is chinese]
        for department in load_departments().values()
        if not department.referral_only
    }


def nearest_means(queries: np.ndarray, by_department: dict[str, np.ndarray]) -> np.ndarray:
    """(queries, departments): the mean cosine of each department's nearest phrases."""
    columns = []
    for rows in by_department.values():
        cosines = np.sort(queries @ rows.T, axis=1)[:, ::-1]
        columns.append(cosines[:, :NEAREST].mean(axis=1))
    return np.stack(columns, axis=1)


def share_within(scores: np.ndarray, right: Sequence[set[int]], k: int) -> np.ndarray:
    """(n,) 1 where a right column is among the k highest."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.array([float(bool(set(row.tolist()) & wanted)) for row, wanted in zip(best, right, strict=True)])


def told(name: str, values: np.ndarray) -> None:
    low, high = interval(values)
    print(f"| {name} | {len(values):,} | {values.mean():.3f} ({low:.3f}-{high:.3f}) |")


def across_languages(embedder: Embedder) -> None:
    rows = [
        json.loads(line) for line in (HERE.parent / "data" / "routing_phrases.jsonl").read_text("utf-8").splitlines()
    ]
    print("\n| across languages, in the first three | n | share (95 %) |\n|---|---|---|")
    for asked, chinese in (("en", True), ("zh", False)):
        kept = {key: texts for key, texts in records(chinese).items() if texts}
        vectors = {key: embedder.encode_passages(texts) for key, texts in kept.items()}
        place = {key: number for number, key in enumerate(kept)}
        some = [row for row in rows if row["language"] == asked and row["department"] in place]
        scores = nearest_means(embedder.encode_queries([row["text"] for row in some]), vectors)
        right = [{place[row["department"]]} for row in some]
        told(f"{asked} phrase → {'Chinese' if chinese else 'English'} record", share_within(scores, right, 3))
        told("… in the first place", share_within(scores, right, 1))


def toyhom(embedder: Embedder, folder: Path) -> None:
    mapping = tomllib.loads((HERE / "label_maps.toml").read_text(encoding="utf-8"))["toyhom"]
    rows = [row for row in rows_of(folder / TOYHOM) if row["department"] in mapping]
    texts = [f"{row['title']}\n{row['ask']}" for row in rows]
    trains = np.array([split_of(consultation_key(row), TOYHOM_TEST_SHARE) == "train" for row in rows])
    labels = sorted({row["department"] for row in rows})
    numbers = np.array([labels.index(row["department"]) for row in rows])
    right = [{int(number)} for number in numbers[~trains]]
    vectors = embedder.encode_queries(texts)
    lexical = tf_idf(texts, trains)
    print("\n| Toyhom, held-out rows, first place | n | share (95 %) |\n|---|---|---|")
    found = {}
    for name, space in (("character TF-IDF, centroids of training rows", lexical), ("embedding, the same", vectors)):
        centroids = np.stack([space[trains & (numbers == number)].mean(axis=0) for number in range(len(labels))])
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
        found[name] = share_within(space[~trains] @ centroids.T, right, 1)
        told(name, found[name])
    difference(found)
    by_record = records(chinese=None)
    space = sorted({department for ids in mapping.values() for department in ids if department in by_record})
    wanted = [{space.index(d) for d in mapping[labels[number]] if d in by_record} for number in numbers[~trains]]
    held_out = [text for text, train in zip(texts, trains, strict=True) if not train]
    found = {}
    documents = LexicalTfIdf([" ".join(by_record[d]) for d in space])
    found["character TF-IDF, departments' records alone"] = share_within(documents.similarity(held_out), wanted, 1)
    rows_of_department = {d: embedder.encode_passages(by_record[d]) for d in space}
    found["embedding, the same"] = share_within(nearest_means(vectors[~trains], rows_of_department), wanted, 1)
    for name, values in found.items():
        told(name, values)
    difference(found)


def difference(found: dict[str, np.ndarray]) -> None:
    lexical, dense = found.values()
    told("… difference, paired", dense - lexical)


class LexicalTfIdf:
    """Character TF-IDF (one to three characters) of documents, for cosines with questions."""

    def __init__(self, documents: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
        self.rows = self.vectorizer.fit_transform(documents)

    def similarity(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray((self.vectorizer.transform(texts) @ self.rows.T).todense())


def tf_idf(texts: Sequence[str], trains: np.ndarray) -> np.ndarray:
    """(n, terms) unit rows of character TF-IDF, its weights from the training rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    vectorizer.fit([text for text, train in zip(texts, trains, strict=True) if train])
    rows: np.ndarray = vectorizer.transform(texts).astype(np.float32).toarray()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triage", type=Path, help="folder with the public sets")
    parser.add_argument("--embedder", type=Path, help="model folder; default: the shipped one")
    arguments = parser.parse_args()
    embedder = load_embedder(arguments.embedder)
    across_languages(embedder)
    if arguments.triage:
        toyhom(embedder, arguments.triage)


if __name__ == "__main__":
    main()
