"""What was learned, on disk: arrays and JSON without pickle, checked by hash when opened, deleted by one call.

    $DAOZHEN_HOME/learned_routing/<generation>/   manifest.json cases.jsonl words.json arrays.npz
    $DAOZHEN_HOME/learned_routing/current         the generation that serves

A new generation is written whole before `current` names it, so a crash leaves the old one serving.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.errors import LearnedRoutingDamaged
from rag.case_features import CaseFeatures, Reader, prepared
from rag.learned_head import LearnedHead
from rag.learned_routing import LearnedRouting
from rag.learned_scorers import ARRAYS, Scorers
from rag.manifest import sha256_of
from rag.solved_cases import SolvedCase

FOLDER, POINTER, MANIFEST = "learned_routing", "current", "manifest.json"
CASES, WORDS, NUMBERS = "cases.jsonl", "words.json", "arrays.npz"
FORMAT = 2
REMEDY = "run `daozhen triage learn CASES.jsonl` again, or `daozhen triage forget`"


@dataclass(frozen=True)
class Stored:
    """What a generation says of itself. figures: the cross-validated measures when it was learned."""

    folder: Path
    cases: int
    departments: int
    fingerprint: str
    learned_at: str
    figures: Mapping[str, Any]
    files: Mapping[str, str]


def folder_of(home: Path) -> Path:
    """Where a home folder keeps its learned routing."""
    return home / FOLDER


def pointer_of(home: Path) -> Path:
    """The file that is replaced whenever something else serves."""
    return folder_of(home) / POINTER


def save(
    home: Path, routing: LearnedRouting, cases: Sequence[SolvedCase], figures: Mapping[str, Any], learned_at: str
) -> Path:
    """Writes a generation and lets it serve; earlier ones are deleted. Cases are kept masked, readable by the owner alone."""
    root = folder_of(home)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = Path(tempfile.mkdtemp(prefix="g-", dir=root))
    try:
        _write(fresh, routing, cases, figures, learned_at)
        _point_at(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    for old in root.glob("g-*"):
        if old != fresh:
            shutil.rmtree(old, ignore_errors=True)
    return fresh


def _write(
    fresh: Path, routing: LearnedRouting, cases: Sequence[SolvedCase], figures: Mapping[str, Any], learned_at: str
) -> None:
    """The files of a generation, the manifest last."""
    rows = [{"dialogue": prepared(case.dialogue), "departments": list(case.departments)} for case in cases]
    (fresh / CASES).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    words = {
        "vocabulary": routing.features.vocabulary,
        "labels": routing.features.labels,
        "spellings": dict(routing.spellings),
        "ours": dict(routing.ours),
    }
    (fresh / WORDS).write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    arrays: dict[str, Any] = _arrays(routing)
    np.savez_compressed(fresh / NUMBERS, **arrays)
    manifest = {
        "format": FORMAT,
        "fingerprint": routing.reader.fingerprint,
        "cases": len(cases),
        "departments": len(routing.features.labels),
        "learned_at": learned_at,
        "figures": dict(figures),
        "files": {name: sha256_of(fresh / name) for name in (CASES, WORDS, NUMBERS)},
    }
    (fresh / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=2), encoding="utf-8")
    for path in fresh.iterdir():
        path.chmod(0o600)
        _flush(path)


def _point_at(fresh: Path) -> None:
    """Lets a generation serve: the pointer names it and its manifest's SHA-256."""
    pointer = fresh.with_name(f"{POINTER}.new")
    pointer.write_text(f"{fresh.name} {sha256_of(fresh / MANIFEST)}\n", encoding="utf-8")
    _flush(pointer)
    os.replace(pointer, fresh.with_name(POINTER))


def stored(home: Path) -> Stored | None:
    """What serves, or None where nothing was learned. Raises LearnedRoutingDamaged when it is not as it was written."""
    root = folder_of(home)
    if not (root / POINTER).exists():
        return None
    try:
        name, digest = (root / POINTER).read_text(encoding="utf-8").split()
        folder = root / Path(name).name
        if sha256_of(folder / MANIFEST) != digest:
            raise ValueError("not as it was written")
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, this version reads {FORMAT}")
        for file, expected in values["files"].items():
            if sha256_of(folder / Path(file).name) != expected:
                raise ValueError(f"{file} is not as it was written")
        names = ("cases", "departments", "fingerprint", "learned_at", "figures", "files")
        return Stored(folder, **{name: values[name] for name in names})
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise LearnedRoutingDamaged(f"{root}: what was learned cannot be used ({fault}); {REMEDY}") from None


def load(home: Path, reader: Reader) -> LearnedRouting | None:
    """What was learned, or None. Raises LearnedRoutingDamaged when it is damaged, or was made with another embedder
    or other departments."""
    found = stored(home)
    if found is None:
        return None
    if found.fingerprint != reader.fingerprint:
        raise LearnedRoutingDamaged(
            f"{found.folder}: learned with another embedder or other departments, so it is left aside; {REMEDY}"
        )
    try:
        words = json.loads((found.folder / WORDS).read_text(encoding="utf-8"))
        with np.load(found.folder / NUMBERS, allow_pickle=False) as numbers:
            arrays = {name: numbers[name] for name in numbers.files}
        return _routing(words, arrays, reader)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as fault:
        raise LearnedRoutingDamaged(f"{found.folder}: what was learned cannot be read ({fault}); {REMEDY}") from None


def load_or_warn(home: Path, reader: Reader) -> tuple[LearnedRouting | None, str]:
    """What was learned and "", or None and the line to tell: the general routing serves then."""
    try:
        return load(home, reader), ""
    except LearnedRoutingDamaged as fault:
        return None, f"{fault}; the general routing serves until then"


def forget(home: Path) -> list[Path]:
    """Deletes everything learned, damaged or not, and every case kept. Gives the files deleted."""
    root = folder_of(home)
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else []
    if root.is_symlink():
        root.unlink()
    elif root.is_dir():
        (root / POINTER).unlink(missing_ok=True)
        shutil.rmtree(root)
    return files


def _arrays(routing: LearnedRouting) -> dict[str, np.ndarray]:
    head, matrix = routing.head, routing.head.scorers.matrix
    arrays = {name: head.scorers.arrays[name] for name in ARRAYS}
    arrays |= {"idf": routing.features.idf}
    arrays |= {"weighing": head.weighing[0], "weighing_start": head.weighing[1]}
    arrays |= {"sizing": head.sizing[0], "sizing_start": head.sizing[1]}
    arrays |= {
        "case_data": matrix.data.astype(np.float32),
        "case_columns": matrix.indices,
        "case_starts": matrix.indptr,
    }
    return {**arrays, "case_shape": np.array(matrix.shape)}


def _routing(words: dict[str, Any], arrays: dict[str, np.ndarray], reader: Reader) -> LearnedRouting:
    from scipy.sparse import csr_matrix

    cases = csr_matrix(
        (arrays["case_data"], arrays["case_columns"], arrays["case_starts"]), shape=tuple(arrays["case_shape"])
    )
    scorers = Scorers({name: arrays[name] for name in ARRAYS}, cases)
    head = LearnedHead(
        scorers, (arrays["weighing"], arrays["weighing_start"]), (arrays["sizing"], arrays["sizing_start"])
    )
    features = CaseFeatures(tuple(words["vocabulary"]), arrays["idf"], tuple(words["labels"]))
    ours = {key: tuple(ids) for key, ids in words["ours"].items()}
    return LearnedRouting(features, head, reader, words["spellings"], ours)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
