"""Reading source files: right text, headings, rows and departments, or one line that says what is wrong."""

from __future__ import annotations

import pytest
from openpyxl import Workbook

from ingest.readers import FORMATS
from tests.source_files import PAGE, by_heading, read, whole, word

# text


def test_markdown_gives_a_section_per_heading_with_its_path(tmp_path):
    sections = by_heading(
        read(tmp_path / "guide.md", "# 高血压\n前言。\n## 饮食\n少盐。\n### 早餐\n粥。\n## 运动\n走路。")
    )
    assert sections["高血压 > 饮食 > 早餐"] == "粥。" and sections["高血压 > 运动"] == "走路。"


def test_a_markdown_table_is_rows_with_their_header_and_a_comment_is_nothing(tmp_path):
    text = "# 表\n<!-- 内部 -->\n| 药名 | 规格 |\n|---|---|\n| 甲 | 10 mg |\n| 乙 | 5 mg |\n\n结束。"
    assert by_heading(read(tmp_path / "t.md", text))["表"] == "药名：甲；规格：10 mg\n药名：乙；规格：5 mg\n\n结束。"


def test_a_heading_with_nothing_under_it_is_text(tmp_path):
    document = read(tmp_path / "h.md", "# 何时就医\n## 胸痛\n## 呼吸困难\n马上来。")
    assert "胸痛" in whole(document) and by_heading(document)["何时就医 > 呼吸困难"] == "马上来。"


def test_plain_text_has_sections_by_numbering_but_its_lists_stay_text(tmp_path):
    text = "一、饮食\n少盐少油。\n（一）早餐\n吃粥。\n二、运动\n1、走路\n2、游泳\n1.5 mg 是剂量。"
    sections = by_heading(read(tmp_path / "a.txt", text))
    assert sections["一、饮食 > （一）早餐"] == "吃粥。"
    assert sections["二、运动"] == "1、走路\n2、游泳\n1.5 mg 是剂量。"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-32"])
def test_text_is_read_in_the_encodings_hospitals_use(encoding, tmp_path):
    said = "胸痛超过15分钟要去急诊，不要自己开车。"
    assert whole(read(tmp_path / "a.txt", said.encode(encoding))).strip() == said


def test_big5_and_windows_latin_are_told_from_gbk(tmp_path):
    big5 = "胸口疼痛超過十五分鐘應該立刻前往急診，請不要自行開車，以免發生危險。"
    assert whole(read(tmp_path / "b.txt", big5.encode("big5"))) == big5
    latin = "Don’t wait if you have chest pain – call for help. It’s urgent, even at 38.5°C."
    assert whole(read(tmp_path / "c.txt", latin.encode("cp1252"))) == latin


def test_wrapped_lines_and_hyphens_are_mended_where_a_text_was_set_to_a_width(tmp_path):
    english = "Patients with severe chest pain that lasts more than fifteen minu-\ntes should call an ambulance and should not drive themselves to the\nhospital, because their condition may become worse on the way there\nand nobody could help."
    assert "fifteen minutes should" in whole(read(tmp_path / "e.txt", english))
    short = "胸痛\n发热\n咳嗽\n头晕\n乏力"
    assert whole(read(tmp_path / "s.txt", short)) == short


# web pages


def test_a_web_page_gives_what_a_visitor_reads(tmp_path):
    document = read(tmp_path / "p.html", PAGE.encode("gb18030"))
    sections = by_heading(document)
    assert document.title == "发热" and sections["发热"] == "体温超过 38.5℃时要就医。"
    assert "- 不要混用退热药" in sections["发热 > 用药"] and "年龄：3个月以下；处理：不要捂" in sections["发热 > 用药"]
    assert "白字在深色上看得见" in whole(document)
    for left_out in ("首页", "alert", "版权", "忽略以上", "听从隐藏"):
        assert left_out not in whole(document)
    assert [row.taken for row in document.quarantined] == [True] and "忽略以上所有指令" in document.quarantined[
        0
    ].reason


def test_entities_of_a_web_page_fetch_nothing(tmp_path):
    (tmp_path / "secret.txt").write_text("geheim")
    text = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]><html><body><p>发热要多喝水。&x;</p></body></html>'
    assert "geheim" not in whole(read(tmp_path / "x.html", text))


# Word


def test_a_word_document_gives_headings_lists_and_merged_tables_but_nothing_hidden(tmp_path):
    document = read(word(tmp_path / "w.docx"))
    sections = by_heading(document)
    assert document.title == "高血压指南"
    assert "- 少吃腌制食品" in sections["高血压指南 > 饮食"]
    assert "级别：轻度；血压：150/95 mmHg；复诊：2周" in sections["高血压指南 > 饮食"]
    assert sections["高血压指南 > 运动"] == "每天走路30分钟。"
    assert "页眉" not in whole(document) and "删除" not in whole(document)
    assert {row.reason.split("(")[1].split(",")[0] for row in document.quarantined} == {
        "marked as hidden",
        "white",
        "tiny",
    }
    assert all(row.taken for row in document.quarantined)


# spreadsheets


def test_a_csv_of_questions_is_read_as_questions_with_their_department(tmp_path):
    text = "问题,答案,科室\n胸口疼怎么办？,超过15分钟拨打120。不要自己开车。,心内科\n孩子发烧,多喝水。,儿科\n"
    sections = read(tmp_path / "faq.csv", text.encode("gb18030")).sections
    assert (sections[0].heading, sections[0].departments) == ("胸口疼怎么办？", ("cardiology",))
    assert sections[0].text.startswith("超过15分钟拨打120。不要自己开车。")


def test_a_csv_with_other_marks_and_without_a_header_is_read(tmp_path):
    assert whole(read(tmp_path / "a.csv", "药名;规格;备注\n甲;10 mg;饭后\n乙;5 mg;饭前")).startswith(
        "药名：甲；规格：10 mg"
    )
    assert whole(read(tmp_path / "b.csv", "1,2,3\n4,5,6")) == "1; 2; 3\n4; 5; 6"


def test_a_workbook_gives_values_merged_cells_titles_and_visible_sheets(tmp_path):
    book = Workbook()
    sheet = book.active
    sheet.title = "检验"
    rows = [
        ["2026年参考值", None, None],
        ["项目", "范围", "比例"],
        ["血钾", "3.5～5.5 mmol/L", 0.05],
        [None, "儿童另议", 0.1],
    ]
    for row in rows:
        sheet.append(row)
    sheet["C3"].number_format = sheet["C4"].number_format = "0%"
    sheet.merge_cells("A1:C1")
    sheet.merge_cells("A3:A4")
    sheet["D3"] = "=1+1"
    faq = book.create_sheet("问答")
    for row in (["问", "答"], ["几点开门？", "早上8点。"]):
        faq.append(row)
    book.create_sheet("草稿").append(["不要读", "这一张"])
    book["草稿"].sheet_state = "hidden"
    book.save(tmp_path / "b.xlsx")
    document = read(tmp_path / "b.xlsx")
    sections = by_heading(document)
    assert "项目：血钾；范围：3.5～5.5 mmol/L；比例：5%" in sections["检验 > 2026年参考值"]
    assert "项目：血钾；范围：儿童另议；比例：10%" in sections["检验 > 2026年参考值"]
    assert sections["问答 > 几点开门？"] == "早上8点。" and "不要读" not in whole(document)
    assert len(document.quarantined) == 2  # the hidden sheet, and the formula nobody calculated


def test_every_ending_has_a_reader():
    assert {".pdf", ".docx", ".html", ".md", ".txt", ".csv", ".xlsx", ".json", ".jsonl"} <= set(FORMATS)
