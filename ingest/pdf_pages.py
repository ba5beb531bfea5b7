"""What stands on the pages of a PDF: pieces of text with their places, ruling lines, and what nobody can see.

The home of pypdf. Its own text extraction gives neither colours nor a place for each piece, so the operators of a page
are followed here, with pypdf's parser and fonts. Pages are read one at a time and forgotten: memory does not grow.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ingest.cleaning import with_whole_characters
from ingest.documents import SourceFile
from knowledge.errors import UnreadableSource

if TYPE_CHECKING:
    from pypdf import PdfReader

Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
TINY_POINTS = 1.5  # smaller type cannot be read on paper or screen; the smallest print of leaflets has 4
_WHITE = 0.97  # of each colour
_DEEPEST_FORM = 12
_MOST_FORMS = 500  # drawn on one page
_MOST_SPANS = 60_000  # pieces of text on one page
_FONTS_KEPT = 64
_UNKNOWN = "\ufffd"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text shown at once. x0, x1, y (baseline), size: points from the lower left of the page."""

    x0: float
    x1: float
    y: float
    size: float
    text: str
    is_bold: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A ruling line (thin) or a filled area, in points."""

    x0: float
    y0: float
    x1: float
    y1: float

    def holds(self, x: float, y: float) -> bool:
        return self.x0 - 1 <= x <= self.x1 + 1 and self.y0 - 1 <= y <= self.y1 + 1


@dataclass
class PageContent:
    """One page. number: 1-based, as a viewer counts; label: as it names the page, where that differs."""

    number: int
    label: str | None
    width: float
    height: float
    spans: list[Span] = field(default_factory=list)
    rules: list[Box] = field(default_factory=list)
    pictures: list[Box] = field(default_factory=list)
    hidden: dict[str, list[str]] = field(default_factory=dict)
    has_ocr_layer: bool = False


def pages_of(file: SourceFile) -> Iterator[PageContent | UnreadableSource]:
    """The pages in order; a fault in place of a page that cannot be read. Raises UnreadableSource where none can."""
    from pypdf import PdfReader, apply_configuration, get_configuration
    from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    limits = file.limits
    bounds = get_configuration().with_overwrites(
        zlib_maximum_output_length=limits.max_unpacked_bytes // 4,
        page_tree_maximum_depth=limits.max_nesting,
        maximum_declared_stream_length=limits.max_file_bytes,
    )
    with apply_configuration(bounds), file.path.open("rb") as stream:
        try:
            reader = PdfReader(stream)
            if reader.is_encrypted and not reader.decrypt(""):
                raise file.fault("encrypted", "save a copy without a password")
            count = len(reader.pages)
        except (DependencyError, FileNotDecryptedError):
            raise file.fault("encrypted", "save a copy without a password") from None
        except (LimitReachedError, RecursionError) as fault:
            raise file.fault(f"beyond the limits of a PDF ({type(fault).__name__})", "export it again") from None
        except PyPdfError as fault:
            raise file.fault(f"not a readable PDF ({type(fault).__name__})", "export it again") from None
        if count > limits.max_pages:
            raise file.fault(f"{count:,} pages, more than {limits.max_pages:,}", "split it, or raise reading.max_pages")
        yield from _each_page(file, reader, count)


def _each_page(file: SourceFile, reader: PdfReader, count: int) -> Iterator[PageContent | UnreadableSource]:
    fonts: dict[Any, Any] = {}
    labels = _labels(reader, count)
    for number in range(1, count + 1):
        try:
            label = labels[number - 1] if labels else None
            yield _PageInterpreter(reader, number, label, fonts).content
        except MemoryError:
            raise
        except Exception as fault:  # a page made to break the parser; the other pages can be read
            reason = (
                "more than may be unpacked" if type(fault).__name__ == "LimitReachedError" else type(fault).__name__
            )
            yield file.fault(f"page cannot be read ({reason})", "export the document again")
        reader.resolved_objects.clear()  # or every page's streams stay in memory
        reader.pages[number - 1].clear()
        while len(fonts) > _FONTS_KEPT:
            fonts.pop(next(iter(fonts)))


def _labels(reader: PdfReader, count: int) -> list[str] | None:
    """The printed names of the pages, where the document gives any."""
    try:
        if "/PageLabels" not in reader.root_object:
            return None
        labels = list(reader.page_labels)
        return labels if len(labels) == count else None
    except Exception:  # a broken label tree costs labels, not pages
        return None


@dataclass(frozen=True)
class _State:
    """The graphics state that matters for text."""

    ctm: Matrix = _IDENTITY
    font: Any = None
    size: float = 12.0
    char_space: float = 0.0
    word_space: float = 0.0
    scale: float = 1.0
    leading: float = 0.0
    rise: float = 0.0
    mode: int = 0
    is_white: bool = False
    is_clear: bool = False  # drawn with no opacity


class _PageInterpreter:
    """Follows the operators of one page."""

    def __init__(self, reader: PdfReader, number: int, label: str | None, fonts: dict[Any, Any]) -> None:
        page = reader.pages[number - 1]
        self.reader, self.fonts = reader, fonts
        self.box = page.cropbox
        left, bottom = float(self.box.left), float(self.box.bottom)
        self.content = PageContent(
            number, label if label != str(number) else None, float(self.box.width), float(self.box.height)
        )
        self.state = replace(_State(), ctm=_turned(page.rotation, left, bottom, self.content))
        self.tm = self.line = _IDENTITY
        self.stack: list[_State] = []
        self.path: list[Box] = []
        self.point: tuple[float, float] | None = None
        self.fills: list[Box] = []  # areas painted in a colour other than white
        self.suspects: list[tuple[Span, str]] = []
        self.forms = 0
        contents = page.get("/Contents")
        if contents is not None:
            self._run(contents.get_object(), page.get("/Resources"), 0)
        self._judge()

    def _run(self, contents: Any, resources: Any, depth: int) -> None:
        from pypdf.generic import ContentStream, NullObject

        if isinstance(contents, NullObject):
            return
        found = resources.get_object() if resources is not None else {}
        resources = found if hasattr(found, "get") else {}
        for operands, operator in ContentStream(contents, self.reader, "bytes").operations:
            try:
                self._operate(operator, operands, resources, depth)
            except (IndexError, TypeError, ValueError, KeyError, AttributeError, OverflowError):
                continue  # one bad operator; viewers pass over it too

    def _operate(self, operator: bytes, operands: Any, resources: Any, depth: int) -> None:
        handler = _OPERATORS.get(operator)
        if handler is not None:
            handler(self, operands, resources)
        elif operator == b"Do":
            self._draw(operands[0], resources, depth)

    # graphics state

    def _save(self, operands: Any, resources: Any) -> None:
        if len(self.stack) < 1000:
            self.stack.append(self.state)

    def _restore(self, operands: Any, resources: Any) -> None:
        if self.stack:
            self.state = self.stack.pop()

    def _concatenate(self, operands: Any, resources: Any) -> None:
        self._set(ctm=_times(tuple(float(value) for value in operands[:6]), self.state.ctm))

    def _colour(self, operands: Any, resources: Any) -> None:
        values = [float(value) for value in operands if isinstance(value, int | float)]
        if len(values) == 4:
            self._set(is_white=all(value <= 1 - _WHITE for value in values))
        elif values:
            self._set(is_white=len(values) in (1, 3) and all(value >= _WHITE for value in values))
        else:
            self._set(is_white=False)  # a pattern

    def _extended(self, operands: Any, resources: Any) -> None:
        state = resources["/ExtGState"].get_object()[operands[0]].get_object()
        if "/ca" in state:
            self._set(is_clear=float(state["/ca"]) <= 0.02)

    def _set(self, **values: Any) -> None:
        self.state = replace(self.state, **values)

    # paths: ruling lines and filled areas

    def _move(self, operands: Any, resources: Any) -> None:
        self.point = _at(self.state.ctm, float(operands[0]), float(operands[1]))

    def _line_to(self, operands: Any, resources: Any) -> None:
        end = _at(self.state.ctm, float(operands[0]), float(operands[1]))
        if self.point is not None and len(self.path) < 20_000:
            self.path.append(_box(self.point, end))
        self.point = end

    def _rectangle(self, operands: Any, resources: Any) -> None:
        x, y, width, height = (float(value) for value in operands[:4])
        if len(self.path) < 20_000:
            self.path.append(_box(_at(self.state.ctm, x, y), _at(self.state.ctm, x + width, y + height)))

    def _stroke(self, operands: Any, resources: Any) -> None:
        for box in self.path:
            self._rule(box)
            if box.x1 - box.x0 > 3 and box.y1 - box.y0 > 3:  # a frame: its four sides
                for side in (
                    Box(box.x0, box.y0, box.x1, box.y0), Box(box.x0, box.y1, box.x1, box.y1),
                    Box(box.x0, box.y0, box.x0, box.y1), Box(box.x1, box.y0, box.x1, box.y1),
                ):  # fmt: skip
                    self._rule(side)
        self.path = []

    def _fill(self, operands: Any, resources: Any) -> None:
        for box in self.path:
            if box.x1 - box.x0 <= 3 or box.y1 - box.y0 <= 3:
                self._rule(box)
            elif not self.state.is_white:
                self.fills.append(box)
        self.path = []

    def _fill_and_stroke(self, operands: Any, resources: Any) -> None:
        path = self.path
        self._fill(operands, resources)
        self.path = path
        self._stroke(operands, resources)

    def _end_path(self, operands: Any, resources: Any) -> None:
        self.path = []

    def _rule(self, box: Box) -> None:
        thin = min(box.x1 - box.x0, box.y1 - box.y0) <= 3 < max(box.x1 - box.x0, box.y1 - box.y0)
        if thin and len(self.content.rules) < 20_000:
            self.content.rules.append(box)

    # text

    def _begin_text(self, operands: Any, resources: Any) -> None:
        self.tm = self.line = _IDENTITY

    def _font(self, operands: Any, resources: Any) -> None:
        self._set(font=self._font_named(operands[0], resources), size=float(operands[1]))

    def _next_line(self, operands: Any, resources: Any) -> None:
        self.tm = self.line = _times((1, 0, 0, 1, float(operands[0]), float(operands[1])), self.line)

    def _next_line_leading(self, operands: Any, resources: Any) -> None:
        self._set(leading=-float(operands[1]))
        self._next_line(operands, resources)

    def _text_matrix(self, operands: Any, resources: Any) -> None:
        values = tuple(float(value) for value in operands[:6])
        self.tm = self.line = values if len(values) == 6 else _IDENTITY

    def _new_line(self, operands: Any, resources: Any) -> None:
        self._next_line((0, -self.state.leading), resources)

    def _show(self, operands: Any, resources: Any) -> None:
        self._shown([operands[0]])

    def _show_adjusted(self, operands: Any, resources: Any) -> None:
        self._shown(operands[0])

    def _show_on_new_line(self, operands: Any, resources: Any) -> None:
        self._new_line((), resources)
        self._shown([operands[-1]])

    def _shown(self, parts: Any) -> None:
        """One Tj or TJ as one span; a wide shift inside it is a blank."""
        state = self.state
        if state.font is None:
            return
        start = self.tm
        text, advance = "", 0.0
        for part in parts:
            if isinstance(part, int | float):
                shift = -float(part) / 1000 * state.size * state.scale
                if shift > 0.2 * state.size and text and not text.endswith(" "):
                    text += " "
                advance += shift
            else:
                piece, width = state.font.decoded(part)
                spaces = piece.count(" ")
                advance += (
                    width / 1000 * state.size + state.char_space * len(piece) + state.word_space * spaces
                ) * state.scale
                text += piece
        self.tm = _times((1, 0, 0, 1, advance, 0), self.tm)
        if text.strip() and len(self.content.spans) < _MOST_SPANS:
            self._place(text, start, advance)

    def _place(self, text: str, start: Matrix, advance: float) -> None:
        state = self.state
        placed = _times(start, state.ctm)
        x, y = _at(placed, 0, state.rise)
        end_x, end_y = _at(placed, advance, state.rise)
        size = abs(state.size) * (placed[2] ** 2 + placed[3] ** 2) ** 0.5
        if abs(end_y - y) > abs(end_x - x) + 1:
            return  # turned on its side: a watermark or a margin note
        span = Span(min(x, end_x), max(x, end_x), y, size, text, state.font.is_bold)
        if how := self._unseen(span):
            self.suspects.append((span, how))
        else:
            self.content.spans.append(span)

    def _unseen(self, span: Span) -> str | None:
        content = self.content
        if span.x1 < -2 or span.x0 > content.width + 2 or not -2 <= span.y <= content.height + 2:
            return "off the page"
        if span.size < TINY_POINTS:
            return "tiny"
        if self.state.mode == 3 or self.state.mode == 7:
            return "not drawn"
        if self.state.is_clear:
            return "transparent"
        return "white" if self.state.is_white and self.state.mode in (0, 2, 4, 6) else None

    def _judge(self) -> None:
        """White letters on a coloured area or a picture can be read; undrawn ones over a picture are a scan's text layer."""
        for span, how in self.suspects:
            x, y = (span.x0 + span.x1) / 2, span.y + span.size * 0.3
            on_picture = any(box.holds(x, y) for box in self.content.pictures)
            if how == "white" and (on_picture or any(box.holds(x, y) for box in self.fills)):
                self.content.spans.append(span)
            elif how == "not drawn" and on_picture:
                self.content.spans.append(span)
                self.content.has_ocr_layer = True
            else:
                self.content.hidden.setdefault(how, []).append(span.text)

    # resources

    def _font_named(self, name: Any, resources: Any) -> Any:
        fonts = resources["/Font"].get_object()
        reference = fonts.raw_get(name)
        key = (reference.idnum, reference.generation) if hasattr(reference, "idnum") else id(reference)
        if key not in self.fonts:
            self.fonts[key] = PageFont(reference.get_object())
        return self.fonts[key]

    def _draw(self, name: Any, resources: Any, depth: int) -> None:
        thing = resources["/XObject"].get_object()[name].get_object()
        if thing.get("/Subtype") == "/Image":
            corners = _at(self.state.ctm, 0, 0), _at(self.state.ctm, 1, 1)
            if len(self.content.pictures) < 2_000:
                self.content.pictures.append(_box(*corners))
            return
        self.forms += 1
        if depth >= _DEEPEST_FORM or self.forms > _MOST_FORMS:
            return
        kept, stack, tm, line = self.state, self.stack, self.tm, self.line
        self.stack = []
        matrix = [float(value) for value in thing.get("/Matrix", [])]
        if len(matrix) == 6:
            self._set(ctm=_times(tuple(matrix), self.state.ctm))
        self._run(thing, thing.get("/Resources", resources), depth + 1)
        self.state, self.stack, self.tm, self.line = kept, stack, tm, line


