"""The packages' borders: who may import whom, and what a plain import must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "knowledge": set(),
    "rag": {"knowledge"},
    "ingest": {"knowledge", "rag"},
    "finetune": {"knowledge", "rag"},
    "ui": {"knowledge", "rag", "ingest", "finetune"},
}
SUNSET = {"langchain_community", "langchain_classic", "pickle"}
HOMES = {
    "faiss": {"rag/vector_index.py"},
    "pypdf": {"ingest/pdf_pages.py", "ingest/pdf_operators.py", "ingest/pdf_fonts.py"},
    "docx": {"ingest/word_reader.py"},
    "openpyxl": {"ingest/sheet_readers.py"},
    "rensa": {"finetune/duplicates.py"},
    "fastapi": {"ui/api.py", "ui/api_chat.py", "ui/api_faults.py", "ui/api_server.py"},
    "uvicorn": {"ui/api_server.py"},
    "xxhash": {"rag/manifest.py"},
    "ray": {"rag/ray_engine.py"},
    "langchain_milvus": {"rag/milvus_libraries.py"},
    "pymilvus": {"rag/milvus_libraries.py"},
    "grpc": {"rag/milvus_libraries.py"},
}


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


SOURCES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_what_its_package_may(path):
    package = path.relative_to(ROOT).parts[0]
    used = imports_of(path)
    assert used & set(MAY_IMPORT) <= MAY_IMPORT[package] | {package}
    assert not used & SUNSET


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_has_one_home(library):
    users = {path.relative_to(ROOT).as_posix() for path in SOURCES if library in imports_of(path)}
    assert users <= HOMES[library]


@pytest.mark.parametrize("statement", ["import rag", "import ui.cli", "from rag import load_assistant, load_retriever"])
def test_a_plain_import_loads_nothing_heavy(statement):
    check = f"{statement}; import sys; print([name for name in ('torch', 'transformers', 'streamlit', 'ray') if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "[]"


def test_every_folder_stands_in_the_readme_tree():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for package in MAY_IMPORT:
        assert f"{package}/" in readme
