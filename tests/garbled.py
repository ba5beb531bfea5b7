"""Texts as written and as broken machines give them, for the garble score's calibration. Every sentence is the project's own."""

from __future__ import annotations

from collections.abc import Iterator

SIMPLIFIED = (
    "患者应当及时就医，以免延误病情。胸痛超过15分钟不缓解，请立即拨打120，不要自己开车去医院。",
    "癫痫、疱疹、瘰疬、癔症、痤疮、荨麻疹、噎膈、痞满、瘿瘤；黄芪、苁蓉、茯苓、莪术、藿香、薏苡仁、酸枣仁。",
    "阿莫西林克拉维酸钾、左氧氟沙星、奥美拉唑镁肠溶片、苯磺酸氨氯地平、缬沙坦氢氯噻嗪、瑞舒伐他汀钙。",
    "肌酐清除率＝(140－年龄)×体重(kg)÷(72×Scr)；女性×0.85。eGFR<60 mL/(min·1.73 m²)持续3个月以上。",
    "一、目的　二、范围　三、职责　四、程序　五、记录",
    "血钾 3.5～5.5 mmol/L；血钠 135～145 mmol/L；ALT 7～40 U/L；γ-GT 10～60 U/L；β-HCG＜5 mIU/mL。",
)
TRADITIONAL = (
    "患者應當及時就醫，以免延誤病情。胸口疼痛超過十五分鐘沒有緩解，請立刻撥打急救電話，不要自行開車。",
    "糖尿病患者每天檢查雙腳，發現傷口、紅腫或麻木時要告訴醫師，並且記錄血糖數值。",
)
ENGLISH = (
    "Chest pain that lasts longer than 15 minutes needs an ambulance. Do not drive yourself to the hospital.",
    "Ménière's disease, Guillain–Barré syndrome, Sjögren's disease and café-au-lait spots are seen by specialists.",
    "p < 0.05; OR 1.73 (95% CI 1.02–2.94); χ² = 4.2; α = 0.05; Δ = −3.1 mmol/L; n = 1,298; β-blocker 25 µg.",
    "Don’t wait – call “for help” at once… it’s free.",
)
TABLES = (
    "12 34 56 78\n90 12 34 56\n1.2 3.4 5.6 7.8\n140/90 150/95 160/100",
    "| 3.5 | 5.5 | ↑ | ↓ | ± | ≥ | ≤ | — | ✓ | ✗ |\n| 1 | 2 | 3 | 4 |",
    "∑(x−x̄)² / (n−1) = s²; √s² = s; ∫f(x)dx; ∂y/∂x; a ≠ b; A ∪ B; 10⁻³; H₂O; CO₂; Ca²⁺; ½; ¼",
    "········································ 12\n........................................ 34",
    "□是 □否 ☑已阅 ○男 ●女 ①②③④ ㈠㈡ Ⅰ Ⅱ Ⅲ Ⅳ ★★★",
)


def as_written() -> Iterator[tuple[str, str]]:
    """(kind, text)."""
    for kind, texts in (
        ("simplified", SIMPLIFIED),
        ("traditional", TRADITIONAL),
        ("English", ENGLISH),
        ("tables and formulas", TABLES),
    ):
        for text in texts:
            yield kind, text
        yield kind, "\n".join(texts)


def broken() -> Iterator[tuple[str, str]]:
    """(kind, text): each way of breaking, over each text it can break."""
    for text in (*SIMPLIFIED[:3], SIMPLIFIED[5], SIMPLIFIED[0] * 3):
        yield "UTF-8 read as GBK", text.encode().decode("gb18030", "replace")
        yield "UTF-8 read as GBK, marks dropped", text.encode().decode("gbk", "ignore")
        yield "GBK read as Latin-1", text.encode("gb18030").decode("latin-1")
        yield "GBK read as Windows Latin", text.encode("gb18030").decode("cp1252", "replace")
        yield "UTF-8 read as Latin-1", text.encode().decode("latin-1")
        yield "UTF-8 read as Windows Latin", text.encode().decode("cp1252", "replace")
        yield "GBK read as UTF-8", text.encode("gb18030").decode("utf-8", "replace")
        yield (
            "GBK read as UTF-8, then as GBK",
            text.encode("gb18030").decode("utf-8", "replace").encode().decode("gb18030", "replace"),
        )
        yield "GBK read as Big5", text.encode("gb18030").decode("big5", "replace")
        yield "private-use glyphs", "".join(chr(0xE000 + ord(one) % 0x1000) if one > "\x7f" else one for one in text)
        yield "glyph numbers as characters", "".join(chr(0x100 + (ord(one) * 37) % 0x4000) for one in text)
        yield "glyphs named (cid:n)", "".join(f"(cid:{ord(one)})" for one in text)
        yield (
            "every fifth character lost",
            "".join("\ufffd" if place % 5 == 0 else one for place, one in enumerate(text)),
        )
    for text in TRADITIONAL:
        yield "Big5 read as GBK", text.encode("big5", "ignore").decode("gb18030", "replace")
        yield "UTF-8 read as GBK", text.encode().decode("gb18030", "replace")
        yield "Big5 read as Latin-1", text.encode("big5", "ignore").decode("latin-1")
    for text in ENGLISH[:1]:
        yield "glyph numbers as characters", "".join(chr(ord(one) - 29) if one > "\x1d" else one for one in text)
