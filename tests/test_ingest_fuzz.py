"""Thousands of damaged files: each ends as a document or one row, within its time, and leaves nothing behind."""

from __future__ import annotations

import io
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from openpyxl import Workbook

from ingest.documents import QuarantineRow
from ingest.limits import ReadingLimits
from ingest.reading import read_sources
from ingest.splitting import passages_of
from tests import paper
from tests.source_files import PAGE, word

LIMITS = ReadingLimits(seconds_per_file=10, seconds_per_mib=0)
BATCH = 100
MAGIC = (
    b"\x00",
    b"\xff" * 4,
    b"<",
    b">>",
    b"<<",
    b"endobj",
    b"stream\n",
    b"4294967295",
    b"-1",
    b"/Kids",
    b"</w:p>",
    b"&#0;",
    b"<table>" * 50,
    b'"',
    b"[" * 200,
    b"(" * 200,
)


def flipped(raw: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 20)):
        raw[dice.randrange(len(raw))] = dice.randrange(256)


def cut(raw: bytearray, dice: random.Random) -> None:
    del raw[dice.randrange(len(raw)) :]


def without_a_piece(raw: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(raw))
    del raw[start : start + dice.randint(1, 400)]


def repeated(raw: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(raw))
    raw[start:start] = raw[start : start + dice.randint(1, 300)] * dice.randint(1, 40)


def with_magic(raw: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 4)):
        start = dice.randrange(len(raw) + 1)
        raw[start:start] = dice.choice(MAGIC)


def renumbered(raw: bytearray, dice: random.Random) -> None:
    """Digits changed: lengths, offsets, references."""
    for place in [place for place, byte in enumerate(raw) if 48 <= byte <= 57]:
        if dice.random() < 0.03:
            raw[place] = dice.randrange(48, 58)


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flipped,
    cut,
    without_a_piece,
    repeated,
    with_magic,
    renumbered,
)


def damaged(raw: bytes, dice: random.Random) -> bytes:
    body = bytearray(raw)
    for _ in range(dice.randint(1, 3)):
        if body:
            dice.choice(DAMAGES)(body, dice)
    return bytes(body)


def damaged_inside(raw: bytes, dice: random.Random) -> bytes:
    """An archive that is whole, with damage in one of its parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        parts = old.infolist()
        main = [
            part
            for part in parts
            if part.filename.endswith(("document.xml", "sheet1.xml", "sharedStrings.xml", "styles.xml"))
        ]
        chosen = dice.choice(main if dice.random() < 0.7 else parts)
        for part in parts:
            body = old.read(part)
            new.writestr(part.filename, damaged(body, dice) if part is chosen and body else body)
    return out.getvalue()


def seeds(folder: Path) -> dict[str, list[bytes]]:
    book = Workbook()
    for row in (["项目", "范围", "说明"], ["血钾", "3.5～5.5 mmol/L", "复查"], [1, 2.5, "=A1"]):
        book.active.append(row)
    book.active.merge_cells("A2:B2")
    book.save(folder / "s.xlsx")
    pdfs = [
        paper.two_columns(folder / "a.pdf"),
        paper.with_tables(folder / "b.pdf"),
        paper.with_headers(folder / "c.pdf", 2),
    ]
    return {
        ".pdf": [path.read_bytes() for path in pdfs],
        ".docx": [word(folder / "s.docx").read_bytes()],
        ".html": [PAGE.encode("gb18030"), PAGE.replace("gb2312", "utf-8").encode()],
        ".csv": ["问题,答案,科室\n胸口疼,拨打120。,心内科\n".encode(), "a;b\n1;2\n".encode("utf-16")],
        ".xlsx": [(folder / "s.xlsx").read_bytes()],
    }


def mutants(made: dict[str, list[bytes]], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    dice = random.Random(seed)
    for number in range(count):
        ending = list(made)[number % len(made)]
        raw = dice.choice(made[ending])
        inside = ending in (".docx", ".xlsx") and dice.random() < 0.7
        yield f"{number:05d}{ending}", (damaged_inside if inside else damaged)(raw, dice)


def fuzz(tmp_path: Path, count: int, seed: int) -> dict[str, int]:
    """(outcomes by kind). Raises AssertionError for a crash, a file without a result, or anything left behind."""
    (tmp_path / "seeds").mkdir()
    made = seeds(tmp_path / "seeds")
    outcomes = {"document": 0, "row": 0, "late": 0, "stopped": 0, "passages": 0}
    batch: list[tuple[str, bytes]] = []
    stream = mutants(made, count, seed)
    while batch := [one for _, one in zip(range(BATCH), stream, strict=False)]:
        folder = tmp_path / "batch"
        folder.mkdir()
        for name, raw in batch:
            (folder / name).write_bytes(raw)
        paths = sorted(folder.iterdir())
        results = list(read_sources(paths, folder, LIMITS))
        assert [result.source_id for result in results] == [path.name for path in paths]
        for result in results:
            if isinstance(result, QuarantineRow):
                assert "\n" not in result.line and result.reason and result.remedy
                outcomes["row"] += 1
                outcomes["late"] += "took longer" in result.reason
                outcomes["stopped"] += "stopped its reader" in result.reason
            else:
                outcomes["document"] += 1
                outcomes["passages"] += len(list(passages_of(result)))
        assert sorted(folder.iterdir()) == paths
        for path in paths:
            path.unlink()
        folder.rmdir()
    return outcomes


def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, seed: int) -> dict[str, int]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = psutil.Process().num_fds()
    outcomes = fuzz(tmp_path, count, seed)
    assert not list(temporary.iterdir())
    assert psutil.Process().num_fds() <= before + 2
    assert not [child for child in psutil.Process().children() if "reading_worker" in " ".join(child.cmdline())]
    return outcomes


def test_damaged_files_end_as_a_document_or_a_row(tmp_path, monkeypatch):
    outcomes = check(tmp_path, monkeypatch, 120, seed=1)
    assert outcomes["document"] > 10 and outcomes["row"] > 10
    assert not outcomes["late"] and not outcomes["stopped"]


@pytest.mark.slow
def test_thousands_of_damaged_files_end_as_a_document_or_a_row(tmp_path, monkeypatch):
    outcomes = check(tmp_path, monkeypatch, 6_000, seed=2)
    print(outcomes)
    assert outcomes["document"] + outcomes["row"] == 6_000