_OPERATORS: dict[bytes, Any] = {
    b"q": _PageInterpreter._save,
    b"Q": _PageInterpreter._restore,
    b"cm": _PageInterpreter._concatenate,
    b"gs": _PageInterpreter._extended,
    **dict.fromkeys((b"g", b"rg", b"k", b"sc", b"scn"), _PageInterpreter._colour),
    b"cs": lambda page, operands, resources: page._set(is_white=False),
    b"m": _PageInterpreter._move,
    b"l": _PageInterpreter._line_to,
    b"re": _PageInterpreter._rectangle,
    **dict.fromkeys((b"S", b"s"), _PageInterpreter._stroke),
    **dict.fromkeys((b"f", b"F", b"f*"), _PageInterpreter._fill),
    **dict.fromkeys((b"B", b"B*", b"b", b"b*"), _PageInterpreter._fill_and_stroke),
    b"n": _PageInterpreter._end_path,
    b"BT": _PageInterpreter._begin_text,
    b"Tf": _PageInterpreter._font,
    b"Td": _PageInterpreter._next_line,
    b"TD": _PageInterpreter._next_line_leading,
    b"Tm": _PageInterpreter._text_matrix,
    b"T*": _PageInterpreter._new_line,
    b"Tc": lambda page, operands, resources: page._set(char_space=float(operands[0])),
    b"Tw": lambda page, operands, resources: page._set(word_space=float(operands[0])),
    b"Tz": lambda page, operands, resources: page._set(scale=float(operands[0]) / 100),
    b"TL": lambda page, operands, resources: page._set(leading=float(operands[0])),
    b"Ts": lambda page, operands, resources: page._set(rise=float(operands[0])),
    b"Tr": lambda page, operands, resources: page._set(mode=int(operands[0])),
    b"Tj": _PageInterpreter._show,
    b"TJ": _PageInterpreter._show_adjusted,
    b"'": _PageInterpreter._show_on_new_line,
    b'"': _PageInterpreter._show_on_new_line,
}


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
        self.unnamed_glyph = _UNKNOWN if is_identity else None
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
            return _UNKNOWN * len(codes), width
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


def _times(first: Any, second: Matrix) -> Matrix:
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _at(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    return (x * matrix[0] + y * matrix[2] + matrix[4], x * matrix[1] + y * matrix[3] + matrix[5])


def _box(first: tuple[float, float], second: tuple[float, float]) -> Box:
    (x0, x1), (y0, y1) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    return Box(x0, y0, x1, y1)


def _turned(rotation: int, left: float, bottom: float, content: PageContent) -> Matrix:
    """From the page's own space to what is seen: the crop box's lower left as origin, the page turned as a viewer does."""
    width, height = content.width, content.height
    if rotation % 180 == 90:
        content.width, content.height = height, width
    return {
        90: (0.0, -1.0, 1.0, 0.0, -bottom, left + width),
        180: (-1.0, 0.0, 0.0, -1.0, left + width, bottom + height),
        270: (0.0, 1.0, -1.0, 0.0, bottom + height, -left),
    }.get(rotation % 360, (1.0, 0.0, 0.0, 1.0, -left, -bottom))
