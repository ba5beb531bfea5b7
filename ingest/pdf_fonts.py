"""A PDF's fonts: what characters its bytes stand for, and how wide they are."""

from __future__ import annotations

import re
from typing import Any

from ingest.cleaning import with_whole_characters

UNKNOWN = "\ufffd"


class PageFont:
    """A font's characters and widths. Glyphs nobody can name become U+FFFD, which the garble score counts."""

    def __init__(self, resource: Any) -> None:
        from pypdf.generic._font import Font  # no public name yet; held by the tests

        self.font = Font.from_font_resource(resource)
        self.map = self.font.character_map
        encoding = str(resource.get("/Encoding", ""))
        self.is_bold = bool(re.search(r"bold|black|heavy|semibold|simhei|heiti", self.font.name, re.IGNORECASE))
        self.is_composite = self.font.sub_type in ("Type0", "CIDFontType0", "CIDFontType2")
        is_identity = self.is_composite and encoding in ("/Identity-H", "/Identity-V")
        self.is_unnamed = not self.font.interpretable or (is_identity and not self.map)
        self.unnamed_glyph = UNKNOWN if is_identity else None
        self.has_code_widths = is_identity or not self.is_composite  # else widths are by glyph, not by character
        self._widths: dict[str, float] = {}

    def decoded(self, shown: Any) -> tuple[str, float]:
        """The text of a shown string and its width in thousandths of the type size."""
        raw = (
            shown if isinstance(shown, bytes) else bytes(shown, "latin-1", "replace") if isinstance(shown, str) else b""
        )
        encoding = self.font.encoding
        if isinstance(encoding, str):
            codes = _codes(raw, encoding)
            text = codes
        else:
            codes = "".join(map(chr, raw))
            text = "".join(encoding.get(byte, chr(byte)) for byte in raw)
        width = sum(self._width(code) for code in codes)
        if self.is_unnamed:
            return UNKNOWN * len(codes), width
        if self.map:
            text = "".join(self.map.get(one, self.unnamed_glyph or one) for one in text)
        return with_whole_characters(text.replace("\x00", "")), width

    def _width(self, code: str) -> float:
        if code not in self._widths:
            if not self.has_code_widths:
                self._widths[code] = 500.0 if code < "\u0250" else 1000.0  # as Chinese type is set
            elif code == self.font.space_char:
                self._widths[code] = float(self.font.space_width)
            else:
                self._widths[code] = float(self.font.get_text_width(code))
        return self._widths[code]


def _codes(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace")
    except LookupError:
        return raw.decode("latin-1")
