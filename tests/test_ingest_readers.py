"""Reading source files: right text and pages, or one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypdf import PdfWriter

from ingest.readers import read_source
from knowledge.errors import UnreadableSource


def simple_pdf(path: Path, pages: list[str]) -> Path:
    """A PDF with one line of English text a page, written by hand."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        stream = f"BT /F1 14 Tf 72 700 Td ({text}) Tj ET" if text else ""
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        content = len(objects)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R "
            "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out = b"%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF".encode()
    path.write_bytes(out)
    return path


def test_markdown_gives_a_section_per_heading_with_its_path(tmp_path):
    path = tmp_path / "guide.md"
    path.write_text("# 高血压\n前言。\n## 饮食\n少盐。\n### 早餐\n粥。\n## 运动\n走路。", encoding="utf-8")
    sections = {section.heading: section.text.strip() for section in read_source(path, tmp_path).sections}
    assert sections["高血压 > 饮食 > 早餐"] == "粥。" and sections["高血压 > 运动"] == "走路。"


def test_text_is_read_as_utf8_or_gb18030(tmp_path):
    for name, encoding in (("a.txt", "utf-8"), ("b.txt", "gb18030"), ("c.txt", "utf-8-sig")):
        (tmp_path / name).write_bytes("胸痛超过15分钟要去急诊。".encode(encoding))
        assert read_source(tmp_path / name, tmp_path).sections[0].text == "胸痛超过15分钟要去急诊。"


def test_a_pdf_gives_its_pages_as_a_viewer_counts_them(tmp_path):
    document = read_source(simple_pdf(tmp_path / "two.pdf", ["First page.", "Second page."]), tmp_path)
    assert [(section.page, section.text.strip()) for section in document.sections] == [
        (1, "First page."),
        (2, "Second page."),
    ]


def encrypted(path: Path) -> None:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret")
    writer.write(path)


def cut_short(path: Path) -> None:
    path.write_bytes(simple_pdf(path, ["Some text here."]).read_bytes()[:90])


BAD_FILES = {
    "encrypted.pdf": (encrypted, "encrypted"),
    "cut.pdf": (cut_short, "not a readable PDF|holds no text"),
    "no_pdf.pdf": (lambda path: path.write_bytes(b"hello"), "not a readable PDF|holds no text"),
    "empty.pdf": (lambda path: path.write_bytes(b""), "not a readable PDF|holds no text"),
    "blank.pdf": (lambda path: simple_pdf(path, [""]), "holds no text"),
    "empty.txt": (lambda path: path.write_bytes(b""), "holds no text"),
    "binary.txt": (
        lambda path: path.write_bytes(bytes(range(128, 256)) * 3 + b"\xff"),
        "neither UTF-8 nor GB18030|holds no text",
    ),
    "picture.png": (lambda path: path.write_bytes(b"\x89PNG"), "no reader for '.png'"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_line_that_names_it(name, tmp_path):
    make, problem = BAD_FILES[name]
    make(tmp_path / name)
    with pytest.raises(UnreadableSource, match=problem) as told:
        read_source(tmp_path / name, tmp_path)
    assert name in str(told.value) and "\n" not in str(told.value)
