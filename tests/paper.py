"""Documents as hospitals have them, made for the tests: Chinese PDFs in columns, with tables, with headers and footers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Table,
    TableStyle,
)

FONT = "STSong-Light"
pdfmetrics.registerFont(UnicodeCIDFont(FONT))
BODY = ParagraphStyle("body", fontName=FONT, fontSize=10.5, leading=16, wordWrap="CJK", firstLineIndent=21)
PLAIN = ParagraphStyle("plain", parent=BODY, firstLineIndent=0)
CELL = ParagraphStyle("cell", parent=BODY, firstLineIndent=0, fontSize=9, leading=12)
TITLE = ParagraphStyle("title", fontName=FONT, fontSize=20, leading=30, alignment=1, wordWrap="CJK")
CHAPTER = ParagraphStyle("chapter", fontName=FONT, fontSize=14, leading=24, wordWrap="CJK", spaceBefore=8)
SECTION = ParagraphStyle("section", fontName=FONT, fontSize=10.5, leading=18, wordWrap="CJK")


def leaflet(topic: str, sentences: int, start: int = 0) -> str:
    """Running text whose every sentence is different and can be looked for."""
    return "".join(
        f"{topic}第{number}条：患者出现第{number}种情况时应当记录发生的时间和持续的分钟数，并带给接诊医生查看。"
        for number in range(start, start + sentences)
    )


def two_columns(path: Path) -> Path:
    """A guideline set like a journal: title and abstract across, then two columns over two pages."""
    width, height = A4
    left = Frame(18 * mm, 20 * mm, 84 * mm, height - 110 * mm, id="left", leftPadding=0, rightPadding=0)
    right = Frame(110 * mm, 20 * mm, 84 * mm, height - 110 * mm, id="right", leftPadding=0, rightPadding=0)
    top = Frame(18 * mm, height - 88 * mm, width - 36 * mm, 68 * mm, id="top", leftPadding=0, rightPadding=0)
    tall = [Frame(x * mm, 20 * mm, 84 * mm, height - 45 * mm, leftPadding=0, rightPadding=0) for x in (18, 110)]
    document = BaseDocTemplate(str(path), pagesize=A4)
    document.addPageTemplates([PageTemplate("first", [top, left, right]), PageTemplate("later", tall)])
    story: list[Flowable] = [
        NextPageTemplate("later"),
        Paragraph("社区高血压随访管理指南", TITLE),
        Paragraph(f"【摘要】{leaflet('摘要', 3)}", PLAIN),
        FrameBreak(),
        Paragraph("一、随访对象", CHAPTER),
        Paragraph(leaflet("对象", 14), BODY),
        Paragraph("二、随访内容", CHAPTER),
        Paragraph("（一）测量血压", SECTION),
        Paragraph(
            "每次随访测量两次血压，间隔1～2分钟，取平均值；目标一般低于140/90 mmHg，能耐受者可进一步降低。", BODY
        ),
        Paragraph(leaflet("测量", 16), BODY),
        Paragraph("（二）转诊指征", SECTION),
        Paragraph(leaflet("转诊", 16), BODY),
    ]
    document.build(story)
    return path


LAB_HEADER = ("检验项目", "参考范围", "危急值", "处理")
LAB_ROWS = (
    ("血钾", "3.5～5.5 mmol/L", "<2.8 或 >6.2 mmol/L", "立即复查，同时做心电图"),
    ("血糖", "3.9～6.1 mmol/L", "<2.8 或 >22.2 mmol/L", "立即通知医生"),
    ("血红蛋白", "115～150 g/L", "<50 g/L", "准备输血，查找出血"),
    ("血小板", "125～350 ×10^9/L", "<20 ×10^9/L", "卧床，避免磕碰，尽快请血液科会诊并复查血常规"),
)


def with_tables(path: Path) -> Path:
    """A page of reference values: a ruled table with wrapped and merged cells, white on blue names, and one running over."""
    document = BaseDocTemplate(str(path), pagesize=A4)
    document.addPageTemplates([PageTemplate("all", [Frame(20 * mm, 20 * mm, 170 * mm, 250 * mm)])])
    blue = TableStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.5, colors.black),
            ("BACKGROUND", (0, 0), (-1, 0), colors.Color(0.1, 0.2, 0.5)),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ]
    )
    white = ParagraphStyle("white", parent=CELL, textColor=colors.white)
    rows = [
        [Paragraph(name, white) for name in LAB_HEADER],
        *([Paragraph(cell, CELL) for cell in row] for row in LAB_ROWS),
    ]
    many = [[Paragraph(cell, CELL) for cell in ("编号", "症状", "科室")]]
    many += [
        [Paragraph(cell, CELL) for cell in (f"B{number:03d}", f"症状{number}持续加重", f"第{number}诊室")]
        for number in range(60)
    ]
    merged = [
        [Paragraph(cell, CELL) for cell in ("分级", "收缩压", "复诊时间")],
        [Paragraph("轻度", CELL), Paragraph("140～159 mmHg", CELL), Paragraph("1个月", CELL)],
        ["", Paragraph("家庭血压135～144 mmHg", CELL), Paragraph("2个月", CELL)],
        [Paragraph("中度", CELL), Paragraph("160～179 mmHg", CELL), Paragraph("2周", CELL)],
    ]
    story: list[Flowable] = [
        Paragraph("检验危急值手册", TITLE),
        Paragraph("1.1 常用项目", CHAPTER),
        Paragraph("下表列出成人常用检验项目的参考范围和危急值。", BODY),
        Table(rows, colWidths=[28 * mm, 40 * mm, 50 * mm, 48 * mm], style=blue),
        Paragraph("1.2 血压分级", CHAPTER),
        Table(
            merged,
            colWidths=[30 * mm, 60 * mm, 40 * mm],
            style=TableStyle([*blue.getCommands()[:1], ("SPAN", (0, 1), (0, 2))]),
        ),
        Paragraph("1.3 分诊编号", CHAPTER),
        Table(many, colWidths=[30 * mm, 60 * mm, 40 * mm], style=TableStyle(blue.getCommands()[:1])),
    ]
    document.build(story)
    return path


def with_headers(path: Path, pages: int = 5) -> Path:
    """A manual with a header, a footer with the page number, roman labels first, and sentences that run over page ends."""

    def furniture(canvas: Canvas, document: BaseDocTemplate) -> None:
        canvas.setFont(FONT, 9)
        canvas.drawString(20 * mm, 285 * mm, "某某市第一人民医院健康教育手册")
        canvas.drawRightString(190 * mm, 285 * mm, "内部资料")
        canvas.drawCentredString(105 * mm, 10 * mm, f"— {document.page + 10} —")

    document = BaseDocTemplate(str(path), pagesize=A4)
    document.addPageTemplates([PageTemplate("all", [Frame(20 * mm, 20 * mm, 170 * mm, 255 * mm)], onPage=furniture)])
    story: list[Flowable] = [Paragraph("糖尿病足护理手册", TITLE)]
    for chapter in range(1, pages + 1):
        story += [
            Paragraph(f"第{'一二三四五六七八九十'[chapter - 1]}章 护理第{chapter}步", CHAPTER),
            Paragraph(leaflet(f"护理{chapter}", 28), BODY),
        ]
    document.build(story)
    return path


def drawn(path: Path, draw: Callable[[Canvas], None], pages: int = 1) -> Path:
    """A PDF drawn by hand, the same on each page."""
    canvas = Canvas(str(path), pagesize=A4)
    for _ in range(pages):
        canvas.setFont(FONT, 12)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return path


def english_columns(path: Path, sentences: Sequence[str]) -> Path:
    """Hyphenated English in two columns, no headings."""
    document = BaseDocTemplate(str(path), pagesize=A4)
    frames = [Frame(x * mm, 20 * mm, 80 * mm, 250 * mm, leftPadding=0, rightPadding=0) for x in (20, 110)]
    document.addPageTemplates([PageTemplate("all", frames)])
    style = ParagraphStyle(
        "english", fontName="Times-Roman", fontSize=10, leading=13, alignment=4, hyphenationLang="", splitLongWords=0
    )
    document.build([Paragraph(" ".join(sentences), style), PageBreak()])
    return path


DRUG_HEADER = ("药物类别", "代表药", "常见不良反应", "注意事项")
DRUG_ROWS = (
    ("利尿剂", "氢氯噻嗪", "低血钾、尿酸升高", "定期查电解质，痛风患者请告诉医生并由医生决定"),
    ("钙拮抗剂", "氨氯地平", "下肢水肿、头痛", "水肿明显时复诊"),
    ("ACEI", "依那普利", "干咳", "孕妇禁用"),
)


def three_line_table(path: Path, alignment: str) -> Path:
    """A table with a line above and below its names and one at its foot, as Chinese journals set them."""
    document = BaseDocTemplate(str(path), pagesize=A4)
    document.addPageTemplates([PageTemplate("all", [Frame(20 * mm, 20 * mm, 170 * mm, 250 * mm)])])
    rows = [[Paragraph(cell, CELL) for cell in row] for row in (DRUG_HEADER, *DRUG_ROWS)]
    lines = [("LINEABOVE", (0, 0), (-1, 0), 1, colors.black), ("LINEBELOW", (0, 0), (-1, 0), 0.5, colors.black)]
    style = TableStyle(
        [*lines, ("LINEBELOW", (0, -1), (-1, -1), 1, colors.black), ("VALIGN", (0, 0), (-1, -1), alignment)]
    )
    story: list[Flowable] = [
        Paragraph("降压药一览", TITLE),
        Paragraph("表1 常用降压药", PLAIN),
        Table(rows, colWidths=[30 * mm, 35 * mm, 45 * mm, 55 * mm], style=style),
        Paragraph(leaflet("后记", 4), BODY),
    ]
    document.build(story)
    return path
