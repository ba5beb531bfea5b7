"""What cannot be read is one line that names the file, and costs no more than its limits allow."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from ingest.limits import ReadingLimits, load_limits
from ingest.readers import read_source
from knowledge.errors import InvalidSettings, UnreadableSource
from tests.source_files import read, word


def bomb(path: Path, name: str = "word/document.xml") -> None:
    word(path) if path.suffix == ".docx" else Workbook().save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(f"{name}.extra", "w") as stream:
        for _ in range(64):
            stream.write(b"\0" * 1_048_576)


def with_entities(path: Path) -> None:
    source = io.BytesIO(word(path).read_bytes())
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for part in old.infolist():
            body = old.read(part)
            if part.filename == "word/document.xml":
                lol = b"".join(b'<!ENTITY l%d "%s">' % (number, b"&l%d;" % (number - 1) * 10) for number in range(1, 9))
                body = body.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY l0 "ha">' + lol + b"]>", 1)
            new.writestr(part, body)


OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)
BAD_FILES = {
    "empty.txt": (b"", "holds no text"),
    "binary.txt": (bytes(range(128, 256)) * 3 + b"\xff", "UTF-8|holds no text|garbled"),
    "picture.png": (b"\x89PNG", "no reader for '.png'"),
    "no_zip.docx": (b"hello", "not a readable .docx"),
    "locked.docx": (OLE, "encrypted, or an old .doc file"),
    "locked.xlsx": (OLE, "encrypted, or an old .xls file"),
    "bomb.docx": (bomb, "unpacks more than|would unpack"),
    "bomb.xlsx": (bomb, "unpacks more than|would unpack"),
    "laughs.docx": (with_entities, "XML entities"),
    "cut.docx": (lambda path: path.write_bytes(word(path).read_bytes()[:900]), "not a readable .docx"),
    "deep.json": (b"[" * 100_000, "not readable JSON|nested more than"),
    "deep2.json": (b"[" * 300 + b"]" * 300, "nested more than 100 deep"),
    "cut.json": (b'{"a": "b', "line 1"),
    "deep.html": (b"<div>" * 5_000 + b"text", "nested|not a readable"),
    "garbled.txt": ("患者应当及时就医，以免延误。".encode("gbk").decode("latin-1").encode(), "garbled"),
    "gone.txt": (None, "no ordinary file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_line_that_names_it(name, tmp_path):
    make, problem = BAD_FILES[name]
    if isinstance(make, bytes):
        (tmp_path / name).write_bytes(make)
    elif make is not None:
        make(tmp_path / name)
    with pytest.raises(UnreadableSource, match=problem) as told:
        read_source(tmp_path / name, tmp_path)
    assert name in str(told.value) and "\n" not in str(told.value) and "; " in str(told.value)


@pytest.mark.parametrize(
    ("limits", "named"),
    [(ReadingLimits(max_file_bytes=10), "max_file_bytes"), (ReadingLimits(max_text_chars=10), "max_text_chars")],
)
def test_each_limit_is_named_where_it_is_met(limits, named, tmp_path):
    with pytest.raises(UnreadableSource, match=named):
        read(tmp_path / "a.txt", "胸痛超过15分钟要去急诊。", limits)


def test_a_link_to_outside_the_folder_is_not_followed(tmp_path):
    (tmp_path / "secret.txt").write_text("秘密。")
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(UnreadableSource, match="link to outside"):
        read_source(folder / "link.txt", folder)


def test_limits_come_from_the_settings_and_a_misspelt_one_is_told(tmp_path):
    config = tmp_path / "config.toml"
    assert load_limits(config) == ReadingLimits()
    config.write_text("[reading]\nmax_pages = 7\nseconds_per_file = 3\n")
    assert (load_limits(config).max_pages, load_limits(config).seconds_per_file) == (7, 3.0)
    for wrong in ("max_page = 7", "max_pages = -1", "max_pages = 'x'"):
        config.write_text(f"[reading]\n{wrong}\n")
        with pytest.raises(InvalidSettings, match="max_page"):
            load_limits(config)
